/** From the site connections of a domain to the plans of them, and to what its NAT must know of them. */
import { addressFamily, addressOrder, networkAddress } from '../address.ts';
import { hasSecret } from '../kept-secret.ts';
import { sorted } from '../order.ts';
import type { IkePeerPlan, NatPlan, SiteConnectionPlan } from '../plan.ts';
import { outermost } from '../prefix-set.ts';
import type { Nat, SiteConnection } from '../resources.ts';
import { weakAlgorithm } from '../rules/site-algorithms.ts';
import { identitiesOf } from '../site-identities.ts';
import type { DomainState } from '../state.ts';
import { destinationsOf, tunnelAddresses } from '../tunnel-addresses.ts';
import type { CompileNode } from './node.ts';

/** Ascending by name. Those that cannot be yet are left out; `pending` gets the sentence that says what each waits for. */
export function compileSiteConnections(
  domain: DomainState,
  nat: Nat,
  node: CompileNode,
  pending: string[],
): SiteConnectionPlan[] {
  return sorted(domain.siteConnections, ([name]) => name).flatMap(([name, connection]) => {
    const plan = compileConnection(domain, nat, node, name, connection);
    if (typeof plan !== 'string') return plan;
    pending.push(`Site connection ${name} waits ${plan}.`);
    return [];
  });
}

/** The plan, or what it waits for. */
function compileConnection(
  domain: DomainState,
  nat: Nat,
  { allowsWeakAlgorithms, uplinkAddresses }: CompileNode,
  name: string,
  connection: SiteConnection,
): SiteConnectionPlan | string {
  if (!hasSecret(connection))
    return 'for its secret: the one that is stored could not be opened by this node’s key, so write it again';
  const weak = allowsWeakAlgorithms ? undefined : weakAlgorithm(connection);
  if (weak !== undefined)
    return `for ipsec.allowWeakAlgorithms in the configuration of this node, or for algorithms that are not broken, as ${weak.algorithm} is`;
  const localAddress = tunnelAddresses(nat).of(connection)?.address;
  if (localAddress === undefined) return 'for an external address to end at';
  const whose = uplinkAddresses?.get(localAddress);
  if (whose !== undefined) return `for another local address: ${localAddress} is ${whose}`;
  const localPrefixes = localPrefixesOf(domain, connection);
  if (localPrefixes.length === 0) return 'for a virtual subnet of the family of its prefixes';

  const { localSubnets: _, destination, subnets, authentication, ...same } = connection;
  const { method, localId, remoteId, ...proof } = authentication;
  return {
    ...same,
    name,
    localAddress,
    destinations: [...destinationsOf({ destination })],
    authentication: { ...proof, method, ...identitiesOf(connection, localAddress) },
    localPrefixes,
    subnets: sorted(subnets, ({ prefix }) => addressOrder(prefix)),
  };
}

/** Those that it names, or of the virtual subnets those of a family that the site has. */
function localPrefixesOf(
  { virtualSubnets }: DomainState,
  { localSubnets, subnets }: SiteConnection,
): string[] {
  if (localSubnets !== undefined) return sorted(localSubnets, addressOrder);
  const families = new Set(subnets.map(({ prefix }) => familyOf(prefix)));
  const own = [...virtualSubnets.values()].flatMap(({ addressPrefixes }) => addressPrefixes);
  return sorted(
    own.filter((prefix) => families.has(familyOf(prefix))),
    addressOrder,
  );
}

function familyOf(prefix: string): 4 | 6 {
  return addressFamily(networkAddress(prefix));
}

/** Prefixes are those of all connections: what is for a site that is left out must not leave otherwise. */
export function compileNatOfSites(
  { siteConnections }: DomainState,
  plans: readonly SiteConnectionPlan[],
): Pick<NatPlan, 'peers' | 'sitePrefixes'> {
  const prefixes = [...siteConnections.values()].flatMap(({ subnets }) =>
    subnets.map(({ prefix }) => prefix),
  );
  return { peers: peersOf(plans), sitePrefixes: sorted(outermost(prefixes), addressOrder) };
}

function peersOf(plans: readonly SiteConnectionPlan[]): IkePeerPlan[] {
  const peers = plans.flatMap((plan): IkePeerPlan[] => {
    const { localAddress, destinations, mobike } = plan;
    if (destinations.length === 0 || mobike) return [{ localAddress }];
    return destinations.map((remoteAddress) => ({ localAddress, remoteAddress }));
  });
  const byOrder = new Map(peers.map((peer) => [peerOrder(peer), peer]));
  return sorted(byOrder, ([order]) => order).map(([, peer]) => peer);
}

function peerOrder({ localAddress, remoteAddress }: IkePeerPlan): string {
  return addressOrder(localAddress) + (remoteAddress === undefined ? '' : addressOrder(remoteAddress));
}
