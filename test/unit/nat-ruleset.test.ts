/** NAT policy as nftables text: what depends on the policy, and the smallest change between two policies. */
import t from 'tap';
import { emptyNat, natChanges, skeletonScript, natState as stateOf } from '../../src/nat/ruleset.ts';
import { wantedTables } from '../../src/nat/tables.ts';
import type { ExternalAddressPlan, NatPlan, PortMappingPlan } from '../../src/policy/plan.ts';
import { bgpPlan, forwardingPlan } from '../lab/forwarding-plan.ts';
import { natPlan } from '../lab/nat-plan.ts';

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
const plan = (addresses: string[], portMappings: PortMappingPlan[] = []): NatPlan =>
  natPlan({ externalAddresses: addresses.map((address) => ({ address })), portMappings });
const blocks = (...externalAddresses: ExternalAddressPlan[]): NatPlan => natPlan({ externalAddresses });
const natState = (policy: NatPlan | undefined, rdid = RDID) => stateOf(rdid, { nat: policy }, MTU);
const shared = (policy: NatPlan | undefined, rdid = RDID): readonly string[] =>
  natState(policy, rdid).chains.get('shared') ?? [];
const elements = (policy: NatPlan, set: string): [string, string][] => [
  ...(natState(policy).elements.get(set as 'external') ?? []),
];
const change = (from: NatPlan | undefined, to: NatPlan | undefined): string[] =>
  natChanges(natState(from), natState(to))
    .split('\n')
    .filter((line) => line !== '');

t.test('without a policy nothing is translated and no address is the domain’s own', async (t) => {
  t.same(natState(undefined).elements, emptyNat.elements);
  t.same(shared(undefined), []);
  t.same(
    natChanges(emptyNat, natState(undefined))
      .split('\n')
      .map((line) => line.split(' ').slice(0, 5).join(' ')),
    ['reverse_path', 'segments', 'segments', 'outward'].map((chain) => `add rule inet hnvgw ${chain}`),
    'but sources are checked and segments clamped in every context alike, and no site is to be kept apart',
  );
  t.same(wantedTables(RDID, { nat: undefined }), new Map());
});

t.test('one external address takes everything that leaves', async (t) => {
  t.same(elements(plan([A]), 'external'), [[A, '']]);
  t.same(shared(plan([A])), [`meta nfproto ipv4 snat ip to ${A}`]);
  t.same(shared(plan([A6])), [`meta nfproto ipv6 snat ip6 to ${A6}`]);
});

t.test(
  'several external addresses share by a hash of the inner source, each value having its rule',
  async (t) => {
    const addresses = Array.from({ length: 5 }, (_, i) => `198.51.100.${i}`);
    const picks = shared(plan(addresses)).map((rule) =>
      /^jhash ip saddr mod 5 seed (\d+) == (\d) snat ip to (\S+)$/.exec(rule),
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
  t.same(shared(several), shared(several));
  t.notSame(shared(several), shared(several, '22222222-2222-2222-2222-222222222222'));
});

t.test(
  'a block is of TCP and UDP ports and of identifiers of echo requests, and of nothing else',
  async (t) => {
    t.same(shared(blocks({ address: A, portStart: 1024, portEnd: 2047 })), [
      `meta nfproto ipv4 meta l4proto { tcp, udp } snat ip to ${A}:1024-2047`,
      `meta nfproto ipv4 icmp type echo-request snat ip to ${A}:1024-2047`,
    ]);
    t.same(shared(blocks({ address: A6, portStart: 1024, portEnd: 2047 })), [
      `meta nfproto ipv6 meta l4proto { tcp, udp } snat ip6 to [${A6}]:1024-2047`,
      `meta nfproto ipv6 icmpv6 type echo-request snat ip6 to [${A6}]:1024-2047`,
    ]);
  },
);

t.test('an address that is one-to-one is nobody else’s', async (t) => {
  const policy = natPlan({
    externalAddresses: [{ address: A }, { address: B }, { address: A6 }],
    oneToOne: [
      { external: A, internal: '10.1.1.12' },
      { external: A6, internal: 'fd00:1::12' },
    ],
  });
  t.same(shared(policy), [`meta nfproto ipv4 snat ip to ${B}`]);
  t.same(elements(policy, 'inside'), [[A, '10.1.1.12']]);
  t.same(elements(policy, 'outside'), [['10.1.1.12', A]]);
  t.same(elements(policy, 'inside6'), [[A6, 'fd00:1::12']]);
  t.same(elements(policy, 'outside6'), [['fd00:1::12', A6]]);
  t.same(
    change(plan([A, B, A6]), policy).filter((line) => line.includes(' element ')).length,
    4,
    'and is made so by elements',
  );
});

t.test('prefixes are routed by their inside, whatever they are outside', async (t) => {
  const prefixes = [{ external: '2001:db8:5::/64', internal: 'fd00:1::/64' }];
  t.same(elements(natPlan({ prefixes }), 'routed'), [['fd00:1::/64', '']]);
  t.same(shared(natPlan({ prefixes })), []);
});

t.test('a mapping is one element, with the remote prefix that may use it', async (t) => {
  const remotePrefix = '203.0.113.0/24';
  const dns = mapping({ protocol: 'udp', externalPort: 53, internalPort: 53, remotePrefix });
  t.same(elements(plan([A], [mapping(), dns]), 'mappings'), [
    [`${A} . tcp . 8080 . 0.0.0.0/0`, '10.1.1.12 . 80'],
    [`${A} . udp . 53 . 203.0.113.0/24`, '10.1.1.12 . 53'],
  ]);
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
  'another external address changes its elements and the rules that choose, and nothing else',
  async (t) => {
    t.same(change(plan([A]), plan([B])), [
      `delete element inet hnvgw external { ${A} }`,
      `add element inet hnvgw external { ${B} }`,
      'flush chain inet hnvgw shared',
      `add rule inet hnvgw shared meta nfproto ipv4 snat ip to ${B}`,
    ]);
  },
);

t.test('rules in another order, as somebody’s hand may have left them, are put right', async (t) => {
  const want = natState(plan([A, B]));
  const chains = new Map(want.chains).set('shared', (want.chains.get('shared') ?? []).toReversed());
  t.match(
    natChanges({ ...want, chains }, want),
    /^flush chain inet hnvgw shared\nadd rule .*\nadd rule [^\n]*$/,
  );
});

t.test('each family shares its own external addresses, by its own source', async (t) => {
  const rules = shared(plan([A, A6, B6]));
  t.match(rules[0], /^meta nfproto ipv4 snat ip to 198\.51\.100\.101$/);
  t.match(rules[1], /^jhash ip6 saddr mod 2 seed \d+ == 0 snat ip6 to 2001:db8:100::101$/);
  t.match(rules[2], /^jhash ip6 saddr mod 2 seed \d+ == 1 snat ip6 to 2001:db8:100::102$/);
  t.equal(rules.length, 3);
});

t.test('elements go into the set and the map of their family', async (t) => {
  const of6 = mapping({ externalAddress: A6, internalAddress: 'fd00:1::12' });
  t.same(
    change(undefined, plan([A, A6], [mapping(), of6])).filter((line) => line.includes(' element ')),
    [
      `add element inet hnvgw external { ${A} }`,
      `add element inet hnvgw external6 { ${A6} }`,
      `add element inet hnvgw mappings { ${A} . tcp . 8080 . 0.0.0.0/0 : 10.1.1.12 . 80 }`,
      `add element inet hnvgw mappings6 { ${A6} . tcp . 8080 . ::/0 : fd00:1::12 . 80 }`,
    ],
  );
});

t.test('peers are pairs of addresses, and who lets everybody in needs no other', async (t) => {
  const policy = natPlan({
    peers: [
      { localAddress: A, remoteAddress: '203.0.113.7' },
      { localAddress: A, remoteAddress: '203.0.113.8' },
      { localAddress: A6, remoteAddress: '2001:db8:9::7' },
      { localAddress: B },
      { localAddress: B, remoteAddress: '203.0.113.7' },
      { localAddress: B6 },
    ],
  });
  t.same(elements(policy, 'peers'), [
    [`${A} . 203.0.113.7/32`, ''],
    [`${A} . 203.0.113.8/32`, ''],
    [`${B} . 0.0.0.0/0`, ''],
  ]);
  t.same(elements(policy, 'peers6'), [
    [`${A6} . 2001:db8:9::7/128`, ''],
    [`${B6} . ::/0`, ''],
  ]);
});

t.test('what is for a site leaves by no other way, of families that have sites', async (t) => {
  const outward = (...sitePrefixes: string[]) => natState(natPlan({ sitePrefixes })).chains.get('outward');
  const [of4, of6] = ['ip daddr @sites goto own', 'ip6 daddr @sites6 goto own'];
  t.same(outward(), ['accept']);
  t.same(outward('192.168.50.0/24'), [of4, 'accept']);
  t.same(outward('fd00:50::/64'), [of6, 'accept']);
  t.same(outward('192.168.50.0/24', 'fd00:50::/64'), [of4, of6, 'accept']);
});

t.test('a site prefix within another one is not said twice', async (t) => {
  const sites = (...sitePrefixes: string[]) =>
    (['sites', 'sites6'] as const)
      .flatMap((set) => elements(natPlan({ sitePrefixes }), set))
      .map(([key]) => key);
  t.same(
    sites(
      '192.168.0.0/16',
      '192.168.50.0/24',
      '192.168.50.7/32',
      '192.169.0.0/24',
      'fd00::/8',
      'fd00:50::/64',
    ),
    ['192.168.0.0/16', '192.169.0.0/24', 'fd00::/8'],
  );
});

t.test('segments fit into the smaller of both links', async (t) => {
  const sizes = (tenant: number, external: number): (string | undefined)[] =>
    (stateOf(RDID, { nat: undefined }, { tenant, external }).chains.get('segments') ?? []).map(
      (rule) => /set (\d+)$/.exec(rule)?.[1],
    );
  t.same(sizes(1458, 1500), ['1418', '1398']);
  t.same(sizes(8958, 1500), ['1460', '1440']);
});

t.test('segments that go by fwd fit into that link, and not into the uplink', async (t) => {
  const { chains } = stateOf(
    RDID,
    { nat: plan([A]), forwarding: forwardingPlan() },
    { tenant: 8958, external: 1500, forwarding: 4000 },
  );
  const size = (rule: string): string | undefined => /set (\d+)$/.exec(rule)?.[1];
  t.same(chains.get('segments')?.slice(0, 2), [
    'iifname "fwd" goto network_segments',
    'oifname "fwd" goto network_segments',
  ]);
  t.same(chains.get('segments')?.slice(2).map(size), ['1460', '1440']);
  t.same(chains.get('network_segments')?.map(size), ['3960', '3940']);
});

t.test('another list of forwarded prefixes or of BGP peers is a change of elements alone', async (t) => {
  const state = (advertise: string[], ...peers: string[]) =>
    stateOf(RDID, { nat: plan([A]), forwarding: forwardingPlan({ advertise }), bgp: bgpPlan(...peers) }, MTU);
  t.equal(
    natChanges(
      state(['10.1.0.0/16', 'fd00:1::/64'], '192.0.2.1'),
      state(['10.1.0.0/17', 'fd00:1::/64'], '192.0.2.1', '2001:db8:77::1'),
    ),
    [
      'delete element inet hnvgw forwarded { 10.1.0.0/16 }',
      'add element inet hnvgw forwarded { 10.1.0.0/17 }',
      'add element inet hnvgw bgp_peers6 { 2001:db8:77::1 }',
    ].join('\n'),
  );
});

t.test('another MTU changes the rules of segments alone', async (t) => {
  const lines = natChanges(natState(plan([A])), stateOf(RDID, { nat: plan([A]) }, { ...MTU, tenant: 1438 }));
  t.same(
    lines.split('\n').map((line) => line.split(' ').slice(0, 5).join(' ')),
    ['flush chain inet hnvgw segments', 'add rule inet hnvgw segments', 'add rule inet hnvgw segments'],
  );
});

t.test('what comes back in is translated by the node itself, or by nobody', async (t) => {
  const hairpin = (policy: NatPlan) => natState(policy).chains.get('hairpin');
  t.equal(hairpin(plan([A]))?.length, 4);
  t.same(hairpin({ ...plan([A]), hairpinning: 'external' }), []);
});

t.test('a source of the domain’s own comes in from the uplink only where it is sent there', async (t) => {
  const [usual, looped] = [/^meta nfproto ipv6 fib saddr/, /^meta nfproto ipv6 ip6 saddr != @external6 fib/];
  const rule = (policy: NatPlan | undefined) => natState(policy).chains.get('reverse_path')?.[0];
  for (const policy of [undefined, plan([A6]), natPlan({ ...plan([A]), hairpinning: 'external' })])
    t.match(rule(policy), usual);
  t.match(rule({ ...plan([A6]), hairpinning: 'external' }), looped);
  t.match(rule(blocks({ address: A6, portStart: 1024, portEnd: 2047 })), looped);
});

t.test('what few domains ask for has tables of its own', async (t) => {
  const tables = (more: Partial<NatPlan>) => wantedTables(RDID, { nat: natPlan({ ...plan([A]), ...more }) });
  t.same([...tables({}).keys()], []);
  t.same([...tables({ algs: ['ftp'] }).keys()], ['hnvgw_alg']);
  t.same([...tables({ maxSessions: 1 }).keys()], ['hnvgw_limit']);
  t.same(
    [...wantedTables(RDID, { nat: undefined, forwarding: forwardingPlan() }).keys()],
    ['hnvgw_forwarding'],
  );
  const filtering = { tcp: 'addressAndPortDependent', udp: 'endpointIndependent' } as const;
  const bindings = tables({ filtering }).get('hnvgw_bindings');
  t.match(bindings, /meta l4proto udp .*@bindings/);
  t.notMatch(bindings, /meta l4proto tcp/, 'of the protocols that it is asked for');
  t.notMatch(bindings, /update @contacts/, 'and no more than is needed');
  t.same([...wantedTables(RDID, { nat: natPlan({ ...plan([A6]), filtering }) }).keys()], [], 'of IPv4 alone');
});

t.test('a limit of sessions is shared out over buckets, and never more than it is', async (t) => {
  for (const maxSessions of [1, 250, 251, 1000, 1001, 10_000_000]) {
    const text = wantedTables(RDID, { nat: natPlan({ maxSessions }) }).get('hnvgw_limit') ?? '';
    const buckets = Number(/symhash mod (\d+)/.exec(text)?.[1] ?? 1);
    const each = Number(/ct count over (\d+) } add/.exec(text)?.[1]);
    t.ok(buckets * each <= maxSessions && each <= 250, `${buckets} of ${each}`);
    t.ok(maxSessions - buckets * each < buckets, 'and hardly less');
  }
});

t.test('the skeleton drops what no rule of it lets through', async (t) => {
  const script = skeletonScript(false);
  t.match(script, /^table inet hnvgw \{/);
  t.match(script, /chain leaving \{\s+type filter hook postrouting priority 300; policy drop;/);
  t.match(script, /chain input \{\s+type filter hook input priority filter; policy drop;/);
  t.equal(skeletonScript(true), `delete table inet hnvgw\n${script}`);
});
