/** Routes to sites, and the fewest commands from some to others. */
import t from 'tap';
import type { SitePath } from '../../src/s2s/site-links.ts';
import { siteRouteCommands, siteRoutes } from '../../src/s2s/site-routes.ts';
import { sitePlan } from '../lab/site-plan.ts';

const addresses = ['10.254.254.2', 'fd00:fe::2'];
const path = (prefix: string, more: Partial<SitePath> = {}): SitePath => ({
  ...{ prefix, metric: 0, connection: 'branch', isWaiting: false, ...more },
});
const routes = (paths: SitePath[], more: Parameters<typeof sitePlan>[0] = {}) => [
  ...siteRoutes({ connections: [sitePlan(more)], paths, addresses }),
];
const [P4, P6] = ['192.168.50.0/24', 'fd00:50::/48'];
const both = { subnets: [P4, P6].map((prefix) => ({ prefix, metric: 0 })) };
const LAST = 'metric 4278198272';

t.test('every prefix has its last resort, and its way when somebody carries it', async (t) => {
  t.same(routes([], both), [`unreachable ${P4} ${LAST}`, `unreachable ${P6} ${LAST}`]);
  t.same(routes([path(P6, { metric: 10 }), path(P4, { isWaiting: true })], both).slice(2), [
    `${P6} dev ipsec0 src fd00:fe::2 metric 1036`,
    `${P4} dev ipsec0 src 10.254.254.2 metric 1026`,
  ]);
});

t.test('of a family that the context has no address of, a way has no source', async (t) => {
  t.same(
    [...siteRoutes({ connections: [], paths: [path(P6)], addresses: ['10.254.254.2'] })],
    [`${P6} dev ipsec0 metric 1026`],
  );
});

t.test('a prefix of two connections is closed once', async (t) => {
  const connections = [sitePlan(), sitePlan({ name: 'other' })];
  t.same([...siteRoutes({ connections, paths: [], addresses })], [`unreachable ${P4} ${LAST}`]);
});

t.test(
  'a peer that is one of a site’s own addresses is reached by the uplink, in front of any tunnel',
  async (t) => {
    const inside = { destinations: ['192.168.50.9', '203.0.113.9'] };
    t.same(routes([], inside).slice(1), ['192.168.50.9/32 via 169.254.1.1 dev ext metric 1025']);
    const [, peer] = routes([], { ...both, destinations: ['fd00:50::9'] }).slice(1);
    t.equal(peer, 'fd00:50::9/128 via fe80::1 dev ext metric 1025');
    const other = sitePlan({ name: 'other', destinations: ['192.168.50.9'], subnets: [] });
    t.equal(
      siteRoutes({ connections: [sitePlan(), other], paths: [], addresses }).size,
      2,
      'whichever connection has the prefix',
    );
  },
);

const commands = (have: string[], want: string[]): string[] =>
  siteRouteCommands(new Set(have), new Set(want)).map((words) => words.join(' '));

t.test('what is there already needs no command', async (t) => {
  const all = routes([path(P4), path(P6)], both);
  t.same(commands(all, all), []);
  t.equal(commands([], all).length, all.length);
});

t.test('a tunnel that comes or goes is one command a prefix', async (t) => {
  const [down, up] = [routes([], both), routes([path(P4)], both)];
  t.same(commands(down, up), [`route replace ${P4} dev ipsec0 src 10.254.254.2 metric 1026 proto 199`]);
  t.same(commands(up, down), [`route del ${P4} metric 1026 proto 199`]);
});

t.test(
  'another source or next hop takes the place of the old one; another metric comes before the old one goes',
  async (t) => {
    const [old, now] = [
      `${P4} dev ipsec0 src 10.254.254.2 metric 1026`,
      `${P4} dev ipsec0 src 10.9.9.9 metric 1026`,
    ];
    t.same(commands([old], [now]), [`route replace ${now} proto 199`]);
    const standby = `${P4} dev ipsec0 src 10.254.254.2 metric 1036`;
    t.same(commands([old], [standby]), [
      `route replace ${standby} proto 199`,
      `route del ${P4} metric 1026 proto 199`,
    ]);
    t.same(
      commands(
        ['192.168.50.9/32 via 169.254.1.1 dev hnv metric 1025'],
        ['192.168.50.9/32 via 169.254.1.1 dev ext metric 1025'],
      ),
      ['route replace 192.168.50.9/32 via 169.254.1.1 dev ext metric 1025 onlink proto 199'],
    );
  },
);

t.test('routes of other kinds under our number go', async (t) => {
  t.same(commands([`blackhole ${P4} metric 7`, `tos 8 nexthops ${P6} metric 9`], []), [
    `route del ${P4} metric 7 proto 199`,
    `route del ${P6} metric 9 proto 199`,
  ]);
});
