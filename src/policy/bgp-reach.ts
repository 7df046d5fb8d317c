/** How a routing context reaches the peers of its BGP: on a network of its forwarding, behind a router there, or through a tunnel to a site. */
import { addressFamily, contains } from './address.ts';
import { addressOf } from './forwarding-index.ts';
import { forwardingRoutes, subnetOf } from './forwarding-routes.ts';
import type { BgpPeerPlan } from './plan.ts';
import type { Bgp, BgpPeer, SiteConnection } from './resources.ts';
import type { DomainState } from './state.ts';

export interface Reach {
  readonly by: BgpPeerPlan['by'];
  /** Addresses of the context that a session may be from, the default first. */
  readonly localAddresses: readonly string[];
  /** Behind a router of the forwarding's network: an external session needs more than one hop. */
  readonly isBehind: boolean;
  /** Those with a tunnel to the peer. */
  readonly sites: readonly SiteConnection[];
}

/** Undefined: not at all. */
export function reachOf(
  { forwarding, nat, gateway, siteConnections }: DomainState,
  { address }: Pick<BgpPeer, 'address'>,
): Reach | undefined {
  const family = addressFamily(address);
  const sites = [...siteConnections.values()].filter(({ subnets }) =>
    subnets.some(({ prefix }) => contains(prefix, address)),
  );
  if (sites.length > 0) {
    const localAddresses = (gateway?.customerAddresses ?? []).filter((own) => addressFamily(own) === family);
    return { by: 'tunnel', localAddresses, isBehind: false, sites };
  }
  if (forwarding === undefined) return undefined;
  const own = forwarding.addresses.filter((each) => addressFamily(addressOf(each)) === family);
  const connected = own.find((each) => contains(subnetOf(each), address));
  if (connected !== undefined) {
    const others = own.filter((each) => each !== connected);
    return {
      by: 'forwarding',
      localAddresses: [connected, ...others].map(addressOf),
      isBehind: false,
      sites,
    };
  }
  const routes = forwardingRoutes(forwarding, nat);
  if (own.length === 0 || !routes.some(({ prefix }) => contains(prefix, address))) return undefined;
  return { by: 'forwarding', localAddresses: own.map(addressOf), isBehind: true, sites };
}

/** Whether the site may reach the address: packets of others do not go through its tunnel. */
export function isOpenToSite(
  { virtualSubnets }: Pick<DomainState, 'virtualSubnets'>,
  { localSubnets }: SiteConnection,
  address: string,
): boolean {
  const prefixes =
    localSubnets ?? [...virtualSubnets.values()].flatMap(({ addressPrefixes }) => addressPrefixes);
  return prefixes.some((prefix) => contains(prefix, address));
}

/** Whether the session is within the domain's AS. */
export function isInternal({ asn }: Bgp, peer: Pick<BgpPeer, 'asn'>): boolean {
  return asn === peer.asn;
}
