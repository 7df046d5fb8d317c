/** From the BGP of a domain to the plan of it: where each peer is, what peers are told, and what they may not tell. */
import { addressFamily, addressOrder, containsPrefix, hostPrefix } from '../address.ts';
import { isInternal, reachOf } from '../bgp-reach.ts';
import { addressOf } from '../forwarding-index.ts';
import { familiesOfNat, ownPrefixes, prefixFamily, subnetOf } from '../forwarding-routes.ts';
import { sorted } from '../order.ts';
import type { BgpPeerPlan, BgpPlan, ContextPlan, DomainPlan } from '../plan.ts';
import { outermost, PrefixSet } from '../prefix-set.ts';
import type { Bgp, BgpPeer } from '../resources.ts';
import { isEverybody } from '../rules/nat-mappings.ts';
import type { DomainState } from '../state.ts';

/** Each is a line of the BGP speaker's configuration. */
export const maxHostRoutes = 4096;

/** To the site's own router and one behind it. */
const hopsThroughTunnel = 2;

/** Peers and networks that cannot be yet are left out; `pending` gets a sentence for each. */
export function compileBgp(
  domain: DomainState,
  bgp: Bgp,
  context: ContextPlan,
  plan: DomainPlan,
  pending: string[],
): BgpPlan | undefined {
  const routerId = bgp.routerId ?? defaultRouterId(plan, context);
  if (routerId === undefined) {
    pending.push('BGP waits for an IPv4 address of forwarding or the gateway, or for routerId.');
    return undefined;
  }
  const peers = sorted(bgp.peers, ({ name }) => name).flatMap((peer) => {
    const compiled = compilePeer(domain, bgp, context, plan, peer);
    if (typeof compiled !== 'string') return compiled;
    pending.push(`BGP peer ${peer.name} waits ${compiled}.`);
    return [];
  });
  return {
    asn: bgp.asn,
    routerId,
    peers,
    networks: compileNetworks(domain, bgp, context, plan, peers, pending),
    policies: sorted(bgp.policies, ({ name }) => name),
    maximumPaths: bgp.maximumPaths,
    gracefulRestartSeconds: bgp.gracefulRestartSeconds,
    own: sorted(outermost(ownNetworks(context, plan)), addressOrder),
    taken: sorted(takenDestinations(domain, context, plan), addressOrder),
  };
}

function defaultRouterId({ forwarding }: DomainPlan, { addresses }: ContextPlan): string | undefined {
  const all = [...(forwarding?.addresses ?? []).map(addressOf), ...addresses];
  return all.find((address) => addressFamily(address) === 4);
}

/** The plan, or what it waits for. */
function compilePeer(
  domain: DomainState,
  bgp: Bgp,
  context: ContextPlan,
  { forwarding }: DomainPlan,
  peer: BgpPeer,
): BgpPeerPlan | string {
  const { name, address, asn, password, holdTimeSeconds, maximumPrefixes, bfd } = peer;
  if (password === null)
    return 'for its password: the one that is stored could not be opened by this node’s key, so write it again';
  const reach = reachOf(domain, peer);
  if (reach === undefined) return 'for a way to it';
  if (reach.by === 'forwarding' && forwarding === undefined) return 'for forwarding';
  const localAddress = peer.localAddress ?? reach.localAddresses[0];
  if (localAddress === undefined || (reach.by === 'tunnel' && !context.addresses.includes(localAddress)))
    return `for an IPv${addressFamily(address)} address of the gateway`;
  const multihop =
    peer.multihop ?? (reach.by === 'tunnel' && !isInternal(bgp, peer) ? hopsThroughTunnel : undefined);
  return {
    ...{ name, address, asn, localAddress, holdTimeSeconds, maximumPrefixes, by: reach.by },
    ...(password === undefined ? {} : { password }),
    ...(multihop === undefined ? {} : { multihop }),
    ...(bfd === undefined ? {} : { bfd }),
    ingressPolicies: peer.ingressPolicies,
    egressPolicies: peer.egressPolicies,
  };
}

function compileNetworks(
  domain: DomainState,
  { networks, hostRoutes }: Bgp,
  context: ContextPlan,
  { forwarding, records }: DomainPlan,
  peers: readonly BgpPeerPlan[],
  pending: string[],
): string[] {
  const families = new Set(context.addresses.map(addressFamily));
  const wanted = networks ?? forwarding?.advertise ?? ownPrefixes(domain);
  const isForwarded = forwarding !== undefined && peers.some(({ by }) => by === 'forwarding');
  const told = wanted.filter((network) => {
    const isThere = families.has(prefixFamily(network));
    if (isThere && (!isForwarded || forwarding.advertise.some((prefix) => containsPrefix(prefix, network))))
      return true;
    if (networks !== undefined) {
      const what = isThere ? 'forwarding of it' : `an IPv${prefixFamily(network)} address of the gateway`;
      pending.push(`BGP network ${network} waits for ${what}.`);
    }
    return false;
  });
  if (!hostRoutes) return sorted(new Set(told), addressOrder);
  const around = new PrefixSet(told);
  const hosts = records
    .filter(({ address }) => around.has(address))
    .map(({ address }) => hostPrefix(address));
  if (hosts.length > maxHostRoutes) {
    pending.push(
      `BGP tells the first ${maxHostRoutes} of ${hosts.length} host routes: the others wait for fewer lookup records in networks.`,
    );
  }
  return sorted(new Set([...told, ...hosts.slice(0, maxHostRoutes)]), addressOrder);
}

function ownNetworks({ tenantPrefixes }: ContextPlan, { forwarding }: DomainPlan): string[] {
  const subnets = (forwarding?.addresses ?? []).map(subnetOf);
  return [...tenantPrefixes.filter((prefix) => !isEverybody(prefix)), ...subnets];
}

/** Also what sites have: their routes come and go with tunnels. */
function takenDestinations(
  { nat, siteConnections }: DomainState,
  { tenantPrefixes }: ContextPlan,
  plan: DomainPlan,
): Set<string> {
  const translated = familiesOfNat(plan.nat === undefined ? undefined : nat);
  return new Set([
    ...tenantPrefixes.filter(isEverybody),
    ...(plan.forwarding?.routes ?? []).map(({ prefix }) => prefix),
    ...(translated.has(4) ? ['0.0.0.0/0'] : []),
    ...(translated.has(6) ? ['::/0'] : []),
    ...[...siteConnections.values()].flatMap(({ subnets }) => subnets.map(({ prefix }) => prefix)),
  ]);
}
