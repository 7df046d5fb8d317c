/** What the tests of the store begin with: a folder of their own, capacities, and resources. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { LookupRecord, VmPort } from '../../src/policy/resources.ts';
import type { DesiredState } from '../../src/policy/state.ts';
import type { StoreCapacity } from '../../src/store/capacity.ts';
import type { DocumentEntry, Entry, Store } from '../../src/store/store.ts';

export const capacity: StoreCapacity = {
  routingDomains: 64,
  lookupRecords: 200_000,
  customerRoutes: 1000,
  externalAddresses: 1000,
  siteConnections: 1000,
  ports: 1000,
};

export const contoso = '11111111-0000-0000-0000-00000000000a';
export const fabrikam = '22222222-0000-0000-0000-00000000000b';

/** A path for a store in a folder of its own, which goes when the test ends. */
export function storePath(t: { teardown(done: () => void): void }): string {
  const folder = mkdtempSync(join(tmpdir(), 'hnvgw-store-'));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  return join(folder, 'store.db');
}

export function record(customerAddress: string, virtualSubnetId = 5001): LookupRecord {
  return {
    customerAddress,
    virtualSubnetId,
    macAddress: '02:00:00:00:00:01',
    providerAddress: '192.0.2.1',
    type: 'static',
  };
}

/** A port of a VM with the address. */
export function port(virtualSubnetId: number, customerAddress: string): VmPort {
  const macAddress = `02:00:00:00:01:${customerAddress.slice(-1).padStart(2, '0')}`;
  return { virtualSubnetId, macAddress, customerAddresses: [customerAddress], learn: false };
}

/** A document of one routing domain with so many records, at most 30,000. */
export function domainDocument(rdid: string, vsid: number, records: number): DocumentEntry[] {
  const entries: Entry[] = [
    { kind: 'routingDomain', rdid, id: '', value: { name: `domain of ${vsid}` } },
    { kind: 'virtualSubnet', rdid, id: `${vsid}`, value: { addressPrefixes: ['10.0.0.0/8'] } },
  ];
  for (let n = 0; n < records; n++) {
    const value = record(`10.1.${n >> 7}.${2 + (n & 127)}`, vsid);
    entries.push({ kind: 'lookupRecord', rdid, id: `vm${n}`, value });
  }
  return entries.map((entry, index) => ({ entry, pointer: `/items/${index}` }));
}

/** A domain with one subnet, 10.0.0.0/8, and a gateway subnet. */
export async function putDomain(store: Store, rdid: string, vsid: number): Promise<void> {
  await Promise.all([
    store.put({ kind: 'routingDomain', rdid }, { name: `domain of ${vsid}` }),
    store.put({ kind: 'virtualSubnet', rdid, id: `${vsid}` }, { addressPrefixes: ['10.0.0.0/8'] }),
    store.put(
      { kind: 'virtualSubnet', rdid, id: `${vsid + 1}` },
      { addressPrefixes: ['192.168.254.0/29'], isGatewaySubnet: true },
    ),
  ]);
}

/** A copy that later changes of the store do not reach. */
export function snapshot(state: DesiredState): unknown {
  return structuredClone({
    domains: new Map([...state.domains].sort(([a], [b]) => (a < b ? -1 : 1))),
    providerAddresses: state.providerAddresses,
    providerRoutes: state.providerRoutes,
    ports: state.ports,
    portsByVsid: state.portsByVsid,
    vsidOwners: state.vsidOwners,
    externalAddresses: state.externals.addresses,
    externalPrefixes: state.externals.prefixes,
    poolUsers: state.externals.poolUsers,
    externalAddressPools: state.externalAddressPools,
  });
}
