/** NAT rulesets in the kernel's nftables: every change touches what it must and nothing else, and is known again later. */
import { execFileSync } from 'node:child_process';
import t from 'tap';
import { ip } from '../../src/linux/iproute2.ts';
import { inNetns } from '../../src/linux/netns.ts';
import { nftList, nftScript } from '../../src/linux/nftables.ts';
import { applyNat as applyRules, inspectNat, natRules } from '../../src/nat/nat.ts';
import { type ContextMtu, natTable, type RulesetPlan } from '../../src/nat/ruleset.ts';
import { readTables } from '../../src/nat/table-reading.ts';
import { policyTables } from '../../src/nat/tables.ts';
import { noteFinished } from '../../src/nat/unfinished.ts';
import type { NatPlan, PortMappingPlan } from '../../src/policy/plan.ts';
import { bgpPlan, forwardingPlan } from '../lab/forwarding-plan.ts';
import { natPlan } from '../lab/nat-plan.ts';

const netns = `nr${process.pid}`;
const fresh = `nf${process.pid}`;
const RDID = '11111111-1111-1111-1111-111111111111';
const [A, B, C] = ['198.51.100.101', '198.51.100.102', '203.0.113.7'] as const;

const [A6, B6] = ['2001:db8:100::101', '2001:db8:100::102'] as const;
const MTU = { tenant: 1458, external: 1500 };
/** As a context does it that has no sessions. */
function applyNat(name: string, rdid: string, policy: RulesetPlan, mtu: ContextMtu = MTU): string {
  const outcome = applyRules(name, natRules(rdid, policy, mtu));
  if (outcome === 'changed') noteFinished(name);
  return outcome;
}

/** What the ruleset has otherwise than the policy says. */
function differences(policy: RulesetPlan, known?: number): { differences: string[]; generation: number } {
  const want = natRules(RDID, policy, MTU);
  return inNetns(netns, () => inspectNat(want, known));
}

type Listed = Record<
  string,
  { name?: string; handle?: number; elem?: unknown[]; chain?: string; packets?: number }
>;

t.before(async () => {
  await ip(['netns', 'add', netns]);
  await ip(['netns', 'add', fresh]);
});
t.teardown(() => {
  for (const name of [netns, fresh]) execFileSync('ip', ['netns', 'delete', name]);
});
const wipe = (name: string): void => inNetns(name, () => nftScript('flush ruleset'));
t.beforeEach(() => wipe(netns));

const mapping = (more: Partial<PortMappingPlan> = {}): PortMappingPlan => ({
  ...{ protocol: 'tcp', externalAddress: A, externalPort: 8080 },
  ...{ internalAddress: '10.1.1.12', internalPort: 80, ...more },
});
const plan = (addresses: readonly string[], ...portMappings: PortMappingPlan[]): NatPlan =>
  natPlan({ externalAddresses: addresses.map((address) => ({ address })), portMappings });
const block = (...addresses: string[]): Partial<NatPlan> => ({
  externalAddresses: addresses.map((address) => ({ address, portStart: 1024, portEnd: 2047 })),
});
const list = (name = netns): Listed[] => inNetns(name, () => nftList(natTable) ?? []) as Listed[];
const nft = (...args: string[]): string =>
  execFileSync('nsenter', [`--net=/run/netns/${netns}`, 'nft', ...args], { encoding: 'utf8' });

/** Handles of all objects by what they are, those of rules of `shared` aside where they may change. */
const handles = (objects: Listed[], withShared: boolean): string[] =>
  objects.flatMap((object) =>
    Object.entries(object).flatMap(([kind, { name, handle, chain }]) =>
      kind === 'rule' && chain === 'shared' && !withShared ? [] : `${kind} ${name ?? chain} ${handle}`,
    ),
  );
const elements = (objects: Listed[], set: string): string[] =>
  objects
    .flatMap((object) => Object.values(object))
    .filter(({ name }) => name === set)
    .flatMap(({ elem = [] }) => elem.map((element) => JSON.stringify(element)))
    .sort();
/** The ruleset as text that equals another's when both do the same. */
const meaning = (name = netns): string =>
  JSON.stringify([
    ...list(name).map((object) =>
      JSON.parse(
        JSON.stringify(object, (key, value) => {
          if (key === 'handle') return undefined;
          return key === 'elem' && Array.isArray(value)
            ? value.map((element) => JSON.stringify(element)).sort()
            : value;
        }),
      ),
    ),
    ...inNetns(name, () => [...readTables(policyTables)]),
  ]);

const natPlans: Record<string, NatPlan | undefined> = {
  'no policy': undefined,
  'one address': plan([A]),
  'three addresses': plan([A, B, C]),
  'a block': natPlan(block(A)),
  'a block of one port': natPlan({ externalAddresses: [{ address: A, portStart: 1024, portEnd: 1024 }] }),
  'blocks of several addresses': natPlan(block(A, B, B6)),
  'one-to-one addresses': natPlan({
    ...plan([A, B, C, A6]),
    oneToOne: [
      { external: A, internal: '10.1.1.12' },
      { external: B, internal: '10.1.1.13' },
      { external: A6, internal: 'fd00:1::12' },
    ],
  }),
  prefixes: natPlan({
    prefixes: ['2001:db8:5::/64', '2001:db8:5:1::/64', '2001:db8:6::/48', 'fd00:1::5/128'].map((prefix) => ({
      external: prefix,
      internal: prefix,
    })),
  }),
  'hairpinning by the router': natPlan({ ...plan([A, A6], mapping()), hairpinning: 'external' }),
  'both algs': natPlan({ ...plan([A]), algs: ['ftp', 'sip'] }),
  'a small limit': natPlan({ ...plan([A]), maxSessions: 10 }),
  'a limit': natPlan({ ...plan([A]), maxSessions: 100_000 }),
  'endpoint-independent filtering': natPlan({
    ...plan([A, B]),
    filtering: { tcp: 'endpointIndependent', udp: 'endpointIndependent' },
  }),
  'all that there is': natPlan({
    ...plan([A, B, A6], mapping({ externalAddress: B })),
    oneToOne: [{ external: A, internal: '10.1.1.13' }],
    prefixes: [{ external: '2001:db8:5::/64', internal: 'fd00:5::/64' }],
    filtering: { tcp: 'addressDependent', udp: 'endpointIndependent' },
    algs: ['ftp'],
    maxSessions: 1000,
  }),
  'peers and sites': natPlan({
    ...plan([A, B, A6]),
    peers: [
      { localAddress: A },
      { localAddress: A, remoteAddress: C },
      { localAddress: B, remoteAddress: C },
      { localAddress: B, remoteAddress: '203.0.113.8' },
      { localAddress: A6, remoteAddress: '2001:db8:9::7' },
    ],
    sitePrefixes: ['192.168.50.0/24', '192.168.51.0/24', '192.168.50.7/32', '203.0.113.7/32', 'fd00:50::/64'],
  }),
  'one peer less, and all that is outside as a site': natPlan({
    ...plan([A, B, A6]),
    peers: [{ localAddress: A, remoteAddress: C }, { localAddress: B }, { localAddress: A6 }],
    sitePrefixes: ['0.0.0.0/0', '192.168.50.0/24'],
  }),
  mappings: plan([A], mapping(), mapping({ protocol: 'udp', externalPort: 53, internalPort: 5353 })),
  'a mapping for one remote address': plan([A], mapping({ remotePrefix: '203.0.113.200/32' })),
  'mappings of one port for several remotes': plan(
    [A, B],
    mapping({ remotePrefix: '203.0.113.0/24' }),
    mapping({ remotePrefix: '10.0.0.0/8', internalPort: 81 }),
    mapping({ remotePrefix: '192.0.2.1/32', internalPort: 82 }),
    mapping({ remotePrefix: '128.0.0.0/2', internalPort: 83 }),
    mapping({ externalAddress: B }),
  ),
  'one IPv6 address': plan([A6]),
  'several addresses of both families': plan([A, B6, B, A6]),
  'a block of an IPv6 address': natPlan(block(A6)),
  'mappings of both families': plan(
    [A, A6],
    mapping(),
    mapping({ externalAddress: A6, internalAddress: 'fd00:1::12' }),
    mapping({ externalAddress: A6, internalAddress: 'fd00:1::12', protocol: 'udp', externalPort: 53 }),
  ),
  'IPv6 mappings of one port for several remotes': plan(
    [A6],
    ...['2001:db8:7::/48', 'fd00::/8', '2001:db8:9::1/128', '8000::/1'].map((remotePrefix, index) =>
      mapping({ externalAddress: A6, internalAddress: 'fd00:1::12', remotePrefix, internalPort: 80 + index }),
    ),
  ),
  'neighbouring ports and addresses': plan(
    [A, B],
    ...[A, B].flatMap((externalAddress) =>
      [8080, 8081, 8082].map((externalPort) => mapping({ externalAddress, externalPort })),
    ),
  ),
};

const forwarding = forwardingPlan({
  advertise: ['10.1.0.0/24', '10.1.1.0/24', '10.2.0.7/32', 'fd00:1::/64'],
});

const plans: Record<string, RulesetPlan> = {
  ...Object.fromEntries(Object.entries(natPlans).map(([what, nat]) => [what, { nat }])),
  'forwarding alone': { nat: undefined, forwarding },
  'forwarding of other prefixes, with BGP': {
    nat: undefined,
    forwarding: { ...forwarding, advertise: ['10.0.0.0/15', 'fd00::/8', '2001:db8:5::7/128'] },
    bgp: bgpPlan('192.0.2.1', '192.0.2.2', '2001:db8:77::1'),
  },
  'forwarding of everything, and BGP through tunnels': {
    nat: natPlan({ ...plan([A, A6]), sitePrefixes: ['192.168.50.0/24'] }),
    forwarding: { ...forwarding, advertise: ['0.0.0.0/0', '::/0'] },
    bgp: bgpPlan('192.168.50.1', '192.0.2.2'),
  },
  'NAT, forwarding and BGP': {
    nat: natPlan({ ...plan([A, A6], mapping()), algs: ['ftp'], maxSessions: 1000 }),
    forwarding,
    bgp: bgpPlan('192.0.2.1'),
  },
};

/** Tables that the policy needs beside the usual one. */
const tablesOf = (policy: RulesetPlan): ReadonlySet<string> =>
  new Set(natRules(RDID, policy, MTU).tables.keys());

for (const [what, policy] of Object.entries(plans)) {
  t.test(`the ruleset of ${what} is known again: the second time nothing changes`, async (t) => {
    t.equal(applyNat(netns, RDID, policy), 'changed');
    const before = list();
    t.equal(applyNat(netns, RDID, policy), 'unchanged');
    t.same(list(), before);
    const there = nft('list', 'tables');
    for (const name of policyTables) t.equal(there.includes(name), tablesOf(policy).has(name), name);
    t.same(differences(policy).differences, [], 'and nothing is otherwise than nft says of it');
    const count = (...sets: string[]): number => sets.flatMap((set) => elements(before, set)).length;
    t.equal(count('mappings', 'mappings6'), policy.nat?.portMappings.length ?? 0);
    t.equal(count('external', 'external6'), policy.nat?.externalAddresses.length ?? 0);
  });
}

/** Each policy comes from, and leads to, as many others. */
const STRIDES = [0, 1, 2, 5, 11];

t.test('from each policy to several others, the result is as if there had never been another', async (t) => {
  const expected = new Map<string, string>();
  for (const [what, policy] of Object.entries(plans)) {
    wipe(fresh);
    applyNat(fresh, RDID, policy);
    expected.set(what, meaning(fresh));
  }
  const all = Object.entries(plans);
  for (const stride of STRIDES)
    for (const [index, [from, first]] of all.entries()) {
      const [to, second] = all[(index + stride) % all.length] as [string, RulesetPlan];
      applyNat(netns, RDID, first);
      t.equal(applyNat(netns, RDID, second), stride === 0 ? 'unchanged' : 'changed', `${from} to ${to}`);
      t.equal(meaning(), expected.get(to), `${from} to ${to}`);
    }
});

t.test('a change of mappings leaves every rule, and every other mapping, where it is', async (t) => {
  const kept = [mapping({ externalPort: 1 }), mapping({ externalPort: 2, remotePrefix: '203.0.113.200/32' })];
  applyNat(netns, RDID, { nat: plan([A, B], ...kept, mapping()) });
  const before = list();
  for (const next of [[mapping({ internalPort: 81 })], [], [mapping(), mapping({ protocol: 'udp' })]]) {
    applyNat(netns, RDID, { nat: plan([A, B], ...kept, ...next) });
    t.same(handles(list(), true), handles(before, true));
    t.equal(elements(list(), 'mappings').length, kept.length + next.length);
    t.same(elements(list(), 'external'), elements(before, 'external'));
  }
});

t.test('a change of addresses leaves all but the rules that choose where it is', async (t) => {
  applyNat(netns, RDID, { nat: plan([A], mapping()) });
  const before = list();
  for (const addresses of [[A, B], [A], [A, B, C]]) {
    applyNat(netns, RDID, { nat: plan(addresses, mapping()) });
    t.same(handles(list(), false), handles(before, false));
    t.same(elements(list(), 'mappings'), elements(before, 'mappings'));
    t.same(elements(list(), 'external'), addresses.map((address) => JSON.stringify(address)).sort());
  }
});

t.test('a change counts as one until the sessions before it have been ended', async (t) => {
  const want = natRules(RDID, { nat: plan([A]) }, MTU);
  t.equal(applyRules(netns, want), 'changed');
  t.equal(applyRules(netns, want), 'changed', 'as to a process that comes after a kill');
  t.same(differences({ nat: plan([A]) }).differences, [], 'that is no drift');
  noteFinished(netns);
  t.equal(applyRules(netns, want), 'unchanged');
});

t.test('tables of others are left alone', async (t) => {
  nft('add table ip theirs');
  nft('add chain ip theirs c');
  nft('add table inet hnvgw');
  for (const nat of [plan([A]), undefined]) applyNat(netns, RDID, { nat });
  t.match(nft('list', 'tables'), /table ip theirs/);
  t.match(nft('list', 'tables'), /table inet hnvgw/);
  t.match(nft('list', 'table', 'ip', 'theirs'), /chain c/);
});

t.test('a ruleset that is not ours, under our name, is replaced as a whole', async (t) => {
  nft('add table ip hnvgw');
  nft('add chain ip hnvgw forward { type filter hook forward priority 0; policy accept; }');
  nft('add rule ip hnvgw forward accept');
  t.equal(applyNat(netns, RDID, { nat: plan([A], mapping()) }), 'changed');
  wipe(fresh);
  applyNat(fresh, RDID, { nat: plan([A], mapping()) });
  t.equal(meaning(), meaning(fresh));
});

t.test('what a hand has changed is found, and put right', async (t) => {
  const nat = natPlan({
    ...plan([A, B, A6], mapping()),
    oneToOne: [{ external: B, internal: '10.1.1.13' }],
    prefixes: [{ external: '2001:db8:5::/64', internal: '2001:db8:5::/64' }],
    filtering: { tcp: 'addressAndPortDependent', udp: 'endpointIndependent' },
    algs: ['ftp'],
    maxSessions: 1000,
    peers: [{ localAddress: A, remoteAddress: C }],
    sitePrefixes: ['192.168.50.0/24'],
  });
  const policy: RulesetPlan = { nat, forwarding, bgp: bgpPlan('192.0.2.1') };
  applyNat(netns, RDID, policy);
  const right = meaning();
  const { generation } = differences(policy);
  for (const [damage, ...told] of [
    [
      `delete element inet hnvgw external { ${B} }`,
      `the external address ${B} was missing in the rules, or changed`,
    ],
    [`add element inet hnvgw external { ${C} }`, `the external address ${C} was in the rules`],
    [`add element inet hnvgw external { ${C} comment "mine" }`, `the external address ${C} was in the rules`],
    [
      `delete element inet hnvgw external6 { ${A6} }`,
      `the external address ${A6} was missing in the rules, or changed`,
    ],
    [
      'flush map inet hnvgw inside',
      `the one-to-one translation ${B} : 10.1.1.13 was missing in the rules, or changed`,
    ],
    ['add element inet hnvgw routed { fd00::/8 }', 'the routed prefix fd00::/8 was in the rules'],
    [
      `delete element inet hnvgw peers { ${A} . ${C} }`,
      `the IKE peer ${A} . ${C}/32 was missing in the rules, or changed`,
    ],
    [
      'delete element inet hnvgw sites { 192.168.50.0/24 }',
      'the prefix behind tunnels 192.168.50.0/24 was missing in the rules, or changed',
    ],
    ['add element inet hnvgw sites6 { fd00::/8 }', 'the prefix behind tunnels fd00::/8 was in the rules'],
    ['flush chain inet hnvgw outward', '2 of the rules of the chain outward were missing or changed'],
    [
      'flush chain inet hnvgw own',
      ...Array.from({ length: 3 }, () => 'a rule of the chain own was missing or changed'),
    ],
    ['flush chain inet hnvgw shared', '2 of the rules of the chain shared were missing or changed'],
    ['flush chain inet hnvgw segments', '4 of the rules of the chain segments were missing or changed'],
    [
      'delete element inet hnvgw forwarded { 10.2.0.7 }',
      'the forwarded prefix 10.2.0.7/32 was missing in the rules, or changed',
    ],
    [
      'add element inet hnvgw forwarded6 { fd00:2::/64 }',
      'the forwarded prefix fd00:2::/64 was in the rules',
    ],
    ['add element inet hnvgw bgp_peers { 192.0.2.2 }', 'the BGP peer 192.0.2.2 was in the rules'],
    [
      'flush chain inet hnvgw network_segments',
      '2 of the rules of the chain network_segments were missing or changed',
    ],
    [
      'flush chain inet hnvgw from_network',
      ...Array.from({ length: 4 }, () => 'a rule of the chain from_network was missing or changed'),
    ],
    ['flush chain inet hnvgw refused', 'a rule of the chain refused was missing or changed'],
    ['flush chain inet hnvgw_forwarding from_network', 'the nft table inet hnvgw_forwarding was changed'],
    ['flush chain inet hnvgw hairpin', '4 of the rules of the chain hairpin were missing or changed'],
    ['add rule inet hnvgw shared accept', "the chain shared had 1 rules that are not hnvgw's"],
    [
      'flush map inet hnvgw mappings',
      `the mapping ${A} . tcp . 8080 . 0.0.0.0/0 : 10.1.1.12 . 80 was missing in the rules, or changed`,
    ],
    [
      `add element inet hnvgw mappings { ${A} . tcp . 22 . 0.0.0.0/0 : 10.1.1.11 . 22 }`,
      `the mapping ${A} . tcp . 22 . 0.0.0.0/0 was in the rules`,
    ],
    [
      'add chain inet hnvgw leaving { policy accept; }',
      'the chain leaving was missing or changed',
      "the chain leaving was there that is not hnvgw's",
    ],
    ['delete table inet hnvgw_limit', 'the nft table inet hnvgw_limit was missing'],
    ['flush chain inet hnvgw_limit forwarded', 'the nft table inet hnvgw_limit was changed'],
    ['insert rule inet hnvgw_bindings keep_udp accept', 'the nft table inet hnvgw_bindings was changed'],
    [
      'add chain inet hnvgw_bindings arriving { policy drop; }',
      'the nft table inet hnvgw_bindings was changed',
    ],
    ['add set inet hnvgw_bindings more { type mark; }', 'the nft table inet hnvgw_bindings was changed'],
    ['flush chain inet hnvgw_alg helpers', 'the nft table inet hnvgw_alg was changed'],
    ['add counter inet hnvgw_alg more', 'the nft table inet hnvgw_alg was changed'],
    [
      'flush ruleset',
      'the nft table inet hnvgw was missing',
      ...policyTables.map((name) => `the nft table inet ${name} was missing`),
    ],
  ] as const) {
    nft(damage);
    t.same(differences(policy, generation).differences, told, damage);
    t.equal(applyNat(netns, RDID, policy), 'changed', damage);
    t.equal(meaning(), right, damage);
    t.same(differences(policy).differences, [], damage);
  }
  nft('add table inet hnvgw_limit');
  applyNat(netns, RDID, { nat: plan([A]) });
  nft('add table inet hnvgw_limit');
  t.same(differences({ nat: plan([A]) }).differences, ['the nft table inet hnvgw_limit was there']);
});

t.test('what packets have put into sets is no difference, and stays where it is', async (t) => {
  const nat = natPlan({
    ...plan([A]),
    filtering: { tcp: 'addressAndPortDependent', udp: 'endpointIndependent' },
    maxSessions: 1000,
  });
  const policy: RulesetPlan = { nat };
  applyNat(netns, RDID, policy);
  const bindings = Array.from(
    { length: 60_000 },
    (_, i) => `${A} . udp . ${i + 1024} timeout 300s : 10.1.1.11 . ${i + 1024}`,
  );
  execFileSync('nsenter', [`--net=/run/netns/${netns}`, 'nft', '-f', '-'], {
    input: `add element inet hnvgw_bindings bindings { ${bindings.join(', ')} }`,
  });
  t.same(differences(policy).differences, []);
  t.equal(applyNat(netns, RDID, policy), 'unchanged');
  t.equal(applyNat(netns, RDID, { nat: { ...nat, portMappings: [mapping()] } }), 'changed');
  const last = nft('get', 'element', 'inet', 'hnvgw_bindings', 'bindings', `{ ${A} . udp . 61023 }`);
  t.match(last, /61023/, 'another mapping is no end of them');
  applyNat(netns, RDID, { nat: { ...nat, ...plan([B]) } });
  t.throws(() => nft('get', 'element', 'inet', 'hnvgw_bindings', 'bindings', `{ ${A} . udp . 61023 }`));
});

t.test('rules that nobody has touched since are not read again', async (t) => {
  applyNat(netns, RDID, { nat: plan([A]) });
  const { generation } = differences({ nat: plan([A]) });
  // Of another policy: only a look would tell.
  t.same(differences({ nat: plan([B]) }, generation), { differences: [], generation });
  nft('add table inet operator');
  const looked = differences({ nat: plan([A]) }, generation);
  t.same(looked.differences, [], 'what stands beside ours is its owner’s');
  t.not(looked.generation, generation);
});

t.test('four thousand mappings change by one in one element', async (t) => {
  const many = Array.from({ length: 4096 }, (_, i) => mapping({ externalPort: i + 1, internalPort: i + 1 }));
  applyNat(netns, RDID, { nat: plan([A], ...many) });
  t.equal(applyNat(netns, RDID, { nat: plan([A], ...many) }), 'unchanged');
  const before = list();
  applyNat(netns, RDID, { nat: plan([A], ...many.slice(1)) });
  t.same(handles(list(), true), handles(before, true));
  t.equal(elements(list(), 'mappings').length, 4095);
});

t.test('another MTU of a link changes the clamp of segments, and nothing else', async (t) => {
  const policy: RulesetPlan = { nat: plan([A, A6], mapping()) };
  applyNat(netns, RDID, policy);
  const before = handles(list(), true).filter((one) => !one.startsWith('rule segments'));
  t.equal(applyNat(netns, RDID, policy, { ...MTU, tenant: 1438 }), 'changed');
  t.same(
    handles(list(), true).filter((one) => !one.startsWith('rule segments')),
    before,
  );
  t.match(nft('list', 'chain', 'inet', 'hnvgw', 'segments'), /ipv4 .* set 1398\n.*ipv6 .* set 1378\n/);
  t.equal(applyNat(netns, RDID, policy, { ...MTU, tenant: 1438 }), 'unchanged');
});
