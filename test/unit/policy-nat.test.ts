/** NAT's rules between resources, and what a tenant may change of it. */
import t from 'tap';
import { overlapping, rangeKey, rangeOf } from '../../src/policy/address-ranges.ts';
import { shareOf, shareOfOthers, withoutShare, withShare } from '../../src/policy/external-shares.ts';
import { normalize } from '../../src/policy/normalize.ts';
import type { Nat } from '../../src/policy/resources.ts';
import { checkDelete, checkPut, checkTenantPut } from '../../src/policy/rules.ts';
import { Ordered } from '../../src/store/ordered.ts';
import { type NatInput, natPolicy } from '../lab/nat-policy.ts';
import { CONTOSO, FABRIKAM, type Put, put, refusalOf, stateOf } from './policy-state.ts';

const subnet = (vsid: number, ...addressPrefixes: string[]) =>
  put('virtualSubnet', CONTOSO, String(vsid), { addressPrefixes });
const natOf = (rdid: string, given: NatInput) => put('nat', rdid, undefined, natPolicy(given));
const ipAddress = '203.0.113.10';
const block = (portStart: number, portEnd: number) => ({ ipAddress, portStart, portEnd });
const auto = (given: NatInput = {}): NatInput => ({ externalAddresses: 'auto', ...given });

t.test('shares of an address are in order, and one of another domain that overlaps is found', async (t) => {
  const rdids = Array.from({ length: 1008 }, (_, n) => `domain ${n}`);
  const shareAt = (n: number) =>
    shareOf(rdids[n] ?? '', { portStart: 1024 + 64 * n, portEnd: 1024 + 64 * n + 63 });
  let shares = withShare(undefined, shareAt(500));
  for (const [n] of rdids.entries()) if (n !== 500) shares = withShare(shares, shareAt(n));
  t.strictSame(
    shares,
    rdids.map((_, n) => shareAt(n)),
  );
  for (const n of [0, 1, 500, 1007]) {
    t.equal(shareOfOthers(shares, shareAt(n)), undefined, 'its own is not in its way');
    t.strictSame(shareOfOthers(shares, { ...shareAt(n), rdid: 'another' }), shareAt(n));
    const { portStart, portEnd } = shareAt(n);
    t.strictSame(shareOfOthers(shares, shareOf('another', { portStart: portEnd, portEnd })), shareAt(n));
    t.strictSame(shareOfOthers(shares, shareOf('another', { portStart, portEnd: portStart })), shareAt(n));
    t.equal(
      shareOfOthers(withoutShare(shares, rdids[n] ?? ''), { ...shareAt(n), rdid: 'another' }),
      undefined,
    );
  }
  t.strictSame(shareOfOthers(shares, shareOf('another', {})), shareAt(0), 'a whole address');
  t.equal(shareOfOthers(shares, shareOf('another', { portStart: 1, portEnd: 1023 })), undefined);
  t.equal(shareOfOthers(undefined, shareOf('another', {})), undefined);
  const whole = withShare(undefined, shareOf(CONTOSO, {}));
  t.match(shareOfOthers(whole, shareOf(FABRIKAM, { portStart: 7, portEnd: 7 })), { rdid: CONTOSO });
});

t.test('of many addresses and prefixes those that overlap are found', async (t) => {
  const texts = ['2001:db8:1::/48', '2001:db8:2::1', '2001:db8:2::2', '2001:db8:3::/64', '2001:db8:3:1::/64'];
  for (let n = 0; n < 2000; n++) texts.push(`2001:db8:4::${n.toString(16)}`);
  const ranges = new Ordered<string, ReturnType<typeof rangeOf>>();
  for (const text of texts.toReversed()) ranges.set(rangeKey(rangeOf(text)), rangeOf(text));
  const found = (text: string) => [...overlapping(ranges, text)];
  t.strictSame(found('2001:db8:1::7'), ['2001:db8:1::/48']);
  t.strictSame(found('2001:db8:1:ffff::/64'), ['2001:db8:1::/48']);
  t.strictSame(found('2001:db8:2::/48'), ['2001:db8:2::1', '2001:db8:2::2']);
  t.strictSame(found('2001:db8:2::2'), ['2001:db8:2::2']);
  t.strictSame(found('2001:db8:3::/63'), ['2001:db8:3::/64', '2001:db8:3:1::/64']);
  t.strictSame(found('2001:db8:2::3'), []);
  t.strictSame(found('2001:db8::/48'), []);
  t.equal(found('2001:db8::/32').length, texts.length);
});

const plain = { externalAddresses: [{ ipAddress }] };
const inside = { prefix: '2001:db8:9::/64', internalPrefix: 'fd00:9::/64' };
const inUse: [what: string, nat: NatInput, shown: RegExp][] = [
  [
    'oneToOne',
    { ...plain, oneToOne: [{ externalIpAddress: ipAddress, internalIpAddress: '10.1.1.4' }] },
    /oneToOne to 10\.1\.1\.4/,
  ],
  ['an external prefix', { externalPrefixes: [inside] }, /external prefix 2001:db8:9::\/64/],
];
for (const [what, nat, shown] of inUse) {
  t.test(`a virtual subnet that ${what} needs stays, and so do its prefixes`, async (t) => {
    const state = stateOf([
      subnet(5001, '10.1.1.0/24', 'fd00:9::/64'),
      subnet(5002, '10.1.2.0/24'),
      natOf(CONTOSO, nat),
    ]);
    const key = { kind: 'virtualSubnet', rdid: CONTOSO, id: '5001' } as const;
    for (const refused of [
      () => checkDelete(state, key),
      () => checkPut(state, key, { addressPrefixes: ['10.9.0.0/24'] }),
    ]) {
      const refusal = refusalOf(refused);
      t.match(refusal, { code: 'HNV_IN_USE', rule: 'virtual-subnet-in-use' });
      t.match(refusal.message, what === 'oneToOne' ? /10\.1\.1\.4/ : shown);
    }
    checkPut(state, key, { addressPrefixes: ['10.1.1.0/25', 'fd00:9::/48'] });
    checkDelete(state, { ...key, id: '5002' });
  });
}

t.test('a provider address is in no external prefix and is no external address', async (t) => {
  const state = stateOf([
    subnet(5001, 'fd00:9::/64'),
    natOf(CONTOSO, {
      externalAddresses: [block(1024, 2047), { ipAddress: '2001:db8:8::1' }],
      externalPrefixes: [inside],
    }),
  ]);
  for (const id of [ipAddress, '2001:db8:8::1', '2001:db8:9::5']) {
    const value = { interface: 'eth0', prefixLength: 24 };
    const refusal = refusalOf(() => checkPut(state, { kind: 'providerAddress', id }, value));
    t.match(refusal, {
      rule: 'provider-address-external',
      forOperators: `That is routing domain ${CONTOSO}.`,
    });
    t.notMatch(refusal.message, CONTOSO);
  }
  checkPut(state, { kind: 'providerAddress', id: '2001:db8:8::2' }, { interface: 'eth0', prefixLength: 64 });
});

const others: [what: string, theirs: NatInput, ours: NatInput, isFree: boolean, operators?: RegExp][] = [
  [
    'blocks side by side',
    { externalAddresses: [block(1024, 2047)] },
    { externalAddresses: [block(2048, 4095)] },
    true,
  ],
  [
    'blocks that overlap',
    { externalAddresses: [block(1024, 2048)] },
    { externalAddresses: [block(2048, 4095)] },
    false,
    /ports 1024 to 2048/,
  ],
  [
    'a block of a whole address',
    plain,
    { externalAddresses: [block(2048, 4095)] },
    false,
    /It is an external address of/,
  ],
  [
    'the whole of an address with a block',
    { externalAddresses: [block(1, 1)] },
    plain,
    false,
    /ports 1 to 1 /,
  ],
  [
    'a prefix around an address',
    { externalAddresses: [{ ipAddress: '2001:db8:9::7' }] },
    { externalPrefixes: [inside] },
    false,
    /has external address 2001:db8:9::7 of/,
  ],
  [
    'an address in a prefix',
    { externalPrefixes: [inside] },
    { externalAddresses: [{ ipAddress: '2001:db8:9::7' }] },
    false,
    /in external prefix 2001:db8:9::\/64/,
  ],
  [
    'the same prefix',
    { externalPrefixes: [inside] },
    { externalPrefixes: [inside] },
    false,
    /overlaps external prefix/,
  ],
  [
    'a prefix around a prefix',
    { externalPrefixes: [inside] },
    { externalPrefixes: [{ prefix: '2001:db8:9::/48', internalPrefix: 'fd00:9::/48' }] },
    false,
    /overlaps external prefix 2001:db8:9::\/64/,
  ],
  [
    'a longer prefix in a prefix',
    { externalPrefixes: [{ prefix: '2001:db8:9::/48', internalPrefix: 'fd00:9::/48' }] },
    { externalPrefixes: [inside] },
    false,
    /overlaps external prefix 2001:db8:9::\/48/,
  ],
  [
    'prefixes side by side',
    { externalPrefixes: [{ prefix: '2001:db8:8::/64', internalPrefix: 'fd00:9::/64' }] },
    { externalPrefixes: [inside] },
    true,
  ],
];
for (const [what, theirs, ours, isFree, operators] of others) {
  t.test(
    `${what} of another domain: ${isFree ? 'both have theirs' : 'refused, and only operators are told whose'}`,
    async (t) => {
      const state = stateOf([subnet(5001, 'fd00:9::/64'), natOf(FABRIKAM, theirs)]);
      const write = () => checkPut(state, { kind: 'nat', rdid: CONTOSO }, natPolicy(ours));
      if (isFree) {
        t.doesNotThrow(write);
        return;
      }
      const refusal = refusalOf(write);
      t.match(refusal, { code: 'HNV_CONFLICT', rule: /^external-(address|prefix)-available$/ });
      t.match(refusal.forOperators, operators);
      t.match(refusal.forOperators, FABRIKAM);
      t.notMatch(refusal.message, FABRIKAM);
    },
  );
}

const pool = put('externalAddressPool', undefined, 'p', { prefixes: ['203.0.113.0/24'] });
const held = auto({
  pool: 'p',
  allocatedAddress: { ipAddress },
  maxSessions: 1000,
  externalPrefixes: [inside],
});
const tenants: [what: string, has: NatInput, wants: NatInput, pointer?: string][] = [
  ['keeps what it has', held, held],
  ['leaves out what it was given', held, auto({ pool: 'p', maxSessions: 1000 })],
  ['takes the address by name', held, { ...plain, maxSessions: 1000 }],
  ['keeps a prefix alone', held, { externalPrefixes: [inside], maxSessions: 1000 }],
  [
    'changes what is inside of a prefix',
    held,
    { ...held, externalPrefixes: [{ ...inside, internalPrefix: 'fd00:7::/64' }] },
  ],
  [
    'changes timeouts, filtering, hairpinning, ALGs',
    held,
    {
      ...held,
      timeouts: { udp: 30 },
      filtering: { udp: 'endpointIndependent' },
      hairpinning: 'external',
      algs: ['ftp'],
    },
  ],
  [
    'makes its address one-to-one',
    held,
    { ...held, oneToOne: [{ externalIpAddress: ipAddress, internalIpAddress: '10.1.1.4' }] },
  ],
  ['keeps a block', { externalAddresses: [block(1024, 2047)] }, { externalAddresses: [block(1024, 2047)] }],
  [
    'asks for another address of the pool',
    held,
    { ...held, allocatedAddress: { ipAddress: '203.0.113.9' } },
    '/allocatedAddress/ipAddress',
  ],
  ['asks for another pool', held, { ...held, pool: 'q' }, '/pool'],
  ['asks for any pool', held, auto({ maxSessions: 1000 }), '/pool'],
  ['asks for an address of a pool', plain, auto(), '/externalAddresses'],
  [
    'asks for the whole of an address that it has a block of',
    { externalAddresses: [block(1024, 2047)] },
    plain,
    '/externalAddresses/0/ipAddress',
  ],
  [
    'asks for a prefix',
    held,
    { ...held, externalPrefixes: [{ ...inside, prefix: '2001:db8:8::/64' }] },
    '/externalPrefixes/0/prefix',
  ],
  ['raises its limit', held, { ...held, maxSessions: 1001 }, '/maxSessions'],
  ['lowers its limit', held, { ...held, maxSessions: 999 }, '/maxSessions'],
  ['sets a limit', plain, { ...plain, maxSessions: 1000 }, '/maxSessions'],
  ['takes its limit away', { ...plain, maxSessions: 1000 }, plain, '/maxSessions'],
];
for (const [what, has, wants, pointer] of tenants) {
  t.test(`a tenant that ${what} is ${pointer === undefined ? 'free to' : 'refused'}`, async (t) => {
    const puts: Put[] = [
      pool,
      subnet(5001, '10.1.1.0/24', 'fd00:9::/64', 'fd00:7::/64'),
      natOf(CONTOSO, has),
    ];
    const state = stateOf(puts);
    const write = () => checkTenantPut(state, { kind: 'nat', rdid: CONTOSO }, natPolicy(wants));
    if (pointer === undefined) t.doesNotThrow(write);
    else t.match(refusalOf(write), { code: 'HNV_INVALID_FIELD', rule: /-given$/, pointer });
  });
}

t.test('a tenant whose domain has no NAT has nothing to keep', async (t) => {
  const state = stateOf([subnet(5001, '10.1.1.0/24')]);
  for (const wants of [plain, auto(), { externalPrefixes: [inside] }])
    t.match(
      refusalOf(() => checkTenantPut(state, { kind: 'nat', rdid: CONTOSO }, natPolicy(wants))),
      { rule: /-given$/ },
    );
});

t.test('values at the edge of a rule are accepted, and written in one form', async (t) => {
  const prefixes: [given: object, normal: object][] = [
    [{ prefix: '2001:DB8::/32' }, { prefix: '2001:db8::/32' }],
    [{ prefix: '2001:db8:0:0::1/128' }, { prefix: '2001:db8::1/128' }],
    [
      { prefix: '2001:db8::/64', internalPrefix: 'FD00::/64' },
      { prefix: '2001:db8::/64', internalPrefix: 'fd00::/64' },
    ],
    [
      { prefix: '2001:db8::/32', internalPrefix: 'fd00::/32' },
      { prefix: '2001:db8::/32', internalPrefix: 'fd00::/32' },
    ],
  ];
  for (const [given, normal] of prefixes) {
    const once = natPolicy({ externalPrefixes: [given] as Nat['externalPrefixes'] });
    t.strictSame(once.externalPrefixes, [normal]);
    t.strictSame(natPolicy(once), once);
  }
  const mapping = { protocol: 'tcp' as const, internalIpAddress: '10.1.1.4', internalPort: 80 };
  const staticMappings = [1024, 2047].map((externalPort) => ({
    ...{ ...mapping, externalIpAddress: ipAddress, externalPort },
  }));
  t.equal(natPolicy({ externalAddresses: [block(1024, 2047)], staticMappings }).staticMappings.length, 2);
  for (const pool of [
    { prefixes: ['203.0.0.0/16'], portBlockSize: 64 },
    { prefixes: ['2001:db8::/112'], portBlockSize: 64512 },
    { prefixes: ['203.0.113.0/32', '203.0.113.1/32', '2001:db8::/113'] },
  ])
    t.strictSame(normalize('externalAddressPool', pool), pool);
});
