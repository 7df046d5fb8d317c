/**
 * Rules of this node's provider routes: a next hop is a neighbour of one of the node's provider addresses.
 */
import { contains, prefixAround } from '../address.ts';
import type { ProviderAddress, ProviderRoute } from '../resources.ts';
import type { DesiredState } from '../state.ts';
import { requireRouteFamily } from './customer-route.ts';
import { prefixField, unicastField } from './field.ts';
import { changeInUse, conflict, deleteInUse, invalid } from './refusal.ts';

export function normalizeProviderRoute(value: ProviderRoute): ProviderRoute {
  const destinationPrefix = prefixField('/destinationPrefix', value.destinationPrefix);
  const nextHop = unicastField('/nextHop', value.nextHop);
  requireRouteFamily(destinationPrefix, nextHop);
  return { ...value, destinationPrefix, nextHop, metric: value.metric ?? 0 };
}

export function checkProviderRoute(state: DesiredState, id: string, value: ProviderRoute): void {
  const { interface: name, destinationPrefix, nextHop, metric } = value;
  if (state.providerAddresses.has(nextHop)) {
    const why = 'is a provider address of this node itself: a next hop is a neighbour';
    throw invalid('provider-route-neighbour', '/nextHop', nextHop, why);
  }
  if (!hasNeighbour(state.providerAddresses, value)) {
    const why = `must be inside the prefix of one of this node's provider addresses on interface ${name}`;
    throw invalid('provider-route-neighbour', '/nextHop', nextHop, why);
  }
  for (const [otherId, other] of state.providerRoutes) {
    if (otherId === id || other.interface !== name) continue;
    if (other.destinationPrefix === destinationPrefix && other.metric === metric) {
      const why = `with metric ${metric} is the destination of provider route ${otherId}: a destination prefix and metric are unique on an interface`;
      throw conflict('provider-route-unique', '/destinationPrefix', destinationPrefix, why);
    }
  }
}

/** Throws HNV_IN_USE when a route needs the provider address as it is, and `value` would not do. */
export function checkRoutesOfProviderAddress(
  state: DesiredState,
  address: string,
  value: ProviderAddress | undefined,
): void {
  const after = new Map(state.providerAddresses);
  if (value === undefined) after.delete(address);
  else after.set(address, value);
  for (const [id, route] of state.providerRoutes) {
    if (hasNeighbour(after, route)) continue;
    const rule = 'provider-address-in-use';
    const user = `provider route ${id}`;
    if (value === undefined) throw deleteInUse(rule, `Provider address ${address}`, user);
    const [pointer, field] =
      value.interface === route.interface
        ? ['/prefixLength', value.prefixLength]
        : ['/interface', value.interface];
    const why = `is refused: nextHop ${route.nextHop} of ${user} must stay inside the prefix of a provider address on interface ${route.interface}`;
    throw changeInUse(rule, pointer, field, why);
  }
}

function hasNeighbour(addresses: ReadonlyMap<string, ProviderAddress>, route: ProviderRoute): boolean {
  for (const [address, { interface: name, prefixLength }] of addresses) {
    if (name !== route.interface) continue;
    if (contains(prefixAround(address, prefixLength), route.nextHop)) return true;
  }
  return false;
}
