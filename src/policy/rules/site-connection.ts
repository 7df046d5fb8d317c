/**
 * Rules of site connections. What one says by itself is checked when it is read; whether its secret is there (kept-secret.ts), and
 * what it needs of NAT, of the virtual subnets and of other connections, when it is written.
 */
import { Value } from 'typebox/value';
import { addressFamily, networkAddress } from '../address.ts';
import { SiteConnection, type SiteSubnet } from '../resources.ts';
import type { DesiredState, DomainState } from '../state.ts';
import { prefixField, requireUnicastPrefix, unicastField } from './field.ts';
import { invalid } from './refusal.ts';
import { requireRouting, requireRoutingWithout } from './routing-in-use.ts';
import { normalizeAlgorithms, requireStrongAlgorithms } from './site-algorithms.ts';
import { normalizeAuthentication } from './site-authentication.ts';
import { checkSitePeers } from './site-peers.ts';
import { checkSitePrefixes } from './site-prefixes.ts';

export function normalizeSiteConnection(given: SiteConnection): SiteConnection {
  const value = Value.Default(SiteConnection, structuredClone(given)) as SiteConnection;
  const destination = normalizeDestination(value.destination);
  const connection: SiteConnection = {
    ...value,
    destination,
    authentication: normalizeAuthentication(value.authentication, destination),
    subnets: normalizeSubnets(value.subnets),
    ...normalizeAlgorithms(value),
  };
  if (value.localAddress !== undefined)
    connection.localAddress = normalizeLocalAddress(value.localAddress, destination);
  if (value.localSubnets !== undefined)
    connection.localSubnets = normalizeLocalSubnets(value.localSubnets, connection.subnets);
  checkInitiation(connection);
  return connection;
}

export function checkSiteConnection(
  state: DesiredState,
  domain: DomainState,
  name: string,
  value: SiteConnection,
): void {
  if (!state.allowsWeakAlgorithms) requireStrongAlgorithms(value);
  checkSitePeers(state, domain, name, value);
  checkSitePrefixes(domain, name, value);
  const siteConnections = new Map(domain.siteConnections).set(name, value);
  const prefixes = value.subnets.map(({ prefix }) => prefix);
  requireRouting({ ...domain, siteConnections }, '/subnets', prefixes);
}

export function checkSiteConnectionDelete(domain: DomainState, name: string): void {
  const siteConnections = new Map(domain.siteConnections);
  siteConnections.delete(name);
  requireRoutingWithout({ ...domain, siteConnections }, `Site connection ${name}`);
}

/** One address is no list. */
function normalizeDestination(given: SiteConnection['destination']): SiteConnection['destination'] {
  if (given === 'any') return given;
  const texts = [given].flat();
  const addresses: string[] = [];
  for (const [index, text] of texts.entries()) {
    const pointer = typeof given === 'string' ? '/destination' : `/destination/${index}`;
    if (text === 'any') {
      const why = 'stands for all addresses, and is no member of a list: "destination": "any"';
      throw invalid('destination-any', pointer, text, why);
    }
    const address = unicastField(pointer, text);
    if (addresses.includes(address)) {
      const why = 'is listed more than once: an address of the peer is listed once';
      throw invalid('destination-once', pointer, address, why);
    }
    addresses.push(address);
    const [first = address] = addresses;
    if (addressFamily(address) !== addressFamily(first)) {
      const why = `must be IPv${addressFamily(first)}, the family of the first destination ${first}`;
      throw invalid('destination-family', pointer, address, why);
    }
  }
  const [only = '', ...others] = addresses;
  return others.length === 0 ? only : addresses;
}

function normalizeLocalAddress(text: string, destination: SiteConnection['destination']): string {
  const address = unicastField('/localAddress', text);
  const [first = ''] = [destination].flat();
  if (first === 'any' || addressFamily(first) === addressFamily(address)) return address;
  const why = `must be IPv${addressFamily(first)}, the family of destination ${first}`;
  throw invalid('local-address-family', '/localAddress', address, why);
}

function normalizeSubnets(given: readonly SiteSubnet[]): SiteSubnet[] {
  const known = new Set<string>();
  return given.map(({ prefix, metric }, index) => ({
    prefix: onePrefix(`/subnets/${index}/prefix`, prefix, known),
    metric,
  }));
}

/** Each family that one side has, the other has, too. */
function normalizeLocalSubnets(given: readonly string[], subnets: readonly SiteSubnet[]): string[] {
  const known = new Set<string>();
  const families = new Set(subnets.map(({ prefix }) => familyOf(prefix)));
  const prefixes = given.map((text, index) => {
    const pointer = `/localSubnets/${index}`;
    const prefix = onePrefix(pointer, text, known);
    if (families.has(familyOf(prefix))) return prefix;
    const why = `is IPv${familyOf(prefix)}, of which subnets has no prefix: packets go between prefixes of one family`;
    throw invalid('local-subnet-family', pointer, prefix, why);
  });
  const missing = [...families].find((family) => !prefixes.some((prefix) => familyOf(prefix) === family));
  if (missing === undefined) return prefixes;
  const why = `must have an IPv${missing} prefix, too, as subnets has: packets go between prefixes of one family`;
  throw invalid('local-subnet-family', '/localSubnets', prefixes.join(', '), why);
}

function familyOf(prefix: string): 4 | 6 {
  return addressFamily(networkAddress(prefix));
}

/** Canonical prefix that is not among the known ones, to which it is added. */
function onePrefix(pointer: string, text: string, known: Set<string>): string {
  const prefix = prefixField(pointer, text);
  requireUnicastPrefix(pointer, prefix);
  if (known.has(prefix)) {
    const why = 'is listed more than once: a site connection lists a prefix once';
    throw invalid('site-prefix-once', pointer, prefix, why);
  }
  known.add(prefix);
  return prefix;
}

function checkInitiation({ destination, initiate, idleDisconnectSeconds }: SiteConnection): void {
  if (destination === 'any' && initiate !== 'never') {
    const why = 'must be "never" with destination "any": there is no address to begin with';
    throw invalid('initiate-any', '/initiate', initiate, why);
  }
  if (initiate === 'start' && idleDisconnectSeconds !== undefined) {
    const why = 'is there with initiate "start", by which the tunnel is made again whenever it is down';
    throw invalid('idle-disconnect-start', '/idleDisconnectSeconds', idleDisconnectSeconds, why);
  }
}
