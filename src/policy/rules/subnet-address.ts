/**
 * Which addresses of a virtual subnet's prefixes a host can have: all but the network address (in IPv6 the anycast
 * address of its routers, RFC 4291 section 2.6.1), IPv4's broadcast address, and the `.1`, which every host answers as
 * the distributed router.
 */
import { addressFamily, contains, firstUsable, lastAddress, networkAddress } from '../address.ts';
import type { VirtualSubnet } from '../resources.ts';
import type { DomainState } from '../state.ts';
import { invalid } from './refusal.ts';

interface Problem {
  rule: string;
  /** Continues the sentence "the address …". */
  why: string;
}

/** Why no host inside `prefixes` (which do not overlap) can have the address; undefined when one can. */
export function hostAddressProblem(prefixes: readonly string[], address: string): Problem | undefined {
  const prefix = prefixes.find((candidate) => contains(candidate, address));
  if (prefix === undefined) {
    const where = prefixes.length === 0 ? 'the virtual subnet' : prefixes.join(', ');
    return { rule: 'address-in-subnet', why: `must be inside the prefixes of its virtual subnet: ${where}` };
  }
  if (addressFamily(address) === 6) {
    if (address === networkAddress(prefix)) {
      return { rule: 'address-of-host', why: `must not be the subnet-router anycast address of ${prefix}` };
    }
  } else if (address === networkAddress(prefix) || address === lastAddress(prefix)) {
    const why = `must not be the network address or the broadcast address of ${prefix}`;
    return { rule: 'address-of-host', why };
  }
  if (address === firstUsable(prefix)) {
    return {
      rule: 'address-reserved',
      why: `must not be the first address of ${prefix}, which is reserved for the distributed router`,
    };
  }
  return undefined;
}

/** Throws HNV_INVALID_FIELD unless a host inside `prefixes` can have the address. */
export function requireHostAddress(pointer: string, prefixes: readonly string[], address: string): void {
  const problem = hostAddressProblem(prefixes, address);
  if (problem !== undefined) throw invalid(problem.rule, pointer, address, problem.why);
}

/** The domain's virtual subnet with that VSID. Says the same about a VSID of another domain and one of nobody. */
export function requireSubnet(domain: DomainState, pointer: string, vsid: number): VirtualSubnet {
  const subnet = domain.virtualSubnets.get(vsid);
  if (subnet === undefined) {
    throw invalid(
      'vsid-of-domain',
      pointer,
      vsid,
      'must be the VSID of a virtual subnet of this routing domain',
    );
  }
  return subnet;
}
