/**
 * Membership of provider links in multicast groups, so that NIC filters and IGMP or MLD snooping let the groups' frames in.
 * A group is joined as an address of the link that the kernel joins (`autojoin`): so it outlives the process, as a socket's
 * membership does not.
 */
import { addressFamily } from '../policy/address.ts';
import type { Interface } from './interfaces.ts';

/**
 * The address never becomes the source of a packet: in IPv4 by its scope, in IPv6 because the kernel does not choose
 * multicast addresses.
 */
function joinCommand(group: string, link: string): string[] {
  if (addressFamily(group) === 4)
    return ['addr', 'add', `${group}/32`, 'dev', link, 'scope', 'host', 'autojoin'];
  return ['addr', 'add', `${group}/128`, 'dev', link, 'nodad', 'noprefixroute', 'autojoin'];
}

/**
 * The commands that make the links' groups the wanted ones, by name of the link. Groups of the links in `ours` that are
 * not wanted are left.
 */
export function joinCommands(
  wanted: ReadonlyMap<string, ReadonlySet<string>>,
  interfaces: ReadonlyMap<string, Interface>,
  ours: ReadonlySet<string>,
): string[][] {
  const commands: string[][] = [];
  for (const name of new Set([...ours, ...wanted.keys()])) {
    const groups = wanted.get(name) ?? new Set();
    const joined = (interfaces.get(name)?.addresses ?? []).filter(({ isGroup }) => isGroup);
    const have = new Set(joined.map(({ address }) => address));
    for (const { address, prefixLength } of joined)
      if (!groups.has(address)) commands.push(['addr', 'del', `${address}/${prefixLength}`, 'dev', name]);
    for (const group of groups) if (!have.has(group)) commands.push(joinCommand(group, name));
  }
  return commands;
}
