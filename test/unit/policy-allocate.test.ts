import t from 'tap';
import { Reserved, withAllocation } from '../../src/policy/allocate.ts';
import { poolSpace } from '../../src/policy/pool-space.ts';
import type { ExternalAddress, ExternalAddressPool, Nat } from '../../src/policy/resources.ts';
import type { ExternalOwners } from '../../src/store/external-owners.ts';
import { forGood } from '../../src/store/undo.ts';
import { natPolicy } from '../lab/nat-policy.ts';
import { CONTOSO, FABRIKAM, put, refusalOf, stateOf } from './policy-state.ts';

const rdidOf = (n: number) => `00000000-0000-4000-8000-${n.toString(16).padStart(12, '0')}`;
const pool = (name: string, prefixes: string[], portBlockSize?: number) =>
  put('externalAddressPool', undefined, name, {
    prefixes,
    ...(portBlockSize === undefined ? {} : { portBlockSize }),
  });
const auto = (more: Partial<Nat> = {}): Nat => natPolicy({ externalAddresses: 'auto', ...more });
const explicit = (rdid: string, ...externalAddresses: ExternalAddress[]) =>
  put('nat', rdid, undefined, natPolicy({ externalAddresses }));
const given = (state: ReturnType<typeof stateOf>, rdid: string, nat = auto(), held?: Nat) =>
  withAllocation(state, rdid, nat, held).allocatedAddress;

t.test('a pool gives all of its addresses, the first and the last ones too', async (t) => {
  const value: ExternalAddressPool = {
    prefixes: ['203.0.113.0/31', '203.0.113.9/32', '2001:db8::ff00/120'],
  };
  const space = poolSpace(value);
  t.equal(space.slots, 259);
  t.strictSame(
    [0, 1, 2, 3, 258].map((n) => space.address(n)),
    ['203.0.113.0', '203.0.113.1', '203.0.113.9', '2001:db8::ff00', '2001:db8::ffff'],
  );
  t.throws(() => space.address(259), RangeError);
  const blocks = poolSpace({ ...value, portBlockSize: 1000 });
  t.equal(blocks.blocks, 64);
  t.strictSame(blocks.slot('203.0.113.0', 63), {
    ipAddress: '203.0.113.0',
    portStart: 64024,
    portEnd: 65023,
  });
  t.strictSame(
    [
      { ipAddress: '203.0.113.9', portStart: 64024, portEnd: 65023 },
      { ipAddress: '203.0.113.9', portStart: 65024, portEnd: 66023 },
      { ipAddress: '203.0.113.9', portStart: 1025, portEnd: 2024 },
      { ipAddress: '203.0.113.9', portStart: 1024, portEnd: 2025 },
      { ipAddress: '203.0.113.9' },
      { ipAddress: '203.0.113.10', portStart: 1024, portEnd: 2023 },
    ].map((slot) => blocks.hasSlot(slot)),
    [true, false, false, false, false, false],
  );
});

t.test('every address and block of a pool is given once, and then there is no room', async (t) => {
  for (const [prefixes, size, slots] of [
    [['203.0.113.0/28', '2001:db8::/124'], undefined, 32],
    [['203.0.113.0/31'], 4096, 30],
  ] as const) {
    const state = stateOf([pool('p', [...prefixes], size)]);
    const owners = state.externals as ExternalOwners;
    const all = new Set<string>();
    for (let n = 0; n < slots; n++) {
      const nat = withAllocation(state, rdidOf(n), auto(), undefined);
      all.add(JSON.stringify(nat.allocatedAddress));
      owners.take(rdidOf(n), nat, state.externalAddressPools, forGood);
    }
    t.equal(all.size, slots);
    const refusal = refusalOf(() => given(state, rdidOf(slots)));
    t.match(refusal, { code: 'HNV_CONFLICT', rule: 'pool-room', pointer: '/externalAddresses' });
    t.match(
      refusalOf(() => given(state, rdidOf(slots), auto({ pool: 'p' }))).message,
      /external address pool p has no address that is free/,
    );
  }
});

t.test('a domain without an address gets the same one each time, and RDIDs spread', async (t) => {
  const state = stateOf([pool('p', ['203.0.113.0/24'])]);
  t.strictSame(given(state, CONTOSO), given(state, CONTOSO));
  const first = new Set(Array.from({ length: 64 }, (_, n) => given(state, rdidOf(n))?.ipAddress));
  t.ok(first.size > 40, `${first.size} of 64`);
});

t.test('what a domain asks for, then what it has, comes before any other, if it is free', async (t) => {
  const wish = { ipAddress: '203.0.113.7' };
  const held = auto({ allocatedAddress: { ipAddress: '203.0.113.8' } });
  const state = stateOf([pool('p', ['203.0.113.0/28']), explicit(FABRIKAM, { ipAddress: '203.0.113.9' })]);
  t.strictSame(given(state, CONTOSO, auto({ allocatedAddress: wish }), held), wish);
  t.strictSame(given(state, CONTOSO, auto(), held), held.allocatedAddress);
  for (const ipAddress of ['203.0.113.9', '203.0.113.16', '198.51.100.1'])
    t.strictSame(
      given(state, CONTOSO, auto({ allocatedAddress: { ipAddress } }), held),
      held.allocatedAddress,
    );
  const block = { ...wish, portStart: 1024, portEnd: 2047 };
  t.strictSame(given(state, CONTOSO, auto({ allocatedAddress: block }), held), held.allocatedAddress);
  t.equal(
    withAllocation(state, CONTOSO, natPolicy({ externalAddresses: [wish] }), held).allocatedAddress,
    undefined,
  );
});

t.test('provider addresses and what others have are not given', async (t) => {
  const state = stateOf([
    pool('p', ['203.0.113.0/30', '2001:db8:5::/127']),
    put('providerAddress', undefined, '203.0.113.0', { interface: 'eth0', prefixLength: 24 }),
    explicit(FABRIKAM, { ipAddress: '203.0.113.1', portStart: 9, portEnd: 9 }, { ipAddress: '203.0.113.2' }),
    put('nat', rdidOf(1), undefined, natPolicy({ externalPrefixes: [{ prefix: '2001:db8:5::/64' }] })),
  ]);
  t.strictSame(given(state, CONTOSO), { ipAddress: '203.0.113.3' });
  t.strictSame(
    given(state, FABRIKAM, auto({ allocatedAddress: { ipAddress: '203.0.113.1' } })),
    { ipAddress: '203.0.113.1' },
    'its own',
  );
});

t.test('a block that somebody names by hand is passed over, with those that it reaches into', async (t) => {
  const state = stateOf([
    pool('p', ['203.0.113.1/32'], 16128),
    explicit(FABRIKAM, { ipAddress: '203.0.113.1', portStart: 1024 + 16128 - 1, portEnd: 1024 + 2 * 16128 }),
  ]);
  t.strictSame(given(state, CONTOSO), { ipAddress: '203.0.113.1', portStart: 49408, portEnd: 65535 });
});

t.test('the pool that is named, or the first by name that has room', async (t) => {
  const state = stateOf([pool('b', ['203.0.113.2/32']), pool('a', ['203.0.113.1/32'])]);
  t.strictSame(given(state, CONTOSO)?.ipAddress, '203.0.113.1');
  t.strictSame(given(state, CONTOSO, auto({ pool: 'b' }))?.ipAddress, '203.0.113.2');
  const held = auto({ allocatedAddress: { ipAddress: '203.0.113.1' } });
  t.strictSame(given(state, CONTOSO, auto({ pool: 'b' }), held)?.ipAddress, '203.0.113.2', 'it moves');
  t.match(
    refusalOf(() => given(state, CONTOSO, auto({ pool: 'c' }))),
    { rule: 'pool-exists', pointer: '/pool' },
  );
  t.match(
    refusalOf(() => given(stateOf([]), CONTOSO)),
    { rule: 'pool-room' },
  );
});

t.test('what is reserved for others is not given', async (t) => {
  const state = stateOf([pool('p', ['203.0.113.0/31'])]);
  const reserved = new Reserved();
  reserved.add(FABRIKAM, [{ ipAddress: '203.0.113.0' }]);
  reserved.add(CONTOSO, [{ ipAddress: '203.0.113.0' }]);
  t.equal(
    withAllocation(state, CONTOSO, auto(), undefined, reserved).allocatedAddress?.ipAddress,
    '203.0.113.1',
  );
  t.equal(withAllocation(state, FABRIKAM, auto(), undefined, reserved).pool, undefined);
});
