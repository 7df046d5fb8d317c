/** NAT rulesets in the kernel's nftables: every change touches what it must and nothing else, and is known again later. */
import { execFileSync } from 'node:child_process';
import t from 'tap';
import { ip } from '../../src/linux/iproute2.ts';
import { inNetns } from '../../src/linux/netns.ts';
import { nftList, nftScript } from '../../src/linux/nftables.ts';
import { wantedListing } from '../../src/nat/listing.ts';
import { applyNat as applyWithMtu, inspectNat } from '../../src/nat/nat.ts';
import { conversationMark, natState, natTable } from '../../src/nat/ruleset.ts';
import type { NatPlan, PortMappingPlan } from '../../src/policy/plan.ts';

const netns = `nr${process.pid}`;
const fresh = `nf${process.pid}`;
const RDID = '11111111-1111-1111-1111-111111111111';
const [A, B, C] = ['198.51.100.101', '198.51.100.102', '203.0.113.7'] as const;

const [A6, B6] = ['2001:db8:100::101', '2001:db8:100::102'] as const;
const MTU = { tenant: 1458, external: 1500 };
const applyNat = (name: string, rdid: string, policy: NatPlan | undefined): string =>
  applyWithMtu(name, rdid, policy, MTU);

/** What the ruleset has otherwise than the policy says. */
function differences(
  policy: NatPlan | undefined,
  known?: number,
): { differences: string[]; generation: number } {
  const want = wantedListing(natState(RDID, policy, MTU));
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
const plan = (addresses: readonly string[], ...portMappings: PortMappingPlan[]): NatPlan => ({
  externalAddresses: addresses.map((address) => ({ address })),
  portMappings,
});
const list = (name = netns): Listed[] => inNetns(name, () => nftList(natTable) ?? []) as Listed[];
const nft = (...args: string[]): string =>
  execFileSync('nsenter', [`--net=/run/netns/${netns}`, 'nft', ...args], { encoding: 'utf8' });

/** Handles of all objects by what they are, those of rules of `source` aside where they may change. */
const handles = (objects: Listed[], withSource: boolean): string[] =>
  objects.flatMap((object) =>
    Object.entries(object).flatMap(([kind, { name, handle, chain }]) =>
      kind === 'rule' && chain === 'source' && !withSource ? [] : `${kind} ${name ?? chain} ${handle}`,
    ),
  );
const elements = (objects: Listed[], set: string): string[] =>
  objects
    .flatMap((object) => Object.values(object))
    .filter(({ name }) => name === set)
    .flatMap(({ elem = [] }) => elem.map((element) => JSON.stringify(element)))
    .sort();
/** The ruleset as text that equals another's when both do the same. */
const meaning = (objects: Listed[]): string =>
  JSON.stringify(
    objects.map((object) =>
      JSON.parse(
        JSON.stringify(object, (key, value) => {
          if (key === 'handle') return undefined;
          return key === 'elem' && Array.isArray(value)
            ? value.map((element) => JSON.stringify(element)).sort()
            : value;
        }),
      ),
    ),
  );

const plans: Record<string, NatPlan | undefined> = {
  'no policy': undefined,
  'one address': plan([A]),
  'three addresses': plan([A, B, C]),
  'a port range': { externalAddresses: [{ address: A, portStart: 1024, portEnd: 2047 }], portMappings: [] },
  'port ranges of several addresses': {
    externalAddresses: [A, B].map((address) => ({ address, portStart: 1024, portEnd: 1024 })),
    portMappings: [],
  },
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
  'a port range of an IPv6 address': {
    externalAddresses: [{ address: A6, portStart: 1024, portEnd: 2047 }],
    portMappings: [],
  },
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

for (const [what, policy] of Object.entries(plans)) {
  t.test(`the ruleset of ${what} is known again: the second time nothing changes`, async (t) => {
    t.equal(applyNat(netns, RDID, policy), 'changed');
    const before = list();
    t.equal(applyNat(netns, RDID, policy), 'unchanged');
    t.same(list(), before);
    t.same(differences(policy).differences, [], 'and nothing is otherwise than nft says of it');
    const count = (...sets: string[]): number => sets.flatMap((set) => elements(before, set)).length;
    t.equal(count('mappings', 'mappings6'), policy?.portMappings.length ?? 0);
    t.equal(count('external', 'external6'), policy?.externalAddresses.length ?? 0);
  });
}

t.test('from every policy to every other, the result is as if there had never been another', async (t) => {
  const expected = new Map<string, string>();
  for (const [what, policy] of Object.entries(plans)) {
    wipe(fresh);
    applyNat(fresh, RDID, policy);
    expected.set(what, meaning(list(fresh)));
  }
  for (const [from, first] of Object.entries(plans))
    for (const [to, second] of Object.entries(plans)) {
      applyNat(netns, RDID, first);
      t.equal(applyNat(netns, RDID, second), from === to ? 'unchanged' : 'changed', `${from} to ${to}`);
      t.equal(meaning(list()), expected.get(to), `${from} to ${to}`);
    }
});

t.test('a change of mappings leaves every rule, and every other mapping, where it is', async (t) => {
  const kept = [mapping({ externalPort: 1 }), mapping({ externalPort: 2, remotePrefix: '203.0.113.200/32' })];
  applyNat(netns, RDID, plan([A, B], ...kept, mapping()));
  const before = list();
  for (const next of [[mapping({ internalPort: 81 })], [], [mapping(), mapping({ protocol: 'udp' })]]) {
    applyNat(netns, RDID, plan([A, B], ...kept, ...next));
    t.same(handles(list(), true), handles(before, true));
    t.equal(elements(list(), 'mappings').length, kept.length + next.length);
    t.same(elements(list(), 'external'), elements(before, 'external'));
  }
});

t.test('a change of addresses leaves all but the source rules where it is', async (t) => {
  applyNat(netns, RDID, plan([A], mapping()));
  const before = list();
  for (const addresses of [[A, B], [A], [A, B, C]]) {
    applyNat(netns, RDID, plan(addresses, mapping()));
    t.same(handles(list(), false), handles(before, false));
    t.same(elements(list(), 'mappings'), elements(before, 'mappings'));
    t.same(elements(list(), 'external'), addresses.map((address) => JSON.stringify(address)).sort());
  }
});

t.test('tables of others are left alone', async (t) => {
  nft('add table ip theirs');
  nft('add chain ip theirs c');
  nft('add table inet hnvgw');
  for (const policy of [plan([A]), undefined]) applyNat(netns, RDID, policy);
  t.match(nft('list', 'tables'), /table ip theirs/);
  t.match(nft('list', 'tables'), /table inet hnvgw/);
  t.match(nft('list', 'table', 'ip', 'theirs'), /chain c/);
});

t.test('a ruleset that is not ours, under our name, is replaced as a whole', async (t) => {
  nft('add table ip hnvgw');
  nft('add chain ip hnvgw forward { type filter hook forward priority 0; policy accept; }');
  nft('add rule ip hnvgw forward accept');
  t.equal(applyNat(netns, RDID, plan([A], mapping())), 'changed');
  wipe(fresh);
  applyNat(fresh, RDID, plan([A], mapping()));
  t.equal(meaning(list()), meaning(list(fresh)));
});

t.test('what a hand has changed in sets and source rules is put right', async (t) => {
  const policy = plan([A, B, A6], mapping());
  applyNat(netns, RDID, policy);
  const right = meaning(list());
  const { generation } = differences(policy);
  for (const [damage, ...told] of [
    [`delete element inet hnvgw external { ${B} }`, `the external address ${B} was missing in the rules`],
    [`add element inet hnvgw external { ${C} }`, `the external address ${C} was in the rules`],
    [`add element inet hnvgw external { ${C} comment "mine" }`, `the external address ${C} was in the rules`],
    [`delete element inet hnvgw external6 { ${A6} }`, `the external address ${A6} was missing in the rules`],
    ['flush chain inet hnvgw source', '3 of the rules of the chain source were missing or changed'],
    ['flush chain inet hnvgw segments', /^\d of the rules of the chain segments were missing or changed$/],
    ['add rule inet hnvgw source accept', "the chain source had 1 rules that are not hnvgw's"],
    [
      'flush map inet hnvgw mappings',
      `the mapping ${A} . tcp . 8080 . 0.0.0.0/0 : 10.1.1.12 . 80 was missing or changed`,
    ],
    [
      `add element inet hnvgw mappings { ${A} . tcp . 22 . 0.0.0.0/0 : 10.1.1.11 . 22 }`,
      `the mapping ${A} . tcp . 22 . 0.0.0.0/0 was there`,
    ],
    [
      'add chain inet hnvgw leaving { policy accept; }',
      'the chain leaving was missing or changed',
      "the chain leaving was there that is not hnvgw's",
    ],
    ['flush ruleset', 'the nft table inet hnvgw was missing'],
  ] as const) {
    nft(damage);
    t.match(differences(policy, generation).differences, told, damage);
    t.equal(applyNat(netns, RDID, policy), 'changed', damage);
    t.equal(meaning(list()), right, damage);
    t.same(differences(policy).differences, [], damage);
  }
});

t.test('rules that nobody has touched since are not read again', async (t) => {
  applyNat(netns, RDID, plan([A]));
  const { generation } = differences(plan([A]));
  // Of another policy: only a look would tell.
  t.same(differences(plan([B]), generation), { differences: [], generation });
  nft('add table inet operator');
  const looked = differences(plan([A]), generation);
  t.same(looked.differences, [], 'what stands beside ours is its owner’s');
  t.not(looked.generation, generation);
});

t.test('four thousand mappings change by one in one element', async (t) => {
  const many = Array.from({ length: 4096 }, (_, i) => mapping({ externalPort: i + 1, internalPort: i + 1 }));
  applyNat(netns, RDID, plan([A], ...many));
  t.equal(applyNat(netns, RDID, plan([A], ...many)), 'unchanged');
  const before = list();
  applyNat(netns, RDID, plan([A], ...many.slice(1)));
  t.same(handles(list(), true), handles(before, true));
  t.equal(elements(list(), 'mappings').length, 4095);
});

t.test('conversations of an address that is taken away end, and no others', async (t) => {
  const conntrack = (...args: string[]): string =>
    execFileSync('nsenter', [`--net=/run/netns/${netns}`, 'conntrack', ...args], {
      encoding: 'utf8',
      stdio: 'pipe',
    });
  const begin = (external: string, port: number): string => {
    const [inner, remote] = external.includes(':')
      ? ['fd00:1::11', '2001:db8:9::1']
      : ['10.1.1.11', '192.0.2.1'];
    return conntrack(
      ...['-I', '-p', 'udp', '-s', inner, '-d', remote, '--sport', `${port}`, '--dport', '53'],
      ...['-r', remote, '-q', external, '--reply-port-src', '53', '--reply-port-dst', `${port}`],
      ...['-t', '100', '-m', `${conversationMark(external)}`],
    );
  };
  const ports = (): string[] =>
    ['ipv4', 'ipv6']
      .map((family) => conntrack('-L', '-f', family))
      .flatMap((shown) => [...shown.matchAll(/src=(?:10\.1\.1\.11|fd00:1::11) .*? sport=(\d+)/g)])
      .map(([, port = '']) => port)
      .sort();
  applyNat(netns, RDID, plan([A, B, C, A6, B6]));
  for (const [index, address] of [A, B, C, A, A6, B6].entries()) begin(address, 1000 + index);
  t.same(ports(), ['1000', '1001', '1002', '1003', '1004', '1005']);
  applyNat(netns, RDID, plan([A, B, C, A6, B6], mapping()));
  t.equal(ports().length, 6, 'a mapping concerns none of them');
  applyNat(netns, RDID, plan([B, C, A6, B6]));
  t.same(ports(), ['1001', '1002', '1004', '1005']);
  applyNat(netns, RDID, plan([B, C, A6]));
  t.same(ports(), ['1001', '1002', '1004']);
  applyNat(netns, RDID, undefined);
  t.same(ports(), []);
});

t.test('another MTU of a link changes the clamp of segments, and nothing else', async (t) => {
  const policy = plan([A, A6], mapping());
  applyNat(netns, RDID, policy);
  const before = handles(list(), true).filter((one) => !one.startsWith('rule segments'));
  t.equal(applyWithMtu(netns, RDID, policy, { ...MTU, tenant: 1438 }), 'changed');
  t.same(
    handles(list(), true).filter((one) => !one.startsWith('rule segments')),
    before,
  );
  t.match(nft('list', 'chain', 'inet', 'hnvgw', 'segments'), /ipv4 .* set 1398 .*\n.*ipv6 .* set 1378 /);
  t.equal(applyWithMtu(netns, RDID, policy, { ...MTU, tenant: 1438 }), 'unchanged');
});
