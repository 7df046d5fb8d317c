/**
 * Rules of BGP. What a resource says by itself is checked when it is read; what it needs of the rest of its domain (bgp-domain.ts) when
 * it is written.
 */
import { Value } from 'typebox/value';
import { addressFamily, canonicalAddress } from '../address.ts';
import { isInternal } from '../bgp-reach.ts';
import { Bgp, type BgpPeer } from '../resources.ts';
import type { DomainState } from '../state.ts';
import { checkBgpInDomain } from './bgp-domain.ts';
import { normalizePolicies } from './bgp-policies.ts';
import { isUnspecified, prefixField, requireUnicastPrefix, unicastField } from './field.ts';
import { invalid } from './refusal.ts';

/** AS_TRANS, which stands for ASNs of 32 bits (RFC 6793), and the last one of 16 bits (RFC 7300). */
const RESERVED_ASNS = [23456, 65535];

export function normalizeBgp(given: Bgp): Bgp {
  const value = Value.Default(Bgp, structuredClone(given)) as Bgp;
  requireAsn('/asn', value.asn);
  const bgp: Bgp = { ...value, policies: normalizePolicies(value.policies) };
  if (value.routerId !== undefined) bgp.routerId = normalizeRouterId(value.routerId);
  const policies = new Set(bgp.policies.map(({ name }) => name));
  const names = new Set<string>();
  const addresses = new Set<string>();
  bgp.peers = value.peers.map((each, index) => {
    const pointer = `/peers/${index}`;
    const peer = normalizePeer(value, each, pointer);
    if (names.has(peer.name)) {
      const why = 'is the name of another peer: names of peers are unique inside a BGP resource';
      throw invalid('bgp-peer-name', `${pointer}/name`, peer.name, why);
    }
    names.add(peer.name);
    if (addresses.has(peer.address)) {
      const why = 'is the address of another peer: there is one session to an address';
      throw invalid('bgp-peer-address', `${pointer}/address`, peer.address, why);
    }
    addresses.add(peer.address);
    for (const list of ['ingressPolicies', 'egressPolicies'] as const)
      requireKnown(`${pointer}/${list}`, peer[list], policies);
    return peer;
  });
  if (value.networks !== undefined) bgp.networks = normalizeNetworks(value.networks);
  return bgp;
}

export function checkBgp(domain: DomainState, value: Bgp): void {
  checkBgpInDomain({ ...domain, bgp: value });
}

function requireAsn(pointer: string, asn: number): void {
  if (!RESERVED_ASNS.includes(asn)) return;
  const why = `is nobody's: ${RESERVED_ASNS.join(' and ')} are reserved (RFC 6793, RFC 7300)`;
  throw invalid('bgp-asn-reserved', pointer, asn, why);
}

function normalizeRouterId(text: string): string {
  const address = canonicalAddress(text);
  if (address !== undefined && addressFamily(address) === 4 && !isUnspecified(address)) return address;
  const why = 'is not four decimal numbers with dots, other than 0.0.0.0 (RFC 6286)';
  throw invalid('bgp-router-id', '/routerId', text, why);
}

function normalizePeer(bgp: Bgp, given: BgpPeer, pointer: string): BgpPeer {
  requireAsn(`${pointer}/asn`, given.asn);
  const address = unicastField(`${pointer}/address`, given.address);
  const peer: BgpPeer = { ...given, address };
  if (given.localAddress !== undefined) {
    const field = `${pointer}/localAddress`;
    peer.localAddress = unicastField(field, given.localAddress);
    if (addressFamily(peer.localAddress) !== addressFamily(address)) {
      const why = `must be IPv${addressFamily(address)}, the family of the peer ${address}`;
      throw invalid('bgp-local-address-family', field, peer.localAddress, why);
    }
  }
  if (given.multihop !== undefined && isInternal(bgp, given)) {
    const why = 'is there with a peer of the own AS: how many hops there are to it does not matter';
    throw invalid('bgp-multihop-internal', `${pointer}/multihop`, given.multihop, why);
  }
  return peer;
}

function requireKnown(pointer: string, names: readonly string[], policies: ReadonlySet<string>): void {
  for (const [index, name] of names.entries()) {
    if (!policies.has(name)) {
      const why = 'must be the name of one of policies';
      throw invalid('bgp-policy-exists', `${pointer}/${index}`, name, why);
    }
    if (names.indexOf(name) !== index) {
      const why = 'is listed more than once: a policy decides the first time that it matches';
      throw invalid('bgp-policy-once', `${pointer}/${index}`, name, why);
    }
  }
}

function normalizeNetworks(given: readonly string[]): string[] {
  const networks: string[] = [];
  for (const [index, text] of given.entries()) {
    const pointer = `/networks/${index}`;
    const prefix = prefixField(pointer, text);
    requireUnicastPrefix(pointer, prefix);
    if (networks.includes(prefix))
      throw invalid('prefix-once', pointer, prefix, 'is listed more than once: a list has a prefix once');
    networks.push(prefix);
  }
  return networks;
}
