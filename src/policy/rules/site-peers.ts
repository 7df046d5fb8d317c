/**
 * Rules of where tunnels end: at an external address of the domain's NAT, where IKE and ESP of the peer tell by themselves whose they
 * are. A NAT policy keeps them for the connections that there are.
 */

import type { Nat, SiteConnection } from '../resources.ts';
import { identitiesOf } from '../site-identities.ts';
import type { DesiredState, DomainState } from '../state.ts';
import { destinationsOf, hasAnyPeer, tunnelAddresses } from '../tunnel-addresses.ts';
import { changeInUse, conflict, invalid } from './refusal.ts';

type Connections = ReadonlyMap<string, SiteConnection>;

/** Of a connection that is to be written as `name`. */
export function checkSitePeers(
  state: DesiredState,
  { rdid, nat, siteConnections }: DomainState,
  name: string,
  value: SiteConnection,
): void {
  if (nat === undefined) {
    const why =
      'is not there: a site connection ends at an external address of the NAT of its routing domain, which has none';
    throw invalid('site-needs-nat', '/localAddress', value.localAddress, why);
  }
  const problem = addressProblem(nat, value);
  if (problem !== undefined) throw invalid(problem.rule, '/localAddress', problem.address, problem.why);

  const others = [...siteConnections].filter(([other]) => other !== name);
  const same = indistinct(nat, [...others, [name, value]]);
  if (same !== undefined) {
    const why = `is the peer of site connection ${same.names[0]}, too, and both end at ${same.localAddress}: connections with the same peer must differ in remoteId`;
    throw conflict('site-connection-unique', '/destination', same.destination, why);
  }
  const taken = takenPeer(state, rdid, nat, new Map([[name, value]]));
  if (taken === undefined) return;
  const { destination, localAddress, forOperators } = taken;
  const index = [value.destination].flat().indexOf(destination);
  const pointer = typeof value.destination === 'string' ? '/destination' : `/destination/${index}`;
  const why = `is not available to this routing domain at ${localAddress}, of which it has a block of ports: ${ONE_DOMAIN}`;
  throw conflict('site-peer-unique', pointer, destination, why, { forOperators });
}

const ONE_DOMAIN = 'at an address that is shared, a peer is of one routing domain only';

/** Of a NAT policy that is to be written: what the connections of the domain need of it. */
export function checkNatOfSites(
  state: DesiredState,
  { rdid, siteConnections }: Pick<DomainState, 'rdid' | 'siteConnections'>,
  nat: Nat,
): void {
  for (const [name, connection] of siteConnections) {
    const problem = addressProblem(nat, connection);
    if (problem === undefined) continue;
    const { field, address, why } = problem;
    const subject = address === undefined ? 'the local address' : `local address ${address}`;
    const sentence = `is in use: ${subject} of site connection ${name} ${why}`;
    throw changeInUse('nat-in-use', `/${field}`, undefined, sentence);
  }
  const same = indistinct(nat, siteConnections);
  if (same !== undefined) {
    const why = `is in use: site connections ${same.names.join(' and ')} would both end at ${same.localAddress}, and connections with the same peer must differ in remoteId`;
    throw changeInUse('nat-in-use', '/externalAddresses', undefined, why);
  }
  const taken = takenPeer(state, rdid, nat, siteConnections);
  if (taken === undefined) return;
  const { name, destination, localAddress, forOperators } = taken;
  const why = `cannot have a block of ${localAddress} only, since peer ${destination} of site connection ${name} is not available to this routing domain there: ${ONE_DOMAIN}`;
  throw conflict('site-peer-unique', '/externalAddresses', undefined, why, { forOperators });
}

interface AddressProblem {
  rule: string;
  /** Of the NAT policy, that it comes from. */
  field: 'externalAddresses' | 'oneToOne' | 'staticMappings';
  /** The local address; undefined when there is none to default to. */
  address: string | undefined;
  /** Continues the sentence "the local address …". */
  why: string;
}

/** Why the connection cannot end where it should under the policy. */
function addressProblem(nat: Nat, connection: SiteConnection): AddressProblem | undefined {
  const found = tunnelAddresses(nat).of(connection);
  const field = 'externalAddresses';
  if (found === undefined) {
    const address = connection.localAddress;
    const why =
      address === undefined
        ? 'has no default: NAT has no external address of the family of destination that is neither in oneToOne nor mapped at UDP port 500 or 4500'
        : 'must be an external address of the NAT of this routing domain';
    return { rule: 'site-local-address', field, address, why };
  }
  const { address, isWhole, taken } = found;
  if (taken !== undefined)
    return { rule: 'site-local-address', field: taken.field, address, why: `cannot be: it ${taken.why}` };
  if (isWhole || !hasAnyPeer(connection)) return undefined;
  const why =
    'must be an external address that this routing domain has whole: the packets of a peer that may have any address (destination "any", mobike) do not tell whose they are';
  return { rule: 'site-whole-address', field, address, why };
}

/** Two connections of a domain that would not be told apart when their peer begins. */
function indistinct(
  nat: Nat,
  connections: Iterable<[string, SiteConnection]>,
): { names: [string, string]; destination: string; localAddress: string } | undefined {
  /** By local address and destination: names by remote identity. */
  const peers = new Map<string, Map<string | undefined, string>>();
  for (const [name, connection] of connections) {
    const localAddress = tunnelAddresses(nat).of(connection)?.address;
    if (localAddress === undefined) continue;
    const remoteId = identitiesOf(connection, localAddress).remoteId?.toLowerCase();
    for (const destination of [connection.destination].flat()) {
      const peer = `${localAddress} ${destination}`;
      const names = peers.get(peer) ?? new Map<string | undefined, string>();
      peers.set(peer, names);
      // Without identity it may be any of them.
      const [first] = names.values();
      const other = remoteId === undefined ? first : (names.get(remoteId) ?? names.get(undefined));
      if (other !== undefined) return { names: [other, name], destination, localAddress };
      names.set(remoteId, name);
    }
  }
  return undefined;
}

/** A peer of the connections at a shared address, were `nat` their policy, that a connection of another domain has there. */
export function takenPeer(
  { externals, domains }: DesiredState,
  rdid: string,
  nat: Nat,
  connections: Connections,
): { name: string; destination: string; localAddress: string; forOperators: string } | undefined {
  for (const [localAddress, own] of peersByAddress(nat, connections)) {
    for (const share of externals.addresses.get(localAddress) ?? []) {
      const other = share.rdid === rdid ? undefined : domains.get(share.rdid);
      if (other?.nat === undefined) continue;
      const addresses = tunnelAddresses(other.nat);
      for (const [otherName, connection] of other.siteConnections) {
        if (addresses.of(connection)?.address !== localAddress) continue;
        const destination = destinationsOf(connection).find((each) => own.has(each));
        if (destination === undefined) continue;
        const forOperators = `It is the peer of site connection ${otherName} of routing domain ${share.rdid}.`;
        return { name: own.get(destination) ?? '', destination, localAddress, forOperators };
      }
    }
  }
  return undefined;
}

/** By local address: names of the connections by their destinations. */
function peersByAddress(nat: Nat, connections: Connections): Map<string, Map<string, string>> {
  const byAddress = new Map<string, Map<string, string>>();
  for (const [name, connection] of connections) {
    const address = tunnelAddresses(nat).of(connection)?.address ?? '';
    const peers = byAddress.get(address) ?? new Map<string, string>();
    byAddress.set(address, peers);
    for (const destination of destinationsOf(connection)) peers.set(destination, name);
  }
  return byAddress;
}
