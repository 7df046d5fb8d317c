/**
 * The links of this node's own making: one for each provider address that has a VLAN or a MAC address of its own, a macvlan
 * over the address's interface. Owns the links that `names.ts` names for this instance and nothing of the interfaces
 * below them, of which it only changes for whom they answer ARP.
 *
 * Mode `private`: the node's provider addresses do not talk to one another over the fabric. The VLAN tag is put on and
 * taken off by eBPF on both interfaces, so that no kernel needs 8021q; the MTU is the interface's, for a tag is
 * not counted in it.
 */
import { HnvError } from '../errors.ts';
import { isProviderLink, providerLink } from '../gateway/names.ts';
import { ip, ipBatch } from '../linux/iproute2.ts';
import { ifindexOf } from '../linux/links.ts';
import type { RouteNetlink } from '../linux/rtnetlink.ts';
import { readSysctl, writeSysctl } from '../linux/sysctl.ts';
import { addressFamily } from '../policy/address.ts';
import type { ProviderAddress } from '../policy/resources.ts';
import { derivedMac } from '../policy/router.ts';
import type { Interface } from './interfaces.ts';

/** IFLA_INET6_ADDR_GEN_MODE: no link-local address. */
const NO_LINK_LOCAL = '1';

export interface OwnLink {
  name: string;
  address: string;
  prefixLength: number;
  parent: string;
  mac: string;
  vlanId?: number;
}

/** The link that a provider address asks for; undefined when it is to be on its interface already. */
export function ownLink(instance: string, address: string, value: ProviderAddress): OwnLink | undefined {
  const { interface: parent, prefixLength, vlanId, macAddress } = value;
  if (vlanId === undefined && macAddress === undefined) return undefined;
  return {
    ...{ name: providerLink(instance, address), address, prefixLength, parent },
    // Unique among the neighbours is enough.
    mac: macAddress ?? derivedMac(`provider address ${address}`),
    ...(vlanId === undefined ? {} : { vlanId }),
  };
}

/** Before a link is up for the first time: nothing may leave without the tag. */
export type PrepareLink = (link: OwnLink, ifindex: number, parentIfindex: number) => void;

/**
 * Makes the link as wanted, adopting what is there, and calls `prepare` before it opens. Throws HNV_IPROUTE2, or HNV_NETNS
 * with the reason why it cannot be.
 */
export async function applyOwnLink(
  link: OwnLink,
  interfaces: ReadonlyMap<string, Interface>,
  prepare: PrepareLink,
): Promise<void> {
  const parent = interfaces.get(link.parent);
  if (parent === undefined)
    throw new HnvError('HNV_NETNS', `There is no interface ${link.parent} on this machine.`);
  for (const { name, addresses } of interfaces.values())
    if (name !== link.name && addresses.some(({ address }) => address === link.address))
      throw new HnvError(
        'HNV_NETNS',
        `The interface ${name} has the address ${link.address}, which is to have a link of its own.`,
      );
  const found = interfaces.get(link.name);
  const usable = found?.kind === 'macvlan' && found.parent === link.parent ? found : undefined;
  if (found !== undefined && usable === undefined) await ip(['link', 'delete', 'dev', link.name]);
  if (usable === undefined) await create(link, parent);
  const ifindex = usable?.ifindex ?? ifindexOf(link.name);
  if (ifindex === undefined)
    throw new HnvError('HNV_NETNS', `The link ${link.name} has gone while it was being set up.`);
  applySysctls(link);
  prepare(link, ifindex, parent.ifindex);
  await ipBatch(openCommands(link, usable, parent.mtu));
}

/**
 * Links of this instance that no provider address asks for, of those that are there: also one that is to be over another
 * interface, which may not be there. `wanted` has the interface below by the link's name.
 */
export function orphanLinks(
  instance: string,
  wanted: ReadonlyMap<string, string>,
  interfaces: ReadonlyMap<string, Interface>,
): Interface[] {
  return [...interfaces.values()].filter(
    ({ name, kind, parent }) =>
      kind === 'macvlan' && isProviderLink(instance, name) && wanted.get(name) !== parent,
  );
}

async function create(link: OwnLink, parent: Interface): Promise<void> {
  await ip([
    ...['link', 'add', 'link', parent.name, 'name', link.name, 'address', link.mac],
    ...['mtu', String(parent.mtu), 'type', 'macvlan', 'mode', 'private'],
  ]);
}

/**
 * The link answers for its own address only and asks under it, learns nothing from routers, and with an IPv4 address has
 * no other of IPv6. The interface below stops answering ARP for the link's address, which would lead senders past the
 * link's MAC and tag: it is the one setting of it that is changed.
 */
function applySysctls(link: OwnLink): void {
  const parentAnswers = answersOf(link.parent);
  if (readSysctl(parentAnswers) === '0') writeSysctl(parentAnswers, '1');
  for (const [path, value] of settingsOf(link)) writeSysctl(path, value);
}

const answersOf = (parent: string): string => `net/ipv4/conf/${parent}/arp_ignore`;

function settingsOf({ name, address }: OwnLink): [path: string, value: string][] {
  return [
    ...(addressFamily(address) === 4
      ? [[`net/ipv6/conf/${name}/addr_gen_mode`, NO_LINK_LOCAL] as [string, string]]
      : []),
    [`net/ipv6/conf/${name}/accept_ra`, '0'],
    [`net/ipv4/conf/${name}/arp_ignore`, '1'],
    [`net/ipv4/conf/${name}/arp_announce`, '2'],
  ];
}

/** What a link that applyOwnLink() has made has otherwise, as parts of a sentence. */
export function inspectOwnLink(reading: RouteNetlink, link: OwnLink): string[] {
  const parent = reading.link(link.parent);
  if (parent === undefined) return []; // the watch tells of it
  const { name, address, prefixLength, mac } = link;
  const found = reading.link(name);
  if (found === undefined) return [`the link ${name} was missing`];
  const texts: string[] = [];
  if (found.below !== parent.ifindex) texts.push(`the link ${name} was on another one`);
  if (!found.isUp) texts.push(`the link ${name} was down`);
  if (found.mac !== mac) texts.push(`the link ${name} had the MAC ${found.mac}`);
  if (found.mtu !== parent.mtu) texts.push(`the link ${name} had the MTU ${found.mtu}`);
  const addresses = reading.addresses(found.ifindex).filter(({ isGroup }) => !isGroup);
  const isWanted = (have: { address: string; prefixLength: number }): boolean =>
    have.address === address && have.prefixLength === prefixLength;
  if (!addresses.some(isWanted)) texts.push(`the address ${address}/${prefixLength} of ${name} was missing`);
  for (const have of addresses)
    if (!isWanted(have) && !have.address.startsWith('fe80:'))
      texts.push(`${name} had the address ${have.address}/${have.prefixLength}`);
  for (const [path, value] of settingsOf(link)) {
    const now = readSysctl(path);
    if (now !== value) texts.push(`the setting ${path} was ${now}`);
  }
  if (readSysctl(answersOf(link.parent)) === '0') texts.push(`the setting ${answersOf(link.parent)} was 0`);
  return texts;
}

/** From the link as it was found, undefined when it has just been made, to what is wanted. */
function openCommands(link: OwnLink, found: Interface | undefined, mtu: number): string[][] {
  const { name, address, prefixLength } = link;
  const commands: string[][] = [];
  if (found !== undefined && found.mac !== link.mac)
    commands.push(['link', 'set', 'dev', name, 'address', link.mac]);
  if (found !== undefined && found.mtu !== mtu)
    commands.push(['link', 'set', 'dev', name, 'mtu', String(mtu)]);
  const isWanted = (have: { address: string; prefixLength: number }): boolean =>
    have.address === address && have.prefixLength === prefixLength;
  const others = (found?.addresses ?? []).filter((have) => have.scope !== 'link' && !have.isGroup);
  // IPv6 knows an address by itself alone, so that another prefix length is another entry only in IPv4.
  for (const have of others)
    if (!isWanted(have)) commands.push(['addr', 'del', `${have.address}/${have.prefixLength}`, 'dev', name]);
  if (!others.some(isWanted)) commands.push(['addr', 'add', `${address}/${prefixLength}`, 'dev', name]);
  if (found?.isUp !== true) commands.push(['link', 'set', 'dev', name, 'up']);
  return commands;
}
