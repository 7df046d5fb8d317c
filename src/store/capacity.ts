/** How much desired state this node takes: the sizes that the kernel's tables are made with. */
import { HnvError } from '../errors.ts';
import { externalCount } from './external-owners.ts';
import type { MemoryState } from './memory-state.ts';
import type { Entry } from './store.ts';

export interface StoreCapacity {
  /** Highest handle, and so the most routing domains. */
  routingDomains: number;
  /** Lookup records of all domains together. */
  lookupRecords: number;
  /** Customer routes of all domains together. */
  customerRoutes: number;
  /** External addresses and prefixes of all domains together; a block of an address counts as one. */
  externalAddresses: number;
  /** Site connections of all domains together. */
  siteConnections: number;
  /** Ports of VMs on this node. */
  ports: number;
}

/** Throws HNV_CAPACITY when writing the entry would exceed a limit. Domains are counted by their handles instead. */
export function checkCapacity(capacity: StoreCapacity, state: MemoryState, entry: Entry): void {
  const domain = state.domains.get(entry.rdid);
  if (entry.kind === 'port') {
    check('ports', state.ports.size + (state.ports.has(entry.id) ? 0 : 1), capacity);
  } else if (entry.kind === 'lookupRecord') {
    const added = domain?.lookupRecords.has(entry.id) ? 0 : 1;
    check('lookupRecords', state.lookupRecordCount + added, capacity);
  } else if (entry.kind === 'customerRoute') {
    const added = domain?.customerRoutes.has(entry.id) ? 0 : 1;
    check('customerRoutes', state.customerRouteCount + added, capacity);
  } else if (entry.kind === 'nat') {
    const added = externalCount(entry.value) - externalCount(domain?.nat);
    check('externalAddresses', state.externals.count + added, capacity);
  } else if (entry.kind === 'siteConnection') {
    const added = domain?.siteConnections.has(entry.id) ? 0 : 1;
    check('siteConnections', state.siteConnectionCount + added, capacity);
  }
}

const limits = {
  lookupRecords: { what: 'lookup records', rule: 'capacity-lookup-records' },
  customerRoutes: { what: 'customer routes', rule: 'capacity-customer-routes' },
  externalAddresses: { what: 'external addresses', rule: 'capacity-external-addresses' },
  siteConnections: { what: 'site connections', rule: 'capacity-site-connections' },
  ports: { what: 'ports', rule: 'capacity-ports' },
} as const;

function check(limit: keyof typeof limits, wanted: number, capacity: StoreCapacity): void {
  if (wanted <= capacity[limit]) return;
  const { what, rule } = limits[limit];
  throw new HnvError('HNV_CAPACITY', `This node has no room for so many ${what}.`, {
    rule,
    forOperators: `It would have ${wanted}; capacity.${limit} allows ${capacity[limit]}.`,
  });
}
