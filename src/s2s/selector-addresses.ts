/**
 * Addresses on the userspace engine's link that nobody uses. For each prefix on our side strongSwan's kernel-libipsec wants an
 * address of this namespace in it, as the source of a route of its own, and makes no tunnel without one (install_route() of
 * 5.9.8). It gets the prefix's first one, and the kernel is told not to take packets for it: in a prefix of one host, that
 * is the host's.
 */
import type { RouteNetlink } from '../linux/rtnetlink.ts';
import { tunnelLink } from '../nat/ruleset.ts';
import { addressFamily, hostPrefix, networkAddress } from '../policy/address.ts';
import type { SiteConnectionPlan } from '../policy/plan.ts';

/** Of strongSwan's own routes, which is asked last. */
export const charonTable = 220;

export function selectorAddresses(connections: readonly SiteConnectionPlan[]): Set<string> {
  return new Set(connections.flatMap(({ localPrefixes }) => localPrefixes.map(networkAddress)));
}

/** Those that the link has beside the kernel's own; for who is in the namespace. */
export function readSelectorAddresses(reading: RouteNetlink, ifindex: number): Set<string> {
  const own = reading
    .addresses()
    .filter((one) => one.ifindex === ifindex && !one.address.startsWith('fe80:'));
  return new Set(own.map(({ address }) => address));
}

/** From what is there to what is wanted. */
export function selectorCommands(have: ReadonlySet<string>, want: ReadonlySet<string>): string[][] {
  const missing = [...want].filter((address) => !have.has(address));
  const extra = [...have].filter((address) => !want.has(address));
  return [...missing.flatMap(addition), ...extra.flatMap(removal)];
}

function addition(address: string): string[][] {
  const family = addressFamily(address);
  const on = ['dev', tunnelLink];
  return [
    ['addr', 'add', hostPrefix(address), ...on, ...(family === 6 ? ['nodad'] : [])],
    ['route', 'del', 'local', address, ...on, 'table', 'local'],
    // An IPv4 source must be a local address in the table of the route that has it, or in the kernel's own.
    ...(family === 4 ? [['route', 'replace', 'local', address, ...on, 'table', `${charonTable}`]] : []),
  ];
}

function removal(address: string): string[][] {
  const family = addressFamily(address);
  const on = ['dev', tunnelLink];
  return [
    ...(family === 4 ? [['route', 'del', 'local', address, ...on, 'table', `${charonTable}`]] : []),
    ['addr', 'del', hostPrefix(address), ...on],
  ];
}
