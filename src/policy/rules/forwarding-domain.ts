/**
 * Rules of forwarding within a routing domain: what is the tenant's, its NAT's or a site's is not reached by forwarding, and what is
 * advertised is the tenant's. They hold whichever of these is written.
 */
import { contains, containsPrefix, networkAddress } from '../address.ts';
import { externalAddressesOf } from '../external-addresses.ts';
import { addressOf } from '../forwarding-index.ts';
import { subnetOf } from '../forwarding-routes.ts';
import type { Forwarding } from '../resources.ts';
import type { DomainState } from '../state.ts';
import { tenantRoutes } from '../tenant-routes.ts';
import { isEverybody } from './nat-mappings.ts';
import { conflict, invalid } from './refusal.ts';
import { SubnetPrefixes } from './subnet-prefixes.ts';

/** Throws HNV_INVALID_FIELD or HNV_CONFLICT when the forwarding of the domain does not go with the rest of it. */
export function checkForwardingInDomain(domain: DomainState): void {
  const { forwarding } = domain;
  if (forwarding === undefined) return;
  const routes = tenantRoutes(domain).map(({ prefix }) => prefix);
  checkAddresses(domain, forwarding, routes);
  checkDestinations(domain, forwarding, routes);
  for (const [index, prefix] of (forwarding.advertise ?? []).entries()) {
    if (routes.some((route) => !isEverybody(route) && containsPrefix(route, prefix))) continue;
    const why =
      'must be within a prefix of a virtual subnet of this routing domain, or within the destination of a customer route to one';
    throw invalid('forwarding-advertise-inside', `/advertise/${index}`, prefix, why);
  }
}

const TENANTS = 'what is for a virtual subnet does not go by forwarding';

function checkAddresses(domain: DomainState, { addresses }: Forwarding, routes: readonly string[]): void {
  const own = new SubnetPrefixes(domain);
  const { nat } = domain;
  const externals = new Set(
    nat === undefined ? [] : externalAddressesOf(nat).map(({ ipAddress }) => ipAddress),
  );
  for (const [index, text] of addresses.entries()) {
    const pointer = `/addresses/${index}`;
    const subnet = subnetOf(text);
    const tenants = own.overlapping(subnet) ?? routes.find((route) => containsPrefix(subnet, route));
    if (tenants !== undefined) {
      const why = `is in a subnet that overlaps ${tenants} of a virtual subnet or customer route of this routing domain: ${TENANTS}`;
      throw conflict('forwarding-prefix-tenant', pointer, text, why);
    }
    refuseWithinSite(domain, pointer, text, subnet);
    const address = addressOf(text);
    const external = externals.has(address)
      ? address
      : nat?.externalPrefixes.find(({ prefix }) => contains(prefix, address))?.prefix;
    if (external === undefined) continue;
    const why = `is, or is in, external ${external} of the NAT of this routing domain: an address is of forwarding or of NAT`;
    throw conflict('forwarding-address-external', pointer, text, why);
  }
}

/** Around a virtual subnet or a site's prefix they may be: the longest prefix decides. */
function checkDestinations(
  domain: DomainState,
  { destinationPrefixes = [] }: Forwarding,
  routes: readonly string[],
): void {
  const own = new SubnetPrefixes(domain);
  const known = new Set(routes);
  for (const [index, prefix] of destinationPrefixes.entries()) {
    const pointer = `/destinationPrefixes/${index}`;
    const around = own.around(networkAddress(prefix));
    const tenants =
      around !== undefined && containsPrefix(around, prefix)
        ? around
        : known.has(prefix)
          ? prefix
          : undefined;
    if (tenants !== undefined) {
      const why = `is, or is within, ${tenants} of a virtual subnet or customer route of this routing domain: ${TENANTS}`;
      throw conflict('forwarding-prefix-tenant', pointer, prefix, why);
    }
    refuseWithinSite(domain, pointer, prefix, prefix);
  }
}

function refuseWithinSite(
  { siteConnections }: DomainState,
  pointer: string,
  value: string,
  prefix: string,
): void {
  for (const [name, { subnets }] of siteConnections) {
    const around = subnets.find((subnet) => containsPrefix(subnet.prefix, prefix));
    if (around === undefined) continue;
    const why = `is within ${around.prefix} of site connection ${name}: what is for a site leaves by its tunnel alone`;
    throw conflict('forwarding-prefix-site', pointer, value, why);
  }
}
