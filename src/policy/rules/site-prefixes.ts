/**
 * Rules of the prefixes of sites: what is in a virtual subnet is never behind a tunnel. A prefix around a virtual subnet is fine, and so
 * are connections with the same prefix, which stand in for each other.
 */
import { containsPrefix, networkAddress } from '../address.ts';
import { rangeOf } from '../address-ranges.ts';
import type { SiteConnection, VirtualSubnet } from '../resources.ts';
import type { DomainState } from '../state.ts';
import { conflict } from './refusal.ts';
import { SubnetPrefixes } from './subnet-prefixes.ts';

const STAYS = 'what is for a virtual subnet does not go through tunnels';

/** Of all connections of a domain; each costs every write of a virtual subnet, and every plan of the domain, a few microseconds. */
const maxSitePrefixes = 1024;

/** Of a connection that is to be written as `name`. */
export function checkSitePrefixes(domain: DomainState, name: string, { subnets }: SiteConnection): void {
  let count = subnets.length;
  for (const [other, connection] of domain.siteConnections)
    if (other !== name) count += connection.subnets.length;
  if (count > maxSitePrefixes) {
    const why = `would make ${count} prefixes of site connections in this routing domain, which has at most ${maxSitePrefixes}`;
    throw conflict('site-prefix-count', '/subnets', undefined, why);
  }
  const own = new SubnetPrefixes(domain);
  for (const [index, { prefix }] of subnets.entries()) {
    const around = own.around(networkAddress(prefix));
    if (around === undefined || !containsPrefix(around, prefix)) continue;
    const why = `is inside ${around} of a virtual subnet of this routing domain: ${STAYS}`;
    throw conflict('site-prefix-subnet', `/subnets/${index}/prefix`, prefix, why);
  }
}

/** Of a virtual subnet that is to be written. */
export function checkSubnetOfSites(domain: DomainState, { addressPrefixes }: VirtualSubnet): void {
  const own = addressPrefixes.map(rangeOf);
  for (const [name, { subnets }] of domain.siteConnections) {
    for (const { prefix } of subnets) {
      const { first, last } = rangeOf(prefix);
      const index = own.findIndex((range) => range.first <= first && last <= range.last);
      if (index < 0) continue;
      const why = `has ${prefix} of site connection ${name} in it: ${STAYS}`;
      throw conflict('site-prefix-subnet', `/addressPrefixes/${index}`, addressPrefixes[index], why);
    }
  }
}
