/** External addresses, blocks and prefixes go from one domain to another, and are never two domains'. */
import t from 'tap';
import { type Claim, ExternalLeases, type Externals } from '../../src/gateway/external-leases.ts';
import type { NatPlan } from '../../src/policy/plan.ts';
import { natPlan } from '../lab/nat-plan.ts';

const nothing: Externals = { externalAddresses: [], prefixes: [] };

function plan(...externals: string[]): NatPlan {
  return natPlan({
    externalAddresses: externals
      .filter((text) => !text.includes('/'))
      .map((text) => {
        const [address = '', ports] = text.split(' ');
        const [portStart, portEnd] = (ports ?? '').split('-').map(Number);
        return ports === undefined
          ? { address }
          : { address, portStart: portStart ?? 0, portEnd: portEnd ?? 0 };
      }),
    prefixes: externals
      .filter((text) => text.includes('/'))
      .map((external) => ({ external, internal: external })),
  });
}

const granted = ({ plan: { externalAddresses, prefixes } }: Claim): string[] => [
  ...externalAddresses.map(({ address }) => address),
  ...prefixes.map(({ external }) => external),
];

t.test('what overlaps is one domain’s at a time', async (t) => {
  for (const [first, second, isBoth] of [
    ['198.51.100.1', '198.51.100.1', false],
    ['198.51.100.1', '198.51.100.2', true],
    ['198.51.100.1 1024-2047', '198.51.100.1 2048-3071', true],
    ['198.51.100.1 1024-2047', '198.51.100.1 2047-3071', false],
    ['198.51.100.1 1024-2047', '198.51.100.1', false],
    ['2001:db8:1::/48', '2001:db8:1::/48', false],
    ['2001:db8:1::/48', '2001:db8:2::/48', true],
    ['2001:db8:1::/48', '2001:db8:1:5::/64', false],
    ['2001:db8:1:5::/64', '2001:db8:1::/48', false],
    ['2001:db8:1::7', '2001:db8:1::/48', false],
    ['2001:db8:1::/48', '2001:db8:1::7', false],
  ] as const) {
    const leases = new ExternalLeases();
    t.equal(leases.claim('a', plan(first)).blockedUntil, undefined);
    const claim = leases.claim('b', plan(second));
    t.strictSame(granted(claim), isBoth ? [second.split(' ')[0]] : [], `${second} beside ${first}`);
    t.equal(claim.blockedUntil === undefined, isBoth);
    if (claim.blockedUntil === undefined) continue;
    leases.keepOnly('a', nothing);
    await claim.blockedUntil;
    t.strictSame(granted(leases.claim('b', plan(second))), [second.split(' ')[0]]);
  }
});

t.test('two domains change places', async (t) => {
  const leases = new ExternalLeases();
  leases.claim('a', plan('198.51.100.1'));
  leases.claim('b', plan('198.51.100.2'));
  const ofA = leases.claim('a', plan('198.51.100.2'));
  t.strictSame(granted(ofA), []);
  leases.keepOnly('a', ofA.plan);
  const ofB = leases.claim('b', plan('198.51.100.1'));
  t.strictSame(granted(ofB), ['198.51.100.1']);
  leases.keepOnly('b', ofB.plan);
  await ofA.blockedUntil;
  t.strictSame(granted(leases.claim('a', plan('198.51.100.2'))), ['198.51.100.2']);
});

t.test('what goes with an address that is not granted yet is left out', async (t) => {
  const leases = new ExternalLeases();
  leases.claim('a', plan('198.51.100.1'));
  const asked: NatPlan = {
    ...plan('198.51.100.1', '198.51.100.2'),
    portMappings: ['198.51.100.1', '198.51.100.2'].map((externalAddress) => ({
      ...{
        protocol: 'tcp',
        externalAddress,
        externalPort: 80,
        internalAddress: '10.0.0.4',
        internalPort: 80,
      },
    })),
    oneToOne: [{ external: '198.51.100.1', internal: '10.0.0.5' }],
  };
  const { plan: now } = leases.claim('b', asked);
  t.strictSame(
    now.portMappings.map(({ externalAddress }) => externalAddress),
    ['198.51.100.2'],
  );
  t.strictSame(now.oneToOne, []);
});

t.test('a domain keeps what it had until its sessions have ended, and may ask again', async (t) => {
  const leases = new ExternalLeases();
  leases.claim('a', plan('198.51.100.1', '198.51.100.2'));
  t.equal(leases.claim('a', plan('198.51.100.2')).blockedUntil, undefined);
  t.strictSame(granted(leases.claim('b', plan('198.51.100.1'))), []);
  leases.keepOnly('a', plan('198.51.100.2'));
  t.strictSame(granted(leases.claim('b', plan('198.51.100.1', '198.51.100.2'))), ['198.51.100.1']);
});
