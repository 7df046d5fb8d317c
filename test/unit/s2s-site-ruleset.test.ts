/** The nft table of tunnels as text: which packets are held to which limit. */
import t from 'tap';
import type { SiteConnectionPlan } from '../../src/policy/plan.ts';
import type { SitePath } from '../../src/s2s/site-links.ts';
import { siteTableText } from '../../src/s2s/site-ruleset.ts';
import { sitePlan } from '../lab/site-plan.ts';

const path = (prefix: string, connection: string, more: Partial<SitePath> = {}): SitePath => ({
  ...{ prefix, connection, metric: 0, isWaiting: false, ...more },
});
/** Lines of a chain. */
function chain(paths: SitePath[], name: string, mtu = 1400): string[] {
  const body =
    new RegExp(`chain ${name} \\{\\n([^}]*?)  \\}\\n`).exec(siteTableText(mtu, [], paths))?.[1] ?? '';
  return body
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '');
}
/** Where packets of the prefixes go. */
const ways = (paths: SitePath[], name: 'to_sites' | 'from_sites'): string[] =>
  chain(paths, name).filter((line) => /addr \S+ (goto|return)/.test(line));

t.test('segments fit into the link, of each family', async (t) => {
  t.same(chain([], 'segments', 1280), [
    'meta nfproto ipv4 tcp option maxseg size set 1240',
    'meta nfproto ipv6 tcp option maxseg size set 1220',
  ]);
});

t.test('without limits the text is the same, whoever is up', async (t) => {
  t.equal(siteTableText(1400, [], [path('192.168.50.0/24', 'a')]), siteTableText(1400, [], []));
});

t.test('a limit is of all prefixes that its connection carries, in its direction', async (t) => {
  const paths = [
    path('192.168.50.0/24', 'a', { txBandwidthKbps: 10_000 }),
    path('fd00:50::/48', 'a', { txBandwidthKbps: 10_000 }),
    path('192.168.60.0/24', 'b', { rxBandwidthKbps: 8 }),
    path('192.168.70.0/24', 'c'),
  ];
  t.same(ways(paths, 'to_sites'), ['ip6 daddr fd00:50::/48 goto tx_0', 'ip daddr 192.168.50.0/24 goto tx_0']);
  t.same(ways(paths, 'from_sites').slice(-2), [
    'ip saddr 192.168.50.0/24 return',
    'ip saddr 192.168.60.0/24 goto rx_1',
  ]);
  t.same(chain(paths, 'tx_0'), [
    'limit rate over 1250000 bytes/second burst 65536 bytes counter name "tx_0" drop',
  ]);
  t.same(chain(paths, 'rx_1'), [
    'limit rate over 1000 bytes/second burst 65536 bytes counter name "rx_1" drop',
  ]);
  t.same(chain(paths, 'rx_0'), []);
});

t.test('a packet is the longest prefix’s, also where that has no limit', async (t) => {
  const paths = [
    path('10.0.0.0/8', 'a', { txBandwidthKbps: 1000 }),
    path('10.1.0.0/16', 'b'),
    path('10.1.2.0/24', 'c', { txBandwidthKbps: 2000 }),
    path('10.1.2.128/25', 'd', { rxBandwidthKbps: 3000 }),
    path('11.0.0.0/8', 'e'),
  ];
  t.same(ways(paths, 'to_sites'), [
    'ip daddr 10.1.2.128/25 return',
    'ip daddr 10.1.2.0/24 goto tx_2',
    'ip daddr 10.1.0.0/16 return',
    'ip daddr 10.0.0.0/8 goto tx_0',
  ]);
  t.same(ways(paths, 'from_sites'), ['ip saddr 10.1.2.128/25 goto rx_3']);
});

t.test('packets to a prefix that waits are few, each connection’s by themselves', async (t) => {
  const waiting = { isWaiting: true, txBandwidthKbps: 1000, rxBandwidthKbps: 1000 };
  const paths = [path('10.1.0.0/16', 'a', waiting), path('10.2.0.0/16', 'b', waiting)];
  t.same(ways(paths, 'to_sites'), [
    'ip daddr 10.1.0.0/16 goto waiting_0',
    'ip daddr 10.2.0.0/16 goto waiting_1',
  ]);
  t.same(chain(paths, 'waiting_1'), [
    'limit rate over 2/second burst 2 packets counter name "waiting_1" drop',
  ]);
  t.same(ways(paths, 'from_sites'), []);
});

t.test(
  'while nobody carries a prefix, nothing changes: its packets are held as those of who would carry it',
  async (t) => {
    const site = (name: string, metric: number, more: Partial<SiteConnectionPlan> = {}) =>
      sitePlan({ name, subnets: [{ prefix: '10.1.0.0/16', metric }], ...more });
    const [first, second] = [
      site('first', 1, { txBandwidthKbps: 1000 }),
      site('second', 20, { txBandwidthKbps: 8 }),
    ];
    const text = (connections: SiteConnectionPlan[], paths: SitePath[]) =>
      siteTableText(1400, connections, paths);
    const up = text([second, first], [path('10.1.0.0/16', 'first', { metric: 1, txBandwidthKbps: 1000 })]);
    t.match(up, 'over 125000 bytes');
    t.equal(text([first, second], []), up);
    const failover = text([second, first], [path('10.1.0.0/16', 'second', { txBandwidthKbps: 8 })]);
    t.match(failover, 'over 1000 bytes');
    t.notMatch(failover, 'over 125000 bytes');
  },
);

t.test('no name of a connection gets into the text', async (t) => {
  const name = 'Zürich "} drop; {';
  t.notMatch(
    siteTableText(1400, [], [path('10.1.0.0/16', name, { txBandwidthKbps: 8, rxBandwidthKbps: 8 })]),
    'rich',
  );
});
