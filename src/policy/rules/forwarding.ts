/**
 * Rules of forwarding. What a policy says by itself is checked when it is read; when it is written, what the rest of its domain leaves
 * to it (forwarding-domain.ts), and what other domains do (forwarding-owners.ts).
 */
import { Value } from 'typebox/value';
import {
  addressFamily,
  contains,
  containsPrefix,
  lastAddress,
  networkAddress,
  overlaps,
  parsePrefix,
} from '../address.ts';
import { addressOf } from '../forwarding-index.ts';
import { prefixFamily, subnetOf } from '../forwarding-routes.ts';
import { Forwarding } from '../resources.ts';
import type { DesiredState, DomainState } from '../state.ts';
import { prefixField, requireUnicastPrefix, unicastField } from './field.ts';
import { checkForwardingInDomain } from './forwarding-domain.ts';
import { checkForwardingOwners } from './forwarding-owners.ts';
import { isEverybody } from './nat-mappings.ts';
import { invalid } from './refusal.ts';
import { requireRouting, requireRoutingWithout } from './routing-in-use.ts';

/** Of a subnet that routers share. Two addresses are the least (RFC 3021, RFC 6164). */
const LENGTHS = { 4: { min: 8, max: 31 }, 6: { min: 16, max: 127 } } as const;

export function normalizeForwarding(given: Forwarding): Forwarding {
  const value = Value.Default(Forwarding, structuredClone(given)) as Forwarding;
  const addresses = normalizeAddresses(value.addresses);
  const nextHops = normalizeNextHops(value.nextHops, addresses);
  const forwarding: Forwarding = { ...value, addresses, nextHops };
  if (value.destinationPrefixes !== undefined)
    forwarding.destinationPrefixes = normalizeDestinations(value.destinationPrefixes, addresses, nextHops);
  if (value.advertise !== undefined)
    forwarding.advertise = onePrefixes('/advertise', value.advertise, (pointer, prefix) =>
      requireUnicastPrefix(pointer, prefix),
    );
  else if (value.vlanId === undefined) {
    const why =
      'is missing: without vlanId other routing domains are on the same network, and the prefixes that are routed there are named';
    throw invalid('forwarding-advertise-required', '/advertise', undefined, why);
  }
  return forwarding;
}

export function checkForwarding(state: DesiredState, domain: DomainState, value: Forwarding): void {
  const { uplink } = value;
  if (uplink !== undefined && state.uplinks.length > 0 && !state.uplinks.includes(uplink)) {
    const why = `must be an interface that the configuration of this node gives to forwarding: ${state.uplinks.join(', ')}`;
    throw invalid('forwarding-uplink', '/uplink', uplink, why);
  }
  const after = { ...domain, forwarding: value };
  checkForwardingInDomain(after);
  checkForwardingOwners(state, domain.rdid, value);
  requireRouting(after, '/addresses', value.addresses);
}

export function checkForwardingDelete({ forwarding: _, ...after }: DomainState): void {
  requireRoutingWithout(after, 'Forwarding');
}

function normalizeAddresses(given: readonly string[]): string[] {
  const addresses: string[] = [];
  for (const [index, text] of given.entries()) {
    const pointer = `/addresses/${index}`;
    const parsed = parsePrefix(text);
    if (parsed === undefined) {
      const why =
        'is not an address with the length of its subnet: an IP address, a slash and a length, as 192.0.2.5/24';
      throw invalid('forwarding-address', pointer, text, why);
    }
    const address = unicastField(pointer, addressOf(text));
    const { family, length, text: subnet } = parsed;
    const { min, max } = LENGTHS[family];
    if (length < min || length > max) {
      const why = `has a length outside ${min} to ${max}, which an IPv${family} subnet of forwarding must have`;
      throw invalid('prefix-length', pointer, text, why);
    }
    requireHost(pointer, text, subnet, address);
    const other = addresses.find((each) => overlaps(subnetOf(each), subnet));
    if (other !== undefined) {
      const why = `is in a subnet that overlaps the one of ${other}: forwarding has one address in a subnet, and its subnets do not overlap`;
      throw invalid('forwarding-subnet-overlap', pointer, text, why);
    }
    addresses.push(`${address}/${length}`);
  }
  return addresses;
}

/** In subnets of two addresses both are hosts'. */
function requireHost(pointer: string, value: string, subnet: string, address: string): void {
  const length = parsePrefix(subnet)?.length ?? 0;
  const isFirst = address === networkAddress(subnet);
  if (addressFamily(address) === 6) {
    if (length === 127 || !isFirst) return;
    const why = `must not be the subnet-router anycast address of ${subnet}`;
    throw invalid('address-of-host', pointer, value, why);
  }
  if (length === 31 || !(isFirst || address === lastAddress(subnet))) return;
  const why = `must not be the network address or the broadcast address of ${subnet}`;
  throw invalid('address-of-host', pointer, value, why);
}

function normalizeNextHops(given: readonly string[], addresses: readonly string[]): string[] {
  const nextHops: string[] = [];
  for (const [index, text] of given.entries()) {
    const pointer = `/nextHops/${index}`;
    const hop = unicastField(pointer, text);
    const around = addresses.find((address) => contains(subnetOf(address), hop));
    if (around === undefined) {
      const why = `must be in a subnet of addresses: ${addresses.map(subnetOf).join(', ')}`;
      throw invalid('next-hop-in-subnet', pointer, hop, why);
    }
    requireHost(pointer, hop, subnetOf(around), hop);
    if (hop === addressOf(around)) {
      const why = 'is one of addresses: a next hop is another router';
      throw invalid('next-hop-own', pointer, hop, why);
    }
    if (nextHops.includes(hop)) {
      throw invalid('next-hop-once', pointer, hop, 'is listed more than once: a next hop is listed once');
    }
    nextHops.push(hop);
  }
  return nextHops;
}

function normalizeDestinations(
  given: readonly string[],
  addresses: readonly string[],
  nextHops: readonly string[],
): string[] {
  return onePrefixes('/destinationPrefixes', given, (pointer, prefix) => {
    if (!isEverybody(prefix)) requireUnicastPrefix(pointer, prefix);
    const family = prefixFamily(prefix);
    if (!nextHops.some((hop) => addressFamily(hop) === family)) {
      const why = `needs an IPv${family} address in nextHops to be routed to`;
      throw invalid('destination-next-hop', pointer, prefix, why);
    }
    const around = addresses.map(subnetOf).find((subnet) => containsPrefix(subnet, prefix));
    if (around === undefined) return;
    const why = `is within ${around}, the subnet of an address: what is there is reached without next hop`;
    throw invalid('destination-on-link', pointer, prefix, why);
  });
}

/** Canonical prefixes, of which there is each once. */
function onePrefixes(
  pointer: string,
  given: readonly string[],
  check: (pointer: string, prefix: string) => void,
): string[] {
  const known = new Set<string>();
  for (const [index, text] of given.entries()) {
    const own = `${pointer}/${index}`;
    const prefix = prefixField(own, text);
    check(own, prefix);
    if (known.has(prefix))
      throw invalid('prefix-once', own, prefix, 'is listed more than once: a list has a prefix once');
    known.add(prefix);
  }
  return [...known];
}
