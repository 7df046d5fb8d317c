/** The kernel's routes and neighbours change, here and in another namespace: what is told of it, and what becomes of fast flows. */
import '../lab/own-namespace.ts';
import { execFileSync } from 'node:child_process';
import t, { type Test } from 'tap';
import { ip, ipBatch } from '../../src/linux/iproute2.ts';
import { netnsId } from '../../src/linux/namespace-id.ts';
import { RouteMonitor } from '../../src/linux/route-monitor.ts';
import { RouteWatch } from '../../src/node/route-watch.ts';
import { until } from '../lab/until.ts';

const far = `rm${process.pid}`;
const stranger = `${far}s`;
/** Namespaces by the number that they have here. */
let [farId, strangerId] = [-1, -1];

t.before(async () => {
  const pair = (link: string, netns: string): string[][] => [
    ['netns', 'add', netns],
    ['link', 'add', link, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', netns],
    ['link', 'set', link, 'up'],
  ];
  await ipBatch([['link', 'set', 'lo', 'up'], ...pair('far0', far), ...pair('str0', stranger)]);
  await ipBatch([
    ['addr', 'add', '10.0.0.1/24', 'dev', 'far0'],
    ['addr', 'add', 'fd00::1/64', 'dev', 'far0', 'nodad'],
    ['neigh', 'add', '10.0.0.9', 'lladdr', '02:00:00:00:00:09', 'dev', 'far0', 'nud', 'reachable'],
  ]);
  for (const netns of [far, stranger])
    await ipBatch(
      [
        ['link', 'set', 'eth0', 'up'],
        ['addr', 'add', '10.0.0.2/24', 'dev', 'eth0'],
      ],
      { netns },
    );
  [farId, strangerId] = [netnsId(far) ?? -1, netnsId(stranger) ?? -1];
});
t.teardown(() =>
  ipBatch([
    ['netns', 'del', far],
    ['netns', 'del', stranger],
  ]),
);

const route = (verb: string, to: string): string[] => ['route', verb, 'blackhole', to];
let marks = 0;

/** What is told from now on; `after` answers what the commands led to, at home and in the namespace `far`. */
function follow(t: Test) {
  const told: (number | undefined)[] = [];
  let overruns = 0;
  const monitor = new RouteMonitor({
    concerns: (nsid) => nsid === farId,
    onChange: (nsid) => told.push(nsid),
    onOverrun: () => overruns++,
  });
  t.teardown(() => monitor.close());
  /** By a change of another kind behind it, all that came before is known to have been told. */
  const after = async (commands: string[][], netns?: string, family?: 6): Promise<('here' | 'far')[]> => {
    told.length = 0;
    await ipBatch(commands, { ...(netns && { netns }), ...(family && { family }) });
    await ip(route('add', `192.0.2.${++marks}`), netns === far ? {} : { netns: far });
    const isMark = (nsid: number | undefined): boolean => nsid === (netns === far ? undefined : farId);
    await until('the mark is told', 2_000, () => told.some(isMark));
    return told.filter((nsid) => !isMark(nsid)).map((nsid) => (nsid === undefined ? 'here' : 'far'));
  };
  return { after, overruns: () => overruns };
}

const neighbour = (verb: string, address: string, mac: string, state: string): string[] => [
  ...['neigh', verb, address, 'dev', 'far0'],
  ...(mac === '' ? [] : ['lladdr', `02:00:00:00:00:${mac}`]),
  ...(state === '' ? [] : ['nud', state]),
];

t.test('routes, rules and next hops', async (t) => {
  const { after } = follow(t);
  const changes: Record<string, string[]> = {
    'a route': route('add', '198.51.100.0/24'),
    'its end': route('del', '198.51.100.0/24'),
    'an IPv6 route': route('add', '2001:db8::/32'),
    'a rule': ['rule', 'add', 'from', '10.9.0.0/16', 'lookup', '100'],
    'a next hop': ['nexthop', 'add', 'id', '7', 'blackhole'],
    'another next hop': ['nexthop', 'replace', 'id', '7', 'via', '10.0.0.2', 'dev', 'far0'],
  };
  for (const [what, command] of Object.entries(changes)) t.same(await after([command]), ['here'], what);
  const rule = ['rule', 'add', 'from', '2001:db8::/32', 'lookup', '100'];
  t.same(await after([rule], undefined, 6), ['here'], 'an IPv6 rule');
  t.same(await after([route('add', '198.51.100.0/24')], far), ['far'], 'a route elsewhere');
  t.same(await after([route('add', '198.51.100.0/24')], stranger), [], 'where nobody wants to hear of it');
  t.not(strangerId, -1, 'though it has a number');
});

t.test(
  'neighbours, when their MACs change or they go, and not what is learned of reachability',
  async (t) => {
    const { after } = follow(t);
    t.same(await after([neighbour('add', '10.0.0.3', '03', 'reachable')]), [], 'a new one');
    const flaps = ['stale', 'delay', 'probe', 'reachable', 'stale', 'reachable', 'permanent'];
    t.same(await after(flaps.map((state) => neighbour('replace', '10.0.0.3', '03', state))), []);
    t.same(await after([neighbour('replace', '10.0.0.3', '33', 'reachable')]), ['here'], 'another MAC');
    t.same(await after([neighbour('change', '10.0.0.3', '', 'failed')]), ['here'], 'not found');
    t.same(await after([neighbour('del', '10.0.0.3', '', '')]), []);
    t.same(await after([neighbour('replace', '10.0.0.9', '09', 'stale')]), [], 'one from before');
    t.same(await after([neighbour('del', '10.0.0.9', '', '')]), ['here']);
    t.same(await after([neighbour('add', 'fd00::3', '03', 'reachable')]), []);
    t.same(await after([neighbour('replace', 'fd00::3', '33', 'reachable')]), ['here'], 'IPv6');
    const inside = (mac: string, state: string): string[] =>
      neighbour('replace', '10.0.0.7', mac, state).map((word) => (word === 'far0' ? 'eth0' : word));
    await after([inside('07', 'reachable')], far);
    t.same(await after([inside('07', 'stale')], far), []);
    t.same(await after([inside('77', 'stale')], far), ['far']);
  },
);

t.test('a link that comes and goes brings routes that concern nobody', async (t) => {
  const { after } = follow(t);
  const made = await after([
    ['link', 'add', 'n0', 'type', 'veth', 'peer', 'name', 'n1'],
    ['link', 'set', 'n0', 'up'],
    ['link', 'set', 'n1', 'up'],
  ]);
  t.same(made, []);
  t.same(await after([['link', 'del', 'n0']]), []);
});

/** Synchronous: the event loop sees nothing of it before it is done. */
function addRoutes(count: number, verb = 'add'): void {
  const lines = Array.from(
    { length: count },
    (_, index) => `route ${verb} blackhole 100.${64 + (index >> 16)}.${(index >> 8) & 255}.${index & 255}`,
  );
  execFileSync('ip', ['-n', far, '-batch', '-'], { input: `${lines.join('\n')}\n` });
}

t.test('a thousand routes end what was noted of a domain once, and of no other', async (t) => {
  const calls: string[] = [];
  const watch = new RouteWatch({
    hasNetns: (nsid) => nsid === farId || nsid === strangerId,
    invalidateNetns: (nsid) => calls.push(nsid === farId ? 'far' : 'stranger'),
    invalidateAll: () => calls.push('all'),
  });
  t.teardown(() => watch.close());
  t.same(calls.splice(0), ['all'], 'nobody knows what has changed before');
  addRoutes(1_000);
  await until('it is noticed', 2_000, () => calls.length > 0);
  await ip(route('add', '198.51.100.0/24'), { netns: stranger }).catch(() =>
    ip(route('del', '198.51.100.0/24'), { netns: stranger }),
  );
  await until('the other one is', 2_000, () => calls.includes('stranger'));
  t.same(calls.splice(0), ['far', 'stranger']);
  await ip(route('add', '203.0.113.0/24'));
  await until('so it is at home', 2_000, () => calls.length > 0);
  t.same(calls, ['all']);
  addRoutes(1_000, 'del');
});

t.test('when more happens than is listened to, anything may have changed', async (t) => {
  const { after, overruns } = follow(t);
  addRoutes(40_000);
  await until('the overrun is told', 5_000, () => overruns() > 1);
  t.same(await after([neighbour('replace', 'fd00::3', '33', 'stale')]), [], 'neighbours are known again');
  t.same(await after([neighbour('replace', 'fd00::3', '34', 'stale')]), ['here']);
});
