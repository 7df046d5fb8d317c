/**
 * Source NAT to external addresses that the tenant's hosts share: which of them a host has, and of an address that is shared
 * with other domains the block of ports.
 */
import { createHash } from 'node:crypto';
import { addressFamily } from '../policy/address.ts';
import type { ExternalAddressPlan, NatPlan } from '../policy/plan.ts';
import { type Family, NFT } from './families.ts';

/** ICMP queries whose identifier is decided by at the uplink, as ports are (RFC 5508 section 3.1). */
const ECHO = { 4: 'icmp type echo-request', 6: 'icmpv6 type echo-request' } as const;

/** An external address with the rule's part that picks the hosts that have it. */
export interface Share {
  external: ExternalAddressPlan;
  pick: string;
}

/**
 * Whose address is which, of a family. A host always has the same one (RFC 4787 REQ-2, "paired"): chosen by a hash of the
 * inner source. Addresses that are a host's own by one-to-one NAT are not among them.
 */
export function sharesOf(rdid: string, plan: NatPlan | undefined, family: Family): Share[] {
  const seed = createHash('sha256').update(rdid).digest().readUInt32LE(0);
  const own = new Set(plan?.oneToOne.map(({ external }) => external));
  const shared = (plan?.externalAddresses ?? []).filter(
    ({ address }) => addressFamily(address) === family && !own.has(address),
  );
  const { ip, nfproto } = NFT[family];
  return shared.map((external, index) => ({
    external,
    pick:
      shared.length === 1
        ? `meta nfproto ${nfproto}`
        : `jhash ${ip} saddr mod ${shared.length} seed ${seed} == ${index}`,
  }));
}

/** What follows `snat ip to`; a block is of ports or identifiers alike. */
export function target({ address, portStart, portEnd }: ExternalAddressPlan): string {
  if (portStart === undefined || portEnd === undefined) return address;
  const host = addressFamily(address) === 4 ? address : `[${address}]`;
  return `${host}:${portStart}-${portEnd}`;
}

/**
 * Rules that translate what leaves. Under a block that is TCP, UDP and echo requests: what has neither ports nor
 * identifiers stays untranslated, and leaves nowhere.
 */
export function shareRules(rdid: string, plan: NatPlan | undefined, family: Family): string[] {
  const { ip } = NFT[family];
  return sharesOf(rdid, plan, family).flatMap(({ external, pick }) => {
    const translate = `snat ${ip} to ${target(external)}`;
    if (external.portStart === undefined) return [`${pick} ${translate}`];
    return [`${pick} meta l4proto { tcp, udp } ${translate}`, `${pick} ${ECHO[family]} ${translate}`];
  });
}
