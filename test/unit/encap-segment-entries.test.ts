// What forwarding without NAT becomes in the data plane's maps: nothing before the context's link is there.
import t from 'tap';
import { type DomainEntries, type DomainMap, domainEntries, domainMaps } from '../../src/encap/entries.ts';
import {
  decodeInterfaceKey,
  decodeRouteKey,
  decodeSegment,
  decodeSegmentAddressKey,
  decodeSegmentKey,
  decodeSegmentPort,
} from '../../src/encap/layout.generated.ts';
import { entryOwner } from '../../src/node/entry-owner.ts';
import { addressFromBytes } from '../../src/policy/address.ts';
import type { DomainPlan, ForwardingPlan } from '../../src/policy/plan.ts';
import type { DomainState } from '../../src/policy/state.ts';

const MAC = '02:cd:00:00:00:01';
const forwarding: ForwardingPlan = {
  uplink: 'eth1',
  mac: MAC,
  addresses: ['192.0.2.2/29', '192.0.2.3/29'],
  routes: [{ prefix: '0.0.0.0/0', nextHops: ['192.0.2.1'] }],
  advertise: ['10.1.0.0/16'],
};
const plan: DomainPlan = {
  ...{ rdid: 'r', handle: 7, subnets: [], sources: [], records: [], wildcards: [], routes: [], ports: [] },
  ...{ siteConnections: [], pending: [], forwarding },
  context: {
    ...{ vsid: 5099, addresses: ['10.254.254.2'], mac: '02:00:00:00:00:fe', providerAddress: '192.168.4.1' },
    ...{ routerAddresses: ['10.254.254.1'], tenantPrefixes: [] },
  },
};
const context = {
  ...{ tenantIfindex: 3, externalIfindex: 4, externalMac: '02:cc:00:00:00:01', uplinkIfindex: 2, mtu: 1458 },
  tunnel: { ifindex: 1, mtu: 1500, mac: '02:aa:00:00:00:01' },
};
const segment = { ifindex: 5, uplinkIfindex: 6 };
const own: readonly DomainMap[] = ['forwarded', 'segment_addresses', 'segment_ports', 'segments'];

const bytes = (text: string): Uint8Array => Buffer.from(text, 'latin1');
const mac = (of: Uint8Array): string => Buffer.from(of).toString('hex').replace(/..\B/g, '$&:');
function entriesOf(changes: Partial<ForwardingPlan> = {}): DomainEntries {
  const changed = { ...plan, forwarding: { ...forwarding, ...changes } };
  return domainEntries(changed, { context: { ...context, segment }, ports: new Map() });
}
const keysOf = <T>(entries: Map<string, string>, decode: (key: Uint8Array) => T): T[] =>
  [...entries.keys()].map((key) => decode(bytes(key)));
/** The addresses of `segment_addresses`, which are all on the same network. */
function addressesOf(entries: DomainEntries, vlan: number): string[] {
  const keys = keysOf(entries.segment_addresses, decodeSegmentAddressKey);
  t.ok(keys.every((key) => key.ifindex === segment.uplinkIfindex && key.vlan === vlan));
  return keys.map(({ address }) => addressFromBytes(address));
}

t.test('on the untagged network: a MAC, addresses, and what is routed', async (t) => {
  const entries = entriesOf();
  t.match(keysOf(entries.segments, decodeSegmentKey), [{ ifindex: 6, vlan: 0 }]);
  t.same(
    keysOf(entries.segments, (key) => mac(decodeSegmentKey(key).mac)),
    [MAC],
  );
  t.same(addressesOf(entries, 0), ['192.0.2.2', '192.0.2.3']);
  for (const map of ['segments', 'segment_addresses'] as const)
    for (const value of entries[map].values())
      t.same(decodeSegment(bytes(value)), { domain: 7, ifindex: 5 }, map);
  const [[key = '', value = ''] = []] = [...entries.segment_ports];
  t.same(decodeInterfaceKey(bytes(key)), { ifindex: 5 });
  const port = decodeSegmentPort(bytes(value));
  t.match(port, { domain: 7, uplinkIfindex: 6, vlan: 0 });
  t.equal(mac(port.mac), MAC);
  t.match(
    keysOf(entries.forwarded, (each) => {
      const { prefixLength, domain, address } = decodeRouteKey(each);
      return [domain, prefixLength, addressFromBytes(address)];
    }),
    [[7, 32 + 96 + 16, '10.1.0.0']],
  );
});

t.test('in a VLAN: all that everybody there gets as well', async (t) => {
  const entries = entriesOf({ vlanId: 30 });
  t.same(
    keysOf(entries.segments, decodeSegmentKey).map((key) => [key.ifindex, key.vlan, mac(key.mac)]),
    [
      [6, 30, MAC],
      [6, 30, 'ff:ff:ff:ff:ff:ff'],
      [6, 30, '33:33:00:00:00:00'],
    ],
  );
  t.same(addressesOf(entries, 30), ['192.0.2.2', '192.0.2.3']);
});

t.test('with IPv6 the link-local address of the MAC is the context’s own', async (t) => {
  const addresses = ['192.0.2.2/29', '2001:db8::2/64', '2001:db8::3/64'];
  t.same(addressesOf(entriesOf({ addresses }), 0), [
    '192.0.2.2',
    '2001:db8::2',
    '2001:db8::3',
    'fe80::cd:ff:fe00:1',
  ]);
});

t.test('without the link, or without forwarding, there is nothing', async (t) => {
  const { forwarding: _, ...without } = plan;
  const all = [
    domainEntries(plan, { context, ports: new Map() }),
    domainEntries(without, { context: { ...context, segment }, ports: new Map() }),
  ];
  for (const entries of all) for (const map of own) t.equal(entries[map].size, 0, map);
});

t.test('what a packet from the network meets first is filled last, and speaks of forwarding', async (t) => {
  t.same(
    domainMaps.filter((map) => own.includes(map)),
    own,
  );
  for (const map of own) {
    const [[key = '', value = ''] = []] = [...entriesOf()[map]];
    t.same(entryOwner({} as DomainState, map, key, value), { kind: 'forwarding' });
  }
});
