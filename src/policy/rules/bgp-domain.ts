/**
 * Rules of BGP within a routing domain: where its peers are, which address sessions are from, and whose prefixes it tells. They hold
 * whichever of the domain's resources is written.
 */
import { addressFamily, containsPrefix } from '../address.ts';
import { isInternal, isOpenToSite, type Reach, reachOf } from '../bgp-reach.ts';
import { addressOf } from '../forwarding-index.ts';
import { advertisedPrefixes } from '../forwarding-routes.ts';
import type { Bgp, BgpPeer } from '../resources.ts';
import type { DomainState } from '../state.ts';
import { tenantRoutes } from '../tenant-routes.ts';
import { isEverybody } from './nat-mappings.ts';
import { invalid } from './refusal.ts';

/** Throws HNV_INVALID_FIELD when the BGP of the domain does not go with the rest of it. */
export function checkBgpInDomain(domain: DomainState): void {
  const { bgp } = domain;
  if (bgp === undefined) return;
  const reaches = bgp.peers.map((peer, index) => checkPeer(domain, bgp, peer, `/peers/${index}`));
  checkRouterId(domain, bgp);
  checkNetworks(domain, bgp, reaches);
}

function checkPeer(domain: DomainState, bgp: Bgp, peer: BgpPeer, pointer: string): Reach {
  const { forwarding, gateway } = domain;
  const { address } = peer;
  const own = [...(forwarding?.addresses ?? []).map(addressOf), ...(gateway?.customerAddresses ?? [])];
  if (own.includes(address)) {
    const why =
      'is an address of the forwarding or the gateway of this routing domain itself: a peer is another router';
    throw invalid('bgp-peer-own', `${pointer}/address`, address, why);
  }
  const reach = reachOf(domain, peer);
  if (reach === undefined) {
    const why =
      'cannot be reached: a peer is in a subnet of the addresses of forwarding, behind a next hop of it, or in a prefix of a site connection';
    throw invalid('bgp-peer-reachable', `${pointer}/address`, address, why);
  }
  if (reach.isBehind && peer.multihop === undefined && !isInternal(bgp, peer)) {
    const why = `is missing, and peer ${address} is behind a next hop: a peer of another AS has multihop, or is in a subnet of the addresses of forwarding`;
    throw invalid('bgp-peer-reachable', `${pointer}/multihop`, undefined, why);
  }
  checkLocalAddress(domain, peer, reach, `${pointer}/localAddress`);
  return reach;
}

/** Without gateway there is no default yet, and nothing to hold against it. */
function checkLocalAddress(domain: DomainState, peer: BgpPeer, reach: Reach, pointer: string): void {
  const { localAddress } = peer;
  const isTunnel = reach.by === 'tunnel';
  const whose = isTunnel ? 'the gateway' : 'forwarding';
  if (localAddress !== undefined && !reach.localAddresses.includes(localAddress)) {
    const where = isTunnel ? 'is behind a tunnel' : 'is on the network of forwarding';
    const why = `must be an address of ${whose} of this routing domain, as peer ${peer.address} ${where}`;
    throw invalid('bgp-local-address', pointer, localAddress, why);
  }
  const address = localAddress ?? reach.localAddresses[0];
  if (address === undefined) {
    if (domain.gateway === undefined) return;
    const why = `has no default: ${whose} of this routing domain has no IPv${addressFamily(peer.address)} address`;
    throw invalid('bgp-local-address', pointer, undefined, why);
  }
  if (!isTunnel || reach.sites.some((site) => isOpenToSite(domain, site, address))) return;
  const what =
    localAddress === undefined ? `is missing, and its default ${address} is not` : 'must be an address';
  const why = `${what} in the local prefixes of the site connection to peer ${peer.address}`;
  throw invalid('bgp-local-address', pointer, localAddress, why);
}

function checkRouterId({ forwarding, gateway }: DomainState, { routerId }: Bgp): void {
  if (routerId !== undefined || gateway === undefined) return;
  const addresses = [...(forwarding?.addresses ?? []).map(addressOf), ...gateway.customerAddresses];
  if (addresses.some((address) => addressFamily(address) === 4)) return;
  const why = 'is missing: without an IPv4 address of forwarding or the gateway it has no default';
  throw invalid('bgp-router-id', '/routerId', undefined, why);
}

/** A peer on the network of forwarding is told only what comes back that way. */
function checkNetworks(domain: DomainState, { networks = [] }: Bgp, reaches: readonly Reach[]): void {
  if (networks.length === 0) return;
  const { forwarding } = domain;
  const isForwarded = forwarding !== undefined && reaches.some(({ by }) => by === 'forwarding');
  const prefixes = isForwarded
    ? advertisedPrefixes(domain, forwarding)
    : tenantRoutes(domain).flatMap(({ prefix }) => (isEverybody(prefix) ? [] : prefix));
  for (const [index, network] of networks.entries()) {
    if (prefixes.some((prefix) => containsPrefix(prefix, network))) continue;
    const what = isForwarded
      ? 'what forwarding advertises, since a peer is on its network'
      : 'a prefix of a virtual subnet of this routing domain, or the destination of a customer route to one';
    throw invalid('bgp-network-inside', `/networks/${index}`, network, `must be within ${what}`);
  }
}
