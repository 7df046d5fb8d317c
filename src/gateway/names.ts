/**
 * Names of what a node makes in the kernel. All begin with the instance's name, so that several nodes can share a
 * machine and each removes only its own; all stay within the 15 characters that Linux allows.
 */
import { createHash } from 'node:crypto';

const ALPHABET = 'abcdefghijklmnopqrstuvwxyz234567';
const DIGITS = 10;

/** Ten base-32 digits (50 bits) of the SHA-256: two of 10,000 domains agree with a chance of 1 in 20 million. */
function digestOf(text: string): string {
  const digest = createHash('sha256').update(text).digest();
  return Array.from({ length: DIGITS }, (_, i) => ALPHABET.charAt((digest[i] ?? 0) & 31)).join('');
}

/** The digits that stand for a domain in names. */
export function domainDigest(rdid: string): string {
  return digestOf(rdid);
}

export interface ContextNames {
  /** The network namespace, as `ip netns` shows it. */
  netns: string;
  /** Root side of the link whose other end is `hnv` in the namespace. */
  tenantPort: string;
  /** Root side of the link whose other end is `ext` in the namespace. */
  externalPort: string;
  /** Root side of the link whose other end is `fwd` in the namespace, of a domain with forwarding. */
  segmentPort: string;
}

/** `instance` has 1 to 4 characters. */
export function contextNames(instance: string, rdid: string): ContextNames {
  const digest = domainDigest(rdid);
  return {
    netns: `${instance}-${digest}`,
    tenantPort: `${instance}h${digest}`,
    externalPort: `${instance}x${digest}`,
    segmentPort: `${instance}f${digest}`,
  };
}

/** The namespace of the fragment sorter, and the root side of its link. */
export function sorterNames(instance: string): { netns: string; port: string } {
  return { netns: `${instance}-fragments`, port: `${instance}fragments` };
}

/** Whether a namespace's name is one that contextNames() of this instance could have made. */
export function isContextNetns(instance: string, netns: string): boolean {
  return netns.startsWith(`${instance}-`) && /^[a-z2-7]{10}$/.test(netns.slice(instance.length + 1));
}

/** The link of a provider address that has one of its own, `address` in canonical form. */
export function providerLink(instance: string, address: string): string {
  return `${instance}p${digestOf(address)}`;
}

/** Whether an interface's name is one that providerLink() of this instance could have made. */
export function isProviderLink(instance: string, name: string): boolean {
  return name.startsWith(`${instance}p`) && /^[a-z2-7]{10}$/.test(name.slice(instance.length + 1));
}
