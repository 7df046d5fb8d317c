/** The policy of BGP's bench: a hundred routing domains, alike inside, each on a VLAN of its own with one BGP peer. */
import { blockDomain, blockPolicy } from './port-blocks-policy.ts';

export const DOMAINS = 100;
/** One more, whose BGP is started alone. */
export const ALONE = DOMAINS;
export const OWN_ASN = 4_200_000_001;
export const PEER_ASN = 65_010;
export const PEER_NAME = 'corporate';
const FIRST_VLAN = 1000;

/** Addresses of both ends; the peers are one machine, which tells its networks apart by these. */
export function bgpLink(number: number): { vlanId: number; domain: string; peer: string; length: number } {
  const subnet = `172.31.${number}`;
  return { vlanId: FIRST_VLAN + number, domain: `${subnet}.2`, peer: `${subnet}.1`, length: 30 };
}

export const bgpDomain = (number: number): ReturnType<typeof blockDomain> => blockDomain(number);

/** What makes a domain speak BGP. */
export function bgpBody(number: number): object {
  const { peer } = bgpLink(number);
  return {
    asn: OWN_ASN,
    peers: [{ name: PEER_NAME, address: peer, asn: PEER_ASN, password: 'both-know-it' }],
  };
}

/** The whole document. The last domain has no BGP yet. */
export function bgpPolicy() {
  const numbers = Array.from({ length: DOMAINS + 1 }, (_, number) => number);
  const policy = blockPolicy(numbers.map(bgpDomain), { nat: true });
  return {
    ...policy,
    routingDomains: policy.routingDomains.map((domain, number) => {
      const { vlanId, domain: address, length } = bgpLink(number);
      return {
        ...domain,
        forwarding: { vlanId, addresses: [`${address}/${length}`], advertise: ['10.1.1.0/24'] },
        ...(number === ALONE ? {} : { bgp: bgpBody(number) }),
      };
    }),
  };
}
