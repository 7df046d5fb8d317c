/** What forwarding of different routing domains, their NAT and the provider network leave to each other, whichever is written last. */
import t from 'tap';
import { normalize } from '../../src/policy/normalize.ts';
import type { Forwarding, ResourceKind, ResourceTypes } from '../../src/policy/resources.ts';
import { isForwardingTaken } from '../../src/policy/rules/forwarding-owners.ts';
import { checkPut } from '../../src/policy/rules.ts';
import { onVlan, untagged } from '../lab/forwarding-policy.ts';
import { natPolicy } from '../lab/nat-policy.ts';
import { CONTOSO, FABRIKAM, type Put, put, refusalOf, stateOf } from './policy-state.ts';

const key = { kind: 'forwarding', rdid: CONTOSO } as const;
const subnet = (vsid: number, addressPrefixes: string[], rdid = CONTOSO) =>
  put('virtualSubnet', rdid, String(vsid), { addressPrefixes });
const tenant = [subnet(5001, ['10.1.1.0/24', 'fd00:1::/64'])];
const natOf = (ipAddress: string, rdid = CONTOSO) =>
  put('nat', rdid, undefined, natPolicy({ externalAddresses: [{ ipAddress }] }));

function write<K extends ResourceKind>(state: ReturnType<typeof stateOf>, { key, value }: Put<K>): void {
  checkPut(state, key, normalize(key.kind, value as ResourceTypes[K]));
}

const fabrikam = (value: Forwarding) => put('forwarding', FABRIKAM, undefined, value);
const fabrikamNat = (prefix: string) =>
  put(
    'nat',
    FABRIKAM,
    undefined,
    natPolicy({ externalPrefixes: [{ prefix, internalPrefix: 'fd00:2::/64' }] }),
  );
const provider = (address: string, more: object = {}) =>
  put('providerAddress', undefined, address, { interface: 'eth0', prefixLength: 24, ...more });
const elsewhere = untagged({ addresses: ['192.0.2.3/24'], advertise: ['10.7.0.0/16'] });
const taken: [what: string, other: Put, value: Forwarding, rule: string, pointer: string, whose: RegExp][] = [
  [
    'a VLAN of another domain',
    fabrikam(onVlan()),
    onVlan({ addresses: ['198.18.0.2/24'], nextHops: [] }),
    'forwarding-vlan-unique',
    '/vlanId',
    /belongs to routing domain 2222/,
  ],
  [
    'the VLAN under the name of its interface',
    fabrikam(onVlan()),
    onVlan({ uplink: 'eth0' }),
    'forwarding-vlan-unique',
    '/vlanId',
    /belongs to routing domain 2222/,
  ],
  [
    'the VLAN of a provider address',
    provider('192.168.4.1', { vlanId: 100 }),
    onVlan(),
    'forwarding-vlan-unique',
    '/vlanId',
    /provider address 192.168.4.1/,
  ],
  [
    'an address of another domain',
    fabrikam({ ...elsewhere, addresses: ['192.0.2.2/24'] }),
    untagged(),
    'forwarding-address-available',
    '/addresses/0',
    /192.0.2.2 of the forwarding of .*2222/,
  ],
  [
    'an external address of another domain',
    natOf('192.0.2.2', FABRIKAM),
    untagged(),
    'forwarding-address-available',
    '/addresses/0',
    /external address of .*2222/,
  ],
  [
    'an address in an external prefix of another domain',
    fabrikamNat('2001:db8:7::/64'),
    untagged({ addresses: ['2001:db8:7::2/64'], nextHops: [] }),

    'forwarding-address-available',
    '/addresses/0',
    /external prefix 2001:db8:7::\/64 of .*2222/,
  ],
  [
    'a provider address',
    provider('192.0.2.2'),
    untagged(),
    'forwarding-address-available',
    '/addresses/0',
    /provider address of this node/,
  ],
  [
    'an address in a prefix of another domain',
    fabrikam({ ...elsewhere, advertise: ['203.0.113.0/28'] }),
    untagged({ addresses: ['203.0.113.2/24'], nextHops: [] }),
    'forwarding-address-available',
    '/addresses/0',
    /203.0.113.0\/28 of the forwarding/,
  ],
  [
    'a prefix that overlaps one of another domain',
    fabrikam({ ...elsewhere, advertise: ['10.1.0.0/16'] }),
    untagged(),
    'forwarding-advertise-available',
    '/advertise/0',
    /10.1.0.0\/16 of the forwarding/,
  ],
  [
    'a prefix with an external address in it',
    natOf('10.1.1.77', FABRIKAM),
    untagged(),
    'forwarding-advertise-available',
    '/advertise/0',
    /external address 10.1.1.77 of .*2222/,
  ],
  [
    'a prefix with a provider address in it',
    provider('10.1.1.5'),
    untagged(),
    'forwarding-advertise-available',
    '/advertise/0',
    /provider address 10.1.1.5/,
  ],
];
/** What refuses the other one when it comes last; the VLAN's and the address's own rules are the same. */
const inReverse: Partial<Record<ResourceKind, RegExp>> = {
  forwarding: /^forwarding-(vlan-unique|(address|advertise)-available)$/,
  nat: /^external-(address|prefix)-available$/,
  providerAddress: /^provider-(address|vlan)-forwarding$/,
};
for (const [what, other, value, rule, pointer, whose] of taken) {
  t.test(`${what} is refused by ${rule}, and so is the other when it comes last`, async (t) => {
    const others = [...tenant, subnet(6001, ['10.0.0.0/8', 'fd00:2::/64', '203.0.113.0/28'], FABRIKAM)];
    const state = stateOf([...others, other]);
    const refusal = refusalOf(() => checkPut(state, key, value));
    t.match(refusal, { code: 'HNV_CONFLICT', rule, pointer });
    t.match(refusal.forOperators, whose);
    t.notMatch(refusal.message, /2222|provider address 1/, 'a tenant learns of no other');
    t.equal(isForwardingTaken(state, CONTOSO, value), true);
    const reverse = refusalOf(() =>
      write(stateOf([...others, put('forwarding', CONTOSO, undefined, value)]), other),
    );
    t.equal(reverse.code, 'HNV_CONFLICT');
    t.match(reverse.rule, inReverse[other.key.kind]);
  });
}

t.test('what is on a VLAN, or on another one, is in nobody’s way', async (t) => {
  const own = onVlan({ addresses: ['192.0.2.2/24'], advertise: ['10.1.1.0/24'] });
  for (const other of [
    fabrikam(untagged()),
    fabrikam(onVlan({ vlanId: 101 })),
    fabrikam(onVlan({ uplink: 'eth1' })),
  ]) {
    const state = stateOf([...tenant, subnet(6001, ['10.1.1.0/24'], FABRIKAM), other]);
    checkPut(state, key, own);
    t.equal(isForwardingTaken(state, CONTOSO, own), false);
  }
  const itself = stateOf([...tenant, put('forwarding', CONTOSO, undefined, untagged())]);
  checkPut(itself, key, untagged({ advertise: ['10.1.1.0/25'] }));
});
