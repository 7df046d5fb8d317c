/**
 * Rules of external prefixes: IPv6 that is reached from outside without address and port translation. What is outside is
 * nobody else's, and what is inside is the domain's own.
 */
import { addressFamily, contains, networkAddress, parsePrefix } from '../address.ts';
import { overlapping } from '../address-ranges.ts';
import { forwardingOwner } from '../forwarding-index.ts';
import type { ExternalAddress, ExternalPrefix, Nat } from '../resources.ts';
import type { DesiredState } from '../state.ts';
import { prefixField, requireUnicastPrefix } from './field.ts';
import { conflict, invalid } from './refusal.ts';
import { DisjointPrefixes, type SubnetPrefixes } from './subnet-prefixes.ts';

/**
 * Nobody gets more than a /32 from a registry at first. The prefixes of NPTv6 end where the interface identifier begins
 * (RFC 6296 section 3.4); without translation a prefix may be one host.
 */
const LENGTHS = { translated: { min: 32, max: 64 }, routed: { min: 32, max: 128 } } as const;

/** Inside: as it is, or the one that it stands for. */
export function insideOf({ prefix, internalPrefix = prefix }: ExternalPrefix): string {
  return internalPrefix;
}

export function normalizeExternalPrefixes(given: readonly ExternalPrefix[]): ExternalPrefix[] {
  const outside = new DisjointPrefixes();
  const inside = new DisjointPrefixes();
  return given.map((value, index) => {
    const pointer = `/externalPrefixes/${index}`;
    const prefix = ipv6Prefix(`${pointer}/prefix`, value.prefix);
    const length = lengthOf(prefix);
    const { min, max } = LENGTHS[value.internalPrefix === undefined ? 'routed' : 'translated'];
    if (length < min || length > max) {
      const kind = value.internalPrefix === undefined ? 'without' : 'with';
      const why = `has a length outside ${min} to ${max}, which an external prefix ${kind} internalPrefix must have`;
      throw invalid('prefix-length', `${pointer}/prefix`, prefix, why);
    }
    requireUnicastPrefix(`${pointer}/prefix`, prefix);
    requireDisjoint(outside, `${pointer}/prefix`, prefix);
    if (value.internalPrefix === undefined) {
      requireDisjoint(inside, `${pointer}/prefix`, prefix);
      return { prefix };
    }
    const internalPrefix = ipv6Prefix(`${pointer}/internalPrefix`, value.internalPrefix);
    if (lengthOf(internalPrefix) !== length) {
      const why = `must have the length of prefix ${prefix}: addresses are translated one to one (RFC 6296)`;
      throw invalid('prefix-same-length', `${pointer}/internalPrefix`, internalPrefix, why);
    }
    requireUnicastPrefix(`${pointer}/internalPrefix`, internalPrefix);
    requireDisjoint(inside, `${pointer}/internalPrefix`, internalPrefix);
    return { prefix, internalPrefix };
  });
}

function ipv6Prefix(pointer: string, text: string): string {
  const prefix = prefixField(pointer, text);
  if (addressFamily(networkAddress(prefix)) === 6) return prefix;
  throw invalid('prefix-ipv6', pointer, prefix, 'is not an IPv6 prefix: external prefixes are of IPv6 alone');
}

function lengthOf(prefix: string): number {
  return parsePrefix(prefix)?.length ?? 0;
}

function requireDisjoint(others: DisjointPrefixes, pointer: string, prefix: string): void {
  const other = others.overlapping(prefix);
  if (other !== undefined) {
    const why = `overlaps ${other}: external prefixes must not overlap inside a routing domain, neither outside nor inside`;
    throw invalid('prefix-overlap', pointer, prefix, why);
  }
  others.add(prefix);
}

export function checkExternalPrefixes(
  state: DesiredState,
  rdid: string,
  { externalPrefixes }: Nat,
  addresses: readonly ExternalAddress[],
  subnets: SubnetPrefixes,
): void {
  requireOutside(externalPrefixes, addresses);
  for (const [index, external] of externalPrefixes.entries()) {
    const pointer = `/externalPrefixes/${index}`;
    const { prefix, internalPrefix } = external;
    if (subnets.overlapping(insideOf(external)) === undefined) {
      const field = internalPrefix === undefined ? 'prefix' : 'internalPrefix';
      const why = 'must be within, or around, a prefix of a virtual subnet of this routing domain';
      throw invalid('external-prefix-inside', `${pointer}/${field}`, insideOf(external), why);
    }
    const owner = ownerOfPrefix(state, rdid, prefix);
    if (owner === undefined) continue;
    const why =
      'is not available to this routing domain: an external prefix overlaps nothing of other routing domains, and has no provider address in it';
    throw conflict('external-prefix-available', `${pointer}/prefix`, prefix, why, { forOperators: owner });
  }
}

/** No external address of the domain itself is in its prefixes. */
function requireOutside(
  externalPrefixes: readonly ExternalPrefix[],
  addresses: readonly ExternalAddress[],
): void {
  const prefixes = new DisjointPrefixes(externalPrefixes.map(({ prefix }) => prefix));
  for (const { ipAddress } of addresses) {
    const around = prefixes.overlapping(ipAddress);
    if (around === undefined) continue;
    const index = externalPrefixes.findIndex(({ prefix }) => prefix === around);
    const why = `has external address ${ipAddress} in it: what is in an external prefix is not translated by address and port`;
    throw invalid('external-prefix-address', `/externalPrefixes/${index}/prefix`, around, why);
  }
}

/** What of others is in the way of the domain `rdid`, as a sentence; undefined when the prefix is free. */
export function ownerOfPrefix(state: DesiredState, rdid: string, prefix: string): string | undefined {
  const { externals, providerAddresses } = state;
  for (const address of providerAddresses.keys()) {
    if (contains(prefix, address)) return `It has provider address ${address} of this node in it.`;
  }
  for (const text of overlapping(externals.ranges, prefix)) {
    const owner = externals.prefixes.get(text);
    if (owner !== undefined) {
      if (owner !== rdid) return `It overlaps external prefix ${text} of routing domain ${owner}.`;
      continue;
    }
    const other = externals.addresses.get(text)?.find((share) => share.rdid !== rdid);
    if (other !== undefined) return `It has external address ${text} of routing domain ${other.rdid} in it.`;
  }
  return forwardingOwner(state, rdid, prefix);
}

/** The first external prefix that would have nothing of the domain inside when its subnets' prefixes were these. */
export function prefixWithoutInside(
  nat: Nat | undefined,
  subnetPrefixes: readonly string[],
): string | undefined {
  if (nat === undefined || nat.externalPrefixes.length === 0) return undefined;
  const subnets = new DisjointPrefixes(subnetPrefixes);
  return nat.externalPrefixes.find((external) => subnets.overlapping(insideOf(external)) === undefined)
    ?.prefix;
}
