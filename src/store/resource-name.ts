/** How messages to people name a resource. */
import type { ResourceKind } from '../policy/resources.ts';
import type { ResourceKey } from './store.ts';

const kindNames: Record<ResourceKind, string> = {
  routingDomain: 'routing domain',
  virtualSubnet: 'virtual subnet',
  lookupRecord: 'lookup record',
  customerRoute: 'customer route',
  gateway: 'gateway',
  nat: 'NAT',
  forwarding: 'forwarding',
  bgp: 'BGP',
  siteConnection: 'site connection',
  providerAddress: 'provider address',
  providerRoute: 'provider route',
  externalAddressPool: 'external address pool',
  port: 'port',
};

/** To begin a sentence with: "The lookup record web1 of routing domain …". */
export function sentenceName(key: ResourceKey): string {
  const kind = kindNames[key.kind];
  if (key.kind === 'routingDomain') return `The ${kind} ${key.rdid}`;
  const own = key.id === undefined ? kind : `${kind} ${key.id}`;
  return key.rdid === undefined ? `The ${own}` : `The ${own} of routing domain ${key.rdid}`;
}
