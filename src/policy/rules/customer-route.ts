/**
 * Rules of customer routes: a next hop is a neighbour in the route's own virtual subnet.
 */
import { containsPrefix } from '../address.ts';
import type { CustomerRoute } from '../resources.ts';
import type { DomainState } from '../state.ts';
import { addressField, prefixField, UNSPECIFIED } from './field.ts';
import { conflict, invalid } from './refusal.ts';
import { requireHostAddress, requireSubnet } from './subnet-address.ts';

export function normalizeCustomerRoute(value: CustomerRoute): CustomerRoute {
  return {
    ...value,
    destinationPrefix: prefixField('/destinationPrefix', value.destinationPrefix),
    nextHop: addressField('/nextHop', value.nextHop),
    metric: value.metric ?? 0,
  };
}

export function checkCustomerRoute(domain: DomainState, id: string, value: CustomerRoute): void {
  const { addressPrefixes } = requireSubnet(domain, '/virtualSubnetId', value.virtualSubnetId);
  if (value.nextHop === UNSPECIFIED) {
    if (!addressPrefixes.some((prefix) => containsPrefix(prefix, value.destinationPrefix))) {
      const where = addressPrefixes.join(', ');
      const why = `is on-link (next hop ${UNSPECIFIED}), so it must be inside the prefixes of its virtual subnet: ${where}`;
      throw invalid('on-link-in-subnet', '/destinationPrefix', value.destinationPrefix, why);
    }
  } else {
    requireHostAddress('/nextHop', addressPrefixes, value.nextHop);
  }
  for (const [otherId, other] of domain.customerRoutes) {
    if (otherId === id) continue;
    if (other.destinationPrefix === value.destinationPrefix && other.metric === value.metric) {
      const why = `with metric ${value.metric} is the destination of customer route ${otherId}: a destination prefix and metric are unique inside a routing domain`;
      throw conflict('route-unique', '/destinationPrefix', value.destinationPrefix, why);
    }
  }
}
