/** NAT policy as nftables text: what depends on the policy, and the smallest change between two policies. */
import t from 'tap';
import {
  conversationMark,
  emptyNat,
  type NatState,
  natChanges,
  type PresentNat,
  ruleMark,
  skeletonMark,
  skeletonScript,
  natState as stateOf,
  withoutExternals,
} from '../../src/nat/ruleset.ts';
import type { NatPlan, PortMappingPlan } from '../../src/policy/plan.ts';

const RDID = '11111111-1111-1111-1111-111111111111';
const A = '198.51.100.101';
const B = '198.51.100.102';
const A6 = '2001:db8:100::101';
const B6 = '2001:db8:100::102';
const MTU = { tenant: 1458, external: 1500 };

const mapping = (more: Partial<PortMappingPlan> = {}): PortMappingPlan => ({
  ...{ protocol: 'tcp', externalAddress: A, externalPort: 8080 },
  ...{ internalAddress: '10.1.1.12', internalPort: 80, ...more },
});
const plan = (addresses: string[], portMappings: PortMappingPlan[] = []): NatPlan => ({
  externalAddresses: addresses.map((address) => ({ address })),
  portMappings,
});
/** The kernel's content when it holds just the state. */
const present = (state: NatState): PresentNat => ({
  ...state,
  sourceMarks: state.sources.map(ruleMark),
  segmentMarks: state.segments.map(ruleMark),
});
const natState = (rdid: string, policy: NatPlan | undefined): NatState => stateOf(rdid, policy, MTU);
const change = (from: NatPlan | undefined, to: NatPlan | undefined): string[] =>
  natChanges(present(natState(RDID, from)), natState(RDID, to))
    .split('\n')
    .filter((line) => line !== '');

t.test('without a policy nothing is translated and no address is the domain’s own', async (t) => {
  const { externals, mappings, sources } = natState(RDID, undefined);
  t.same({ externals, mappings, sources }, { externals: new Set(), mappings: new Map(), sources: [] });
  t.same(
    natChanges(emptyNat, natState(RDID, undefined))
      .split('\n')
      .map((line) => line.split(' ').slice(0, 5).join(' ')),
    ['add rule inet hnvgw segments', 'add rule inet hnvgw segments'],
    'but segments are clamped in every context alike',
  );
});

t.test('one external address takes everything that leaves', async (t) => {
  const { externals, sources } = natState(RDID, plan([A]));
  t.same(externals, new Set([A]));
  t.same(sources, [`oifname "ext" meta nfproto ipv4 ct mark set ${conversationMark(A)} snat ip to ${A}`]);
  t.same(natState(RDID, plan([A6])).sources, [
    `oifname "ext" meta nfproto ipv6 ct mark set ${conversationMark(A6)} snat ip6 to ${A6}`,
  ]);
});

t.test(
  'several external addresses share by a hash of the inner source, each value having its rule',
  async (t) => {
    const addresses = Array.from({ length: 5 }, (_, i) => `198.51.100.${i}`);
    const { sources } = natState(RDID, plan(addresses));
    const picks = sources.map((rule) =>
      /jhash ip saddr mod 5 seed (\d+) == (\d) .* snat ip to (\S+)$/.exec(rule),
    );
    t.same(
      picks.map((pick) => [pick?.[2], pick?.[3]]),
      addresses.map((address, i) => [`${i}`, address]),
    );
    t.equal(new Set(picks.map((pick) => pick?.[1])).size, 1, 'by one hash');
  },
);

t.test('the choice among several is the same every time, and another in another domain', async (t) => {
  const several = plan([A, B]);
  t.same(natState(RDID, several), natState(RDID, several));
  t.notSame(
    natState(RDID, several).sources,
    natState('22222222-2222-2222-2222-222222222222', several).sources,
  );
});

t.test('a port range holds for what has ports, and the rest is translated without one', async (t) => {
  const externalAddresses = [{ address: A, portStart: 1024, portEnd: 2047 }];
  const [ranged, whole, ...more] = natState(RDID, { externalAddresses, portMappings: [] }).sources;
  t.match(ranged, /meta l4proto \{ tcp, udp \} .* snat ip to 198\.51\.100\.101:1024-2047$/);
  t.match(whole, / snat ip to 198\.51\.100\.101$/);
  t.same(more, []);
});

t.test('a mapping is one element, with the remote prefix that may use it', async (t) => {
  const { mappings } = natState(
    RDID,
    plan(
      [A],
      [
        mapping(),
        mapping({ protocol: 'udp', externalPort: 53, internalPort: 53, remotePrefix: '203.0.113.0/24' }),
      ],
    ),
  );
  t.same(
    [...mappings],
    [
      [`${A} . tcp . 8080 . 0.0.0.0/0`, '10.1.1.12 . 80'],
      [`${A} . udp . 53 . 203.0.113.0/24`, '10.1.1.12 . 53'],
    ],
  );
});

t.test('equal policies make no change', async (t) => {
  for (const policy of [undefined, plan([A]), plan([A, B], [mapping(), mapping({ externalPort: 9 })])])
    t.same(change(policy, policy), []);
});

t.test('a mapping that is added is one command, and touches nothing else', async (t) => {
  t.same(change(plan([A]), plan([A], [mapping()])), [
    `add element inet hnvgw mappings { ${A} . tcp . 8080 . 0.0.0.0/0 : 10.1.1.12 . 80 }`,
  ]);
  t.same(change(plan([A], [mapping()]), plan([A])), [
    `delete element inet hnvgw mappings { ${A} . tcp . 8080 . 0.0.0.0/0 }`,
  ]);
});

t.test('a mapping that leads elsewhere is taken out before it is put in again', async (t) => {
  t.same(change(plan([A], [mapping()]), plan([A], [mapping({ internalPort: 81 })])), [
    `delete element inet hnvgw mappings { ${A} . tcp . 8080 . 0.0.0.0/0 }`,
    `add element inet hnvgw mappings { ${A} . tcp . 8080 . 0.0.0.0/0 : 10.1.1.12 . 81 }`,
  ]);
});

t.test('mappings in another order are the same', async (t) => {
  const [one, two] = [mapping(), mapping({ externalPort: 9 })];
  t.same(change(plan([A], [one, two]), plan([A], [two, one])), []);
});

t.test(
  'another external address is there before its rule is, and the old one is left for later',
  async (t) => {
    const lines = change(plan([A]), plan([B]));
    const [rule = ''] = natState(RDID, plan([B])).sources;
    t.same(lines, [
      `add element inet hnvgw external { ${B} }`,
      'flush chain inet hnvgw source',
      `add rule inet hnvgw source ${rule} comment "${ruleMark(rule)}"`,
    ]);
    t.equal(withoutExternals([A, B]), `delete element inet hnvgw external { ${A}, ${B} }`);
  },
);

t.test('a change of the port range changes the source rules alone', async (t) => {
  const ranged: NatPlan = {
    externalAddresses: [{ address: A, portStart: 1024, portEnd: 2047 }],
    portMappings: [],
  };
  const verbs = change(plan([A]), ranged).map((line) => line.split(' ').slice(0, 2).join(' '));
  t.same(verbs, ['flush chain', 'add rule', 'add rule']);
});

t.test('source rules in another order, as somebody’s hand may have left them, are put right', async (t) => {
  const want = natState(RDID, plan([A, B]));
  const sourceMarks = want.sources.map(ruleMark).toReversed();
  t.match(
    natChanges({ ...present(want), sourceMarks }, want),
    /^flush chain inet hnvgw source\nadd rule .*\nadd rule /,
  );
});

t.test('each family shares its own external addresses, by its own source', async (t) => {
  const { externals, sources } = natState(RDID, plan([A, A6, B6]));
  t.same(externals, new Set([A, A6, B6]));
  t.match(sources[0], /^oifname "ext" meta nfproto ipv4 .* snat ip to 198\.51\.100\.101$/);
  t.match(sources[1], /jhash ip6 saddr mod 2 seed \d+ == 0 .* snat ip6 to 2001:db8:100::101$/);
  t.match(sources[2], /jhash ip6 saddr mod 2 seed \d+ == 1 .* snat ip6 to 2001:db8:100::102$/);
  t.equal(sources.length, 3);
});

t.test('an IPv6 address with a port range stands in brackets', async (t) => {
  const externalAddresses = [{ address: A6, portStart: 1024, portEnd: 2047 }];
  const [ranged] = natState(RDID, { externalAddresses, portMappings: [] }).sources;
  t.match(ranged, /meta l4proto \{ tcp, udp \} .* snat ip6 to \[2001:db8:100::101\]:1024-2047$/);
});

t.test('elements go into the set and the map of their family', async (t) => {
  const of6 = mapping({ externalAddress: A6, internalAddress: 'fd00:1::12' });
  t.same(change(undefined, plan([A, A6], [mapping(), of6])).slice(0, 4), [
    `add element inet hnvgw external { ${A} }`,
    `add element inet hnvgw external6 { ${A6} }`,
    `add element inet hnvgw mappings { ${A} . tcp . 8080 . 0.0.0.0/0 : 10.1.1.12 . 80 }`,
    `add element inet hnvgw mappings6 { ${A6} . tcp . 8080 . ::/0 : fd00:1::12 . 80 }`,
  ]);
  t.same(withoutExternals([A, A6]).split('\n'), [
    `delete element inet hnvgw external { ${A} }`,
    `delete element inet hnvgw external6 { ${A6} }`,
  ]);
});

t.test('segments fit into the smaller of both links', async (t) => {
  const sizes = (tenant: number, external: number): (string | undefined)[] =>
    stateOf(RDID, undefined, { tenant, external }).segments.map((rule) => /set (\d+)$/.exec(rule)?.[1]);
  t.same(sizes(1458, 1500), ['1418', '1398']);
  t.same(sizes(8958, 1500), ['1460', '1440']);
});

t.test('another MTU changes the rules of segments alone', async (t) => {
  const lines = natChanges(
    present(stateOf(RDID, plan([A]), MTU)),
    stateOf(RDID, plan([A]), { ...MTU, tenant: 1438 }),
  ).split('\n');
  t.same(
    lines.map((line) => line.split(' ').slice(0, 5).join(' ')),
    ['flush chain inet hnvgw segments', 'add rule inet hnvgw segments', 'add rule inet hnvgw segments'],
  );
});

t.test('the mark of a conversation is 32 bits of an IPv6 address’s digest', async (t) => {
  t.not(conversationMark(A6), conversationMark(B6));
  t.equal(conversationMark(A6), conversationMark(A6));
  t.ok(conversationMark(A6) < 2 ** 32);
});

t.test('the mark of a conversation is its external IPv4 address as a number', async (t) => {
  t.equal(conversationMark('198.51.100.101'), 0xc6336465);
  t.equal(conversationMark('0.0.0.1'), 1);
});

t.test(
  'the skeleton drops what no rule of it lets through, and carries the mark that it is known by',
  async (t) => {
    const script = skeletonScript(false);
    t.match(script, /^table inet hnvgw \{/);
    t.ok(script.includes(`counter drop comment "${skeletonMark}"`));
    t.match(script, /chain leaving \{\s+type filter hook postrouting priority 300; policy drop;/);
    t.match(script, /chain input \{\s+type filter hook input priority filter; policy drop;/);
    t.equal(skeletonScript(true), `delete table inet hnvgw\n${script}`);
  },
);
