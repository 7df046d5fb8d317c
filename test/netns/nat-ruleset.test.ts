/** NAT rulesets in the kernel's nftables: every change touches what it must and nothing else, and is known again later. */
import { execFileSync } from 'node:child_process';
import t from 'tap';
import { ip } from '../../src/linux/iproute2.ts';
import { inNetns } from '../../src/linux/netns.ts';
import { nftList, nftScript } from '../../src/linux/nftables.ts';
import { applyNat } from '../../src/nat/nat.ts';
import { conversationMark, natTable } from '../../src/nat/ruleset.ts';
import type { NatPlan, PortMappingPlan } from '../../src/policy/plan.ts';

const netns = `nr${process.pid}`;
const fresh = `nf${process.pid}`;
const RDID = '11111111-1111-1111-1111-111111111111';
const [A, B, C] = ['198.51.100.101', '198.51.100.102', '203.0.113.7'] as const;

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
    t.equal(elements(before, 'mappings').length, policy?.portMappings.length ?? 0);
    t.equal(elements(before, 'external').length, policy?.externalAddresses.length ?? 0);
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
  const policy = plan([A, B], mapping());
  applyNat(netns, RDID, policy);
  const right = meaning(list());
  for (const damage of [
    ['delete', 'element', 'ip', 'hnvgw', 'external', `{ ${B} }`],
    ['add', 'element', 'ip', 'hnvgw', 'external', `{ ${C} }`],
    ['flush', 'chain', 'ip', 'hnvgw', 'source'],
    ['flush', 'map', 'ip', 'hnvgw', 'mappings'],
    ['add', 'element', 'ip', 'hnvgw', 'mappings', `{ ${A} . tcp . 22 . 0.0.0.0/0 : 10.1.1.11 . 22 }`],
    ['flush', 'ruleset'],
  ]) {
    nft(...damage);
    t.equal(applyNat(netns, RDID, policy), 'changed', damage.join(' '));
    t.equal(meaning(list()), right, damage.join(' '));
  }
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
  const begin = (external: string, port: number): string =>
    conntrack(
      ...['-I', '-p', 'udp', '-s', '10.1.1.11', '-d', '192.0.2.1', '--sport', `${port}`, '--dport', '53'],
      ...['-r', '192.0.2.1', '-q', external, '--reply-port-src', '53', '--reply-port-dst', `${port}`],
      ...['-t', '100', '-m', `${conversationMark(external)}`],
    );
  const ports = (): string[] =>
    [...conntrack('-L').matchAll(/src=10\.1\.1\.11 .*? sport=(\d+)/g)].map(([, port = '']) => port).sort();
  applyNat(netns, RDID, plan([A, B, C]));
  for (const [index, address] of [A, B, C, A].entries()) begin(address, 1000 + index);
  t.same(ports(), ['1000', '1001', '1002', '1003']);
  applyNat(netns, RDID, plan([A, B, C], mapping()));
  t.same(ports(), ['1000', '1001', '1002', '1003'], 'a mapping concerns none of them');
  applyNat(netns, RDID, plan([B, C]));
  t.same(ports(), ['1001', '1002']);
  applyNat(netns, RDID, undefined);
  t.same(ports(), []);
});
