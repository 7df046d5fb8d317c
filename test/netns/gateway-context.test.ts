/**
 * From any state of a routing context to any other, in a real namespace: the commands are accepted, lead to what was
 * wanted, and there are none when nothing is to do.
 */
import t from 'tap';
import { contextCommands, ruleCommands } from '../../src/gateway/context-commands.ts';
import { settingsOf, writeSettings, wrongSettings } from '../../src/gateway/context-settings.ts';
import {
  type ContextState,
  desiredContext,
  freshContext,
  readInside,
  readLinks,
} from '../../src/gateway/context-state.ts';
import { ip, ipBatch } from '../../src/linux/iproute2.ts';
import { inNetns } from '../../src/linux/netns.ts';
import { RouteNetlink } from '../../src/linux/rtnetlink.ts';
import { readSysctl, writeSysctl } from '../../src/linux/sysctl.ts';
import type { ContextPlan, ForwardingPlan, NatPlan } from '../../src/policy/plan.ts';
import { forwardingPlan } from '../lab/forwarding-plan.ts';
import { natPlan } from '../lab/nat-plan.ts';

const netns = `gc${process.pid}`;
const SEQUENCES = 8;
const STEPS = 25;

t.afterEach(() => ip(['netns', 'delete', netns]));

/** Numbers below 2^32 that are the same in every run (Mulberry32). */
function numbers(seed: number): (limit: number) => number {
  let state = seed;
  return (limit) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) % limit;
  };
}

const base: ContextPlan = {
  ...{ vsid: 5002, mac: '02:00:00:50:02:02', providerAddress: '192.168.1.20' },
  addresses: ['10.254.254.2', 'fd00:fe::2'],
  routerAddresses: ['10.254.254.1', 'fd00:fe::1'],
  tenantPrefixes: ['10.1.1.0/24', '10.254.254.0/29', 'fd00:1::/64', 'fd00:fe::/64'],
};
const MTU = { tenant: 1458, external: 1500 };
const SEGMENT_MAC = '02:00:00:00:77:01';

/** A network of the context's own as policy could ask for it: next hops are within subnets. */
function anyForwarding(pick: (limit: number) => number): ForwardingPlan {
  const some = <T>(list: readonly T[]): T[] => list.filter(() => pick(2) === 0);
  const oneOf = <T>(list: readonly [T, ...T[]]): T => list[pick(list.length)] ?? list[0];
  const hops = (list: readonly string[]): string[] => [
    ...new Set([list[pick(list.length)] ?? '', ...some(list)]),
  ];
  const routes = (prefixes: readonly string[], nextHops: readonly string[]) =>
    some(prefixes).map((prefix) => ({ prefix, nextHops: hops(nextHops) }));
  const addresses4 = oneOf([
    ['192.0.2.10/24'],
    ['192.0.2.10/25', '192.0.2.11/25'],
    ['192.0.2.11/24', '192.0.2.10/24', '192.0.2.130/32'],
  ]);
  const addresses6 = oneOf([
    ['2001:db8:77::10/64'],
    ['2001:db8:77::10/80', '2001:db8:77::11/80'],
    ['2001:db8:77::11/64', '2001:db8:77::10/128'],
  ]);
  const family = pick(3);
  return forwardingPlan({
    mac: SEGMENT_MAC,
    addresses: [...(family === 2 ? [] : addresses4), ...(family === 1 ? [] : addresses6)],
    routes: [
      ...(family === 2
        ? []
        : routes(['0.0.0.0/0', '172.16.0.0/12', '10.1.1.8/29'], ['192.0.2.1', '192.0.2.2', '192.0.2.3'])),
      ...(family === 1
        ? []
        : routes(
            ['::/0', 'fd00:c::/32', '2001:db8:c::5/128'],
            ['2001:db8:77::1', '2001:db8:77::2', '2001:db8:77::3'],
          )),
    ],
  });
}

/** A context as policy could ask for it. */
function anyContext(pick: (limit: number) => number, withForwarding: boolean): ContextState {
  const some = (list: readonly string[]): string[] => list.filter(() => pick(2) === 0);
  const gatewaySubnet = ['10.254.254', '10.254.253'][pick(2)];
  const gatewaySubnet6 = ['fd00:fe:', 'fd00:fd:'][pick(2)];
  // IPv4 alone, both families, IPv6 alone.
  const families = [[4], [4, 6], [6]][pick(3)] ?? [];
  const both = <T>(four: T, six: T): T[] => families.map((family) => (family === 4 ? four : six));
  const plan: ContextPlan = {
    ...base,
    addresses: both(`${gatewaySubnet}.${2 + pick(2)}`, `${gatewaySubnet6}:${2 + pick(2)}`),
    routerAddresses: both(`${gatewaySubnet}.1`, `${gatewaySubnet6}:1`),
    mac: `02:00:00:50:02:0${pick(3)}`,
    // Prefixes in and around each other, the gateway's own subnet, and the default.
    tenantPrefixes: both(
      [
        `${gatewaySubnet}.0/29`,
        ...some(['0.0.0.0/0', `${gatewaySubnet}.1/32`]),
        ...some([
          '10.1.1.0/24',
          '10.1.0.0/16',
          '10.1.1.8/29',
          '172.16.0.0/12',
          '10.9.0.0/30',
          '192.0.2.1/32',
        ]),
      ],
      [
        `${gatewaySubnet6}:/64`,
        ...some(['::/0', `${gatewaySubnet6}:1/128`]),
        ...some(['fd00:1::/64', 'fd00:1::/48', 'fd00:1::8/125', 'fd00::/16', 'fd00:2::5/128', 'fc00::/7']),
      ],
    ).flat(),
  };
  const block = { portStart: 1024, portEnd: 2047 };
  const nat = natPlan({
    externalAddresses: [
      ...some(['198.51.100.101', '198.51.100.102', '203.0.113.7', '203.0.113.8']),
      ...some(['2001:db8:100::101', '2001:db8:100::102', '2001:db8:200::7']),
    ].map((address) => ({ address, ...(pick(4) === 0 ? block : {}) })),
    prefixes: some(['2001:db8:300::/64']).map((prefix) => ({ external: prefix, internal: prefix })),
    hairpinning: pick(3) === 0 ? 'external' : 'local',
  });
  const mtu = { tenant: 1358 + 100 * pick(3), external: 1400 + 100 * pick(2) };
  if (!withForwarding) return desiredContext(plan, nat, mtu);
  const forwarding = anyForwarding(pick);
  const isDefault = (route: string): boolean => ['0.0.0.0/0', '::/0'].includes(route);
  const taken = new Set([
    ...plan.tenantPrefixes,
    ...nat.externalAddresses.map(({ address }) => (address.includes(':') ? '::/0' : '0.0.0.0/0')),
    ...(nat.prefixes.length > 0 ? ['::/0'] : []),
  ]);
  // What has another way already is not among the plan's routes.
  const routes = forwarding.routes.filter(({ prefix }) => !taken.has(prefix) || !isDefault(prefix));
  const others = routes.filter(({ prefix }) => !plan.tenantPrefixes.includes(prefix));
  return desiredContext(
    plan,
    nat,
    { ...mtu, forwarding: 1400 + 100 * pick(2) },
    { ...forwarding, routes: others },
  );
}

/** The namespace as Contexts makes it, for a context whose MAC address it has from the beginning. */
async function newNamespace(want: ContextState): Promise<void> {
  await ip(['netns', 'add', netns]);
  inNetns(netns, () => writeSysctl('net/ipv6/conf/all/addr_gen_mode', '1'));
  const mtu = (link: string): string => String(want.mtu.get(link));
  await ipBatch(
    [
      [
        'link',
        'add',
        'rh',
        'mtu',
        '65535',
        'up',
        'type',
        'veth',
        'peer',
        'name',
        'hnv',
        'mtu',
        mtu('hnv'),
        'address',
        want.macs.get('hnv') ?? '',
      ],
      ['link', 'add', 'rx', 'mtu', '65535', 'up', 'type', 'veth', 'peer', 'name', 'ext', 'mtu', mtu('ext')],
      ...(want.macs.has('fwd')
        ? [
            [
              'link',
              'add',
              'rf',
              'mtu',
              '65535',
              'up',
              'type',
              'veth',
              'peer',
              'name',
              'fwd',
              'mtu',
              mtu('fwd'),
            ],
            ['link', 'set', 'fwd', 'address', SEGMENT_MAC],
          ]
        : []),
    ],
    { netns },
  );
  if (want.macs.has('fwd')) inNetns(netns, () => writeSysctl('net/ipv4/conf/fwd/promote_secondaries', '1'));
}

async function lead(have: ContextState, want: ContextState): Promise<string[][]> {
  const commands = contextCommands(have, want);
  await ipBatch(commands, { netns });
  for (const family of [4, 6] as const) {
    const rules = ruleCommands(have, want, family);
    await ipBatch(rules, { netns, family });
    commands.push(...rules);
  }
  return commands;
}

const nothing = (have: ContextState, want: ContextState): string[][] => [
  ...contextCommands(have, want),
  ...ruleCommands(have, want, 4),
  ...ruleCommands(have, want, 6),
];

/** What readInside() finds, without the root sides, which stand in the same namespace here. */
async function found(): Promise<ContextState> {
  const state = inNetns(netns, () => RouteNetlink.use((reading) => readInside(reading, readLinks(reading))));
  for (const link of ['rh', 'rx', 'rf']) state.up.delete(link);
  return state;
}

for (let seed = 1; seed <= SEQUENCES; seed++) {
  t.test(`${STEPS} changes in a row lead each to what was wanted (sequence ${seed})`, async (t) => {
    const pick = numbers(seed);
    const withForwarding = seed % 2 === 0;
    let want = anyContext(pick, withForwarding);
    await newNamespace(want);
    let have = freshContext(want);
    for (let step = 0; step < STEPS; step++) {
      const commands = await lead(have, want);
      const now = await found();
      t.strictSame(now, want, `step ${step}: ${commands.map((command) => command.join(' ')).join('; ')}`);
      t.same(nothing(now, want), [], 'and nothing is left to do');
      // By turns from what was wanted last, as a running process does, and from what is there, as after a restart.
      have = step % 2 === 0 ? want : now;
      want = anyContext(pick, withForwarding);
    }
  });
}

t.test('whatever a hand has changed is put right', async (t) => {
  const forwarding = forwardingPlan({
    mac: SEGMENT_MAC,
    addresses: ['192.0.2.10/24', '192.0.2.11/24', '2001:db8:77::10/64'],
    routes: [
      { prefix: '172.16.0.0/12', nextHops: ['192.0.2.1', '192.0.2.2'] },
      { prefix: 'fd00:c::/32', nextHops: ['2001:db8:77::1', '2001:db8:77::2'] },
    ],
  });
  const nat = natPlan({
    externalAddresses: [
      { address: '198.51.100.101' },
      { address: '203.0.113.7' },
      { address: '2001:db8:100::101' },
    ],
    hairpinning: 'external',
  });
  const want = desiredContext(base, nat, { ...MTU, forwarding: 1500 }, forwarding);
  await newNamespace(want);
  inNetns(netns, () => writeSettings(settingsOf(nat, true)));
  await lead(freshContext(want), want);
  const others = [
    ['route', 'add', '10.77.0.0/16', 'via', '192.0.2.1', 'dev', 'fwd', 'proto', 'bgp', 'metric', '20'],
    ['route', 'add', 'unreachable', '10.78.0.0/16', 'proto', '199', 'metric', '7'],
  ];
  await ipBatch(others, { netns });
  t.strictSame(await found(), want, 'what BGP and tunnels have is theirs');
  const damages: string[][][] = [
    [['link', 'set', 'fwd', 'down']],
    [['addr', 'flush', 'dev', 'fwd']],
    [['addr', 'del', '192.0.2.10/24', 'dev', 'fwd']],
    [['addr', 'del', '2001:db8:77::10/64', 'dev', 'fwd']],
    [
      ['addr', 'del', '2001:db8:77::10/64', 'dev', 'fwd'],
      ['addr', 'add', '2001:db8:77::10/96', 'dev', 'fwd', 'nodad'],
    ],
    [['addr', 'add', '192.0.2.77/24', 'dev', 'fwd']],
    [['route', 'del', '192.0.2.0/24', 'dev', 'fwd']],
    [['route', 'del', '172.16.0.0/12']],
    [['route', 'replace', '172.16.0.0/12', 'via', '192.0.2.1', 'dev', 'fwd']],
    [['route', 'replace', 'fd00:c::/32', 'via', '2001:db8:77::1', 'dev', 'fwd']],
    [
      [
        ...['route', 'replace', '172.16.0.0/12', 'src', '192.0.2.10', 'nexthop', 'via', '192.0.2.1'],
        ...['dev', 'fwd', 'nexthop', 'via', '192.0.2.2', 'dev', 'fwd', 'weight', '9'],
      ],
    ],
    [
      [
        ...['route', 'add', '10.79.0.0/16', 'nexthop', 'via', '192.0.2.1', 'dev', 'fwd'],
        ...['nexthop', 'via', '192.0.2.2', 'dev', 'fwd'],
      ],
      [
        ...['route', 'add', 'fd00:79::/64', 'nexthop', 'via', '2001:db8:77::1', 'dev', 'fwd'],
        ...['nexthop', 'via', '2001:db8:77::2', 'dev', 'fwd'],
      ],
    ],
    [['neigh', 'replace', '192.0.2.1', 'lladdr', '02:00:00:00:00:99', 'nud', 'permanent', 'dev', 'fwd']],
    [['link', 'set', 'fwd', 'mtu', '1300', 'address', '02:00:00:00:00:99']],
    [['link', 'set', 'hnv', 'down']],
    [['link', 'set', 'ext', 'down']],
    [['link', 'set', 'lo', 'down']],
    [['addr', 'flush', 'dev', 'ext']],
    [['addr', 'flush', 'dev', 'hnv']],
    [['addr', 'add', '192.0.2.77/24', 'dev', 'ext']],
    [['route', 'flush', 'table', 'main']],
    [['route', 'add', '192.0.3.0/24', 'dev', 'hnv']],
    [['route', 'replace', 'default', 'dev', 'hnv']],
    [
      ['neigh', 'flush', 'nud', 'permanent', 'dev', 'ext'],
      ['neigh', 'del', '10.254.254.1', 'dev', 'hnv'],
    ],
    [['neigh', 'replace', '10.254.254.1', 'lladdr', '02:00:00:00:00:99', 'nud', 'permanent', 'dev', 'hnv']],
    [['addr', 'add', '2001:db8:77::1/64', 'dev', 'ext', 'nodad']],
    [['addr', 'del', '2001:db8:100::101/128', 'dev', 'ext']],
    [['route', 'del', 'fd00:1::/64', 'dev', 'hnv']],
    [['route', 'add', '2001:db8:77::/48', 'dev', 'hnv']],
    [['route', 'replace', '::/0', 'dev', 'hnv']],
    [['neigh', 'del', 'fd00:fe::1', 'dev', 'hnv']],
    [['neigh', 'replace', 'fe80::1', 'lladdr', '02:00:00:00:00:99', 'nud', 'permanent', 'dev', 'ext']],
    [['link', 'set', 'hnv', 'mtu', '1300', 'address', '02:00:00:00:00:99']],
    [['route', 'del', '203.0.113.7/32', 'table', '200']],
    [['route', 'replace', '203.0.113.9/32', 'dev', 'hnv', 'table', '200']],
    [['rule', 'del', 'priority', '1']],
    [
      ['rule', 'add', 'priority', '0', 'table', 'local'],
      ['rule', 'del', 'priority', '2'],
    ],
  ];
  for (const damage of damages) {
    await ipBatch(damage, { netns });
    const have = await found();
    t.notSame(have, want, 'the damage shows');
    await lead(have, want);
    t.strictSame(await found(), want, damage.map((command) => command.join(' ')).join('; '));
  }
});

t.test('a context whose last external address goes and comes back has its way out again', async (t) => {
  const without = desiredContext(base, undefined, MTU);
  const externalAddresses = [{ address: '198.51.100.101' }, { address: '2001:db8:100::101' }];
  const having = desiredContext(base, natPlan({ externalAddresses }), MTU);
  await newNamespace(without);
  let have = freshContext(without);
  for (const want of [having, without, having]) {
    await lead(have, want);
    t.strictSame(await found(), want);
    have = want;
  }
});

t.test('a family that has prefixes alone leaves by an address of their own', async (t) => {
  const prefixes = [{ external: '2001:db8:300::/64', internal: '2001:db8:300::/64' }];
  const want = desiredContext(base, natPlan({ prefixes }), MTU);
  await newNamespace(want);
  await lead(freshContext(want), want);
  t.strictSame(await found(), want);
  t.ok(want.addresses.has('ext 2001:db8:300::/128'), 'the address of its routers (RFC 4291)');
  t.ok(want.routes.has('::/0 ext fe80::1 2001:db8:300::'));
});

t.test('settings follow the policy, and one that a hand has changed is found', async (t) => {
  const want = desiredContext(base, undefined, MTU);
  await newNamespace(want);
  const differing = (nat: NatPlan | undefined, isFast = false): Record<string, string> =>
    inNetns(netns, () =>
      RouteNetlink.use((reading) =>
        Object.fromEntries(
          wrongSettings(reading, readLinks(reading), settingsOf(nat, false, isFast)).map(
            ({ path, found }) => [path, found],
          ),
        ),
      ),
    );
  const timeouts = { icmp: 61, tcpEstablished: 7441, tcpTransient: 241, udp: 301 };
  const nat = natPlan({ timeouts });
  inNetns(netns, () => writeSettings(settingsOf(nat)));
  t.same(differing(nat), {});
  const read = (name: string): string =>
    inNetns(netns, () => readSysctl(`net/netfilter/nf_conntrack_${name}`));
  const [icmp, established, transient, udp] = ['61', '7441', '241', '301'];
  t.same(['icmp_timeout', 'icmpv6_timeout', 'udp_timeout', 'udp_timeout_stream'].map(read), [
    icmp,
    icmp,
    udp,
    udp,
  ]);
  t.same(['acct', 'timestamp', 'checksum'].map(read), ['1', '1', '0']);
  t.equal(read('tcp_timeout_established'), established);
  for (const state of ['syn_sent', 'syn_recv', 'fin_wait', 'close_wait', 'last_ack', 'time_wait'])
    t.equal(read(`tcp_timeout_${state}`), transient, state);
  t.same(
    Object.keys(
      inNetns(netns, () =>
        Object.fromEntries(
          RouteNetlink.use((reading) =>
            wrongSettings(reading, readLinks(reading), settingsOf(nat, true)),
          ).map(({ path, found }) => [path, found]),
        ),
      ),
    ),
    ['net/ipv4/fib_multipath_hash_policy', 'net/ipv6/fib_multipath_hash_policy'],
    'of a link that is not there nothing is said',
  );
  t.same(differing(natPlan({ timeouts: { ...timeouts, udp: 60 } })), {
    'net/netfilter/nf_conntrack_udp_timeout': udp,
    'net/netfilter/nf_conntrack_udp_timeout_stream': udp,
  });
  const looped = natPlan({
    timeouts,
    hairpinning: 'external',
    externalAddresses: [{ address: '198.51.100.101' }],
  });
  t.same(differing(looped), { 'net/ipv4/conf/ext/accept_local': '0' });
  const judged = ['be_liberal', 'ignore_invalid_rst'].map((name) => `net/netfilter/nf_conntrack_tcp_${name}`);
  t.same(differing(nat, true), Object.fromEntries(judged.map((path) => [path, '0'])));
  inNetns(netns, () => writeSettings(settingsOf(nat, false, true)));
  t.same(differing(nat, true), {});
  t.same(differing(nat), Object.fromEntries(judged.map((path) => [path, '1'])), 'when it is off again');
  inNetns(netns, () => writeSettings(settingsOf(nat)));
  inNetns(netns, () => writeSysctl('net/netfilter/nf_conntrack_acct', '0'));
  t.same(differing(nat), { 'net/netfilter/nf_conntrack_acct': '0' });
});
