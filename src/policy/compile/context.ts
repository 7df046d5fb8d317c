/** From a gateway to the routing context of it. */
import { addressFamily, contains, firstUsable, networkAddress } from '../address.ts';
import { sorted } from '../order.ts';
import type { ContextPlan, RoutePlan } from '../plan.ts';
import type { Gateway, ProviderAddress } from '../resources.ts';
import { effectiveGatewayMac } from '../router.ts';
import type { DomainState } from '../state.ts';
import { announcedAddress } from './tunnel-address.ts';

/**
 * The context, or the sentence that says what it waits for. `spread` is the provider address for when the tenant's hosts
 * were told none of this node's.
 */
export function compileContext(
  domain: DomainState,
  gateway: Gateway,
  own: ReadonlyMap<string, ProviderAddress>,
  spread: string | undefined,
  routes: readonly RoutePlan[],
): ContextPlan | string {
  const vsid = gateway.virtualSubnetId;
  const prefixes = domain.virtualSubnets.get(vsid)?.addressPrefixes ?? [];
  const addresses: string[] = [];
  const routerAddresses: string[] = [];
  for (const address of sorted(gateway.customerAddresses, (each) => String(addressFamily(each)))) {
    const prefix = prefixes.find((candidate) => contains(candidate, address));
    if (prefix === undefined) continue;
    addresses.push(address);
    routerAddresses.push(firstUsable(prefix));
  }
  if (addresses.length === 0) {
    return `The gateway waits for virtual subnet ${vsid} with a prefix around its address.`;
  }
  const providerAddress = announcedAddress(domain, addresses, own) ?? spread;
  if (providerAddress === undefined) {
    return 'The gateway waits for a provider address: this node has none.';
  }
  const families = new Set(addresses.map(addressFamily));
  return {
    vsid,
    addresses,
    mac: effectiveGatewayMac(domain.rdid, gateway),
    routerAddresses,
    providerAddress,
    tenantPrefixes: routes
      .map((route) => route.prefix)
      .filter((prefix) => families.has(addressFamily(networkAddress(prefix)))),
  };
}
