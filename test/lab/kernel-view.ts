/**
 * What the kernel has of a node, read with the kernel's own tools (bpftool, ip, nft) and not with what the product reads
 * with: as lines by section, which two views can be compared by, and as the identities of its objects.
 */
import { stat } from 'node:fs/promises';
import { OWNER } from '../../src/encap/core.ts';
import { domainMaps } from '../../src/encap/entries.ts';
import { countingMaps } from '../../src/encap/tables.ts';
import { inNetns } from '../../src/linux/netns.ts';
import { attachedTcx, hasTcx } from '../../src/linux/tcx.ts';
import { contextNamespaces, pinDirectory } from './gateway-remains.ts';
import type { Lab } from './lab.ts';
import type { NodeProcess } from './node-process.ts';

/** Lines, sorted, by section. */
export type Sections = Record<string, string[]>;

export interface KernelLink {
  readonly ifindex: number;
  readonly ifname: string;
  readonly mtu: number;
  readonly address: string;
  readonly flags: readonly string[];
  /** Name of the interface below. */
  readonly link?: string;
  readonly link_netnsid?: number;
  readonly linkinfo?: { info_kind?: string; info_data?: { mode?: string } };
  readonly addr_info: readonly {
    local: string;
    prefixlen: number;
    scope: string;
    autojoin?: boolean;
    tentative?: boolean;
  }[];
}

export interface KernelView {
  readonly sections: Sections;
  /** Interfaces of the node's namespace, by name. */
  readonly links: ReadonlyMap<string, KernelLink>;
  /** Namespaces of routing contexts. */
  readonly contexts: readonly string[];
  /** Equal before and after means that nothing was made anew. */
  readonly identities: Record<string, unknown>;
}

/** Maps that the data plane is told by; all others belong to packets. */
const MAPS = [...domainMaps, ...countingMaps, 'providers', 'vlans', 'uplinks'];

/** rtm_protocol of hnvgw's own routes. */
const PROTOCOL = '234';

interface MapEntry {
  key: string[];
  value: string[];
}

const hexOf = (bytes: readonly string[]): string => bytes.map((byte) => byte.slice(2)).join('');

/** The result of several ip commands in one process: an array each. */
async function ipArrays(
  lab: Lab,
  netns: string,
  commands: readonly string[],
): Promise<Record<string, unknown>[][]> {
  const { stdout } = await lab.runChecked('ip', ['-n', netns, '-json', '-details', '-batch', '-'], {
    input: `${commands.join('\n')}\n`,
  });
  // ip writes one array a line, and nothing at all for what it has none of.
  const arrays = stdout.split(/(?<=\])\n?(?=\[)/).filter((text) => text.trim() !== '');
  if (arrays.length !== commands.length)
    throw new Error(`ip answered ${arrays.length} of ${commands.length}: ${stdout}`);
  return arrays.map((text) => JSON.parse(text) as Record<string, unknown>[]);
}

async function readMaps(
  lab: Lab,
  instance: string,
): Promise<{ sections: Sections; ids: Record<string, number> }> {
  const { stdout: found } = await lab.runChecked('ls', [pinDirectory(instance)]);
  const generations = found.trim().split('\n');
  const [generation] = generations;
  if (generations.length !== 1) throw new Error(`there is more than one generation: ${found}`);
  const directory = `${pinDirectory(instance)}/${generation}`;
  const commands = MAPS.flatMap((name) => [
    `map show pinned ${directory}/maps/${name}`,
    `map dump pinned ${directory}/maps/${name}`,
  ]);
  const { stdout } = await lab.runChecked('bpftool', ['-j', 'batch', 'file', '-'], {
    input: `${commands.join('\n')}\n`,
  });
  const results = (JSON.parse(stdout) as { output: unknown }[]).map(({ output }) => output);
  const sections: Sections = {};
  const ids: Record<string, number> = {};
  for (const [index, name] of MAPS.entries()) {
    ids[name] = (results[2 * index] as { id: number }).id;
    const entries = results[2 * index + 1] as MapEntry[];
    sections[`map ${name}`] = entries.map(({ key, value }) => `${hexOf(key)} ${hexOf(value)}`).sort();
  }
  return { sections, ids };
}

/** `interface hook program`, of ours; and the programs' ids. */
async function readPrograms(
  node: NodeProcess,
  links: ReadonlyMap<string, KernelLink>,
): Promise<{ lines: string[]; ids: Record<string, number> }> {
  const { lab } = node.namespace;
  const { stdout } = await node.namespace.runChecked(['bpftool', '-j', 'net', 'show']);
  const [{ tc }] = JSON.parse(stdout) as [
    { tc: { devname: string; kind: string; name: string; id: number }[] },
  ];
  const ids: Record<string, number> = {};
  for (const { devname, kind, name, id } of tc)
    ids[`${devname} ${kind.split('/')[1]} ${name.replace(/:.*/, '')}`] = id;
  if (!hasTcx()) return { lines: Object.keys(ids).sort(), ids };
  // Debian's bpftool is older than tcx.
  const attached = inNetns(node.namespace.name, () =>
    [...links.values()].flatMap(({ ifname, ifindex }) =>
      (['ingress', 'egress'] as const).map((hook) => ({
        ifname,
        hook,
        id: attachedTcx(ifindex, hook, OWNER),
      })),
    ),
  );
  const names = new Map<number, string>();
  const { stdout: programs } = await lab.runChecked('bpftool', ['-j', 'prog', 'show']);
  for (const { id, name } of JSON.parse(programs) as { id: number; name: string }[]) names.set(id, name);
  for (const { ifname, hook, id } of attached)
    if (id !== undefined) ids[`${ifname} ${hook} ${names.get(id)}`] = id;
  return { lines: Object.keys(ids).sort(), ids };
}

/** As `nft -j list ruleset` tells it, without what it numbers and counts; sets in order. */
export async function readRuleset(lab: Lab, netns: string): Promise<{ lines: string[]; handles: unknown }> {
  const { stdout } = await lab.runChecked('nsenter', [
    `--net=/run/netns/${netns}`,
    '--',
    'nft',
    '-j',
    'list',
    'ruleset',
  ]);
  const { nftables } = JSON.parse(stdout) as { nftables: Record<string, unknown>[] };
  const objects = nftables.filter((object) => !('metainfo' in object));
  const counted = new Set(['packets', 'bytes']);
  const plain = (numbered: Set<string>) =>
    objects.map((object) =>
      JSON.stringify(object, (name, value) => {
        if (numbered.has(name)) return undefined;
        if (name !== 'elem' || !Array.isArray(value)) return value as unknown;
        return (value as unknown[]).map((one) => JSON.stringify(one)).sort();
      }),
    );
  // The order of rules in a chain counts, that of chains and sets does not.
  const lines = plain(new Set([...counted, 'handle', 'index']));
  const rules = lines
    .filter((line) => line.startsWith('{"rule"'))
    .map((line, index) => [line, index] as const);
  const chains = new Map<string, number>();
  const numbered = rules.map(([line]) => {
    const chain = /"chain":"([^"]*)"/.exec(line)?.[1] ?? '';
    const place = (chains.get(chain) ?? 0) + 1;
    chains.set(chain, place);
    return `${chain} ${place} ${line}`;
  });
  return {
    lines: [...lines.filter((line) => !line.startsWith('{"rule"')), ...numbered].sort(),
    handles: plain(counted),
  };
}

interface ContextRoute {
  dst: string;
  dev: string;
  protocol?: string;
  table?: string;
  pref?: string;
  gateway?: string;
  prefsrc?: string;
  nexthops?: { gateway: string; dev: string; weight: number }[];
}

async function readInside(lab: Lab, netns: string): Promise<{ lines: string[]; identity: unknown }> {
  const [links = [], routes = [], neighbours = []] = await ipArrays(lab, netns, [
    'addr show',
    'route show table all',
    'neigh show nud permanent',
  ]);
  const lines: string[] = [];
  for (const { ifname, flags, mtu, address, addr_info } of links as unknown as KernelLink[]) {
    if (flags.includes('UP')) lines.push(`up ${ifname}`);
    if (ifname === 'lo') continue;
    lines.push(`mtu ${ifname} ${mtu}`);
    if (ifname !== 'ext') lines.push(`mac ${ifname} ${address}`);
    for (const { local, prefixlen } of addr_info) lines.push(`address ${ifname} ${local}/${prefixlen}`);
  }
  for (const route of routes as unknown as ContextRoute[]) {
    const { dst, protocol, table, pref, prefsrc, nexthops } = route;
    const dev = nexthops?.[0]?.dev ?? route.dev;
    const gateway =
      nexthops
        ?.map((hop) => hop.gateway)
        .toSorted()
        .join(',') ?? route.gateway;
    // What the kernel keeps in `local` follows from the addresses; what BGP has learned is its peers'.
    if (dev === 'lo' || (table !== 'main' && table !== '200') || protocol === 'bgp') continue;
    // Only routes of IPv6 have a preference (RFC 4191).
    const [any, length] = pref === undefined ? ['0.0.0.0/0', 32] : ['::/0', 128];
    const destination = dst === 'default' ? any : dst.includes('/') ? dst : `${dst}/${length}`;
    if (table === '200') lines.push(`looped ${destination} ${dev} ${gateway ?? '-'}`);
    else lines.push(`route ${destination} ${dev} ${gateway ?? '-'} ${prefsrc ?? '-'}`);
  }
  for (const { dst, dev, lladdr } of neighbours as { dst: string; dev: string; lladdr: string }[])
    lines.push(`neighbour ${dev} ${dst} ${lladdr}`);
  const ids = (links as unknown as KernelLink[]).map(({ ifname, ifindex, address }) => ({
    ifname,
    ifindex,
    address,
  }));
  return { lines: lines.sort(), identity: ids };
}

interface RouteLine {
  dst: string;
  dev: string;
  gateway?: string;
  metric?: number;
}

/** Reads everything; the node may run or not. */
export async function readKernel(node: NodeProcess): Promise<KernelView> {
  const { lab } = node.namespace;
  const [maps, contexts, shown] = await Promise.all([
    readMaps(lab, node.instance),
    contextNamespaces(node.instance),
    ipArrays(lab, node.namespace.name, [
      'addr show',
      `route show table all proto ${PROTOCOL}`, // of one table, ip shows IPv4 alone
      'neigh show proxy',
    ]),
  ]);
  contexts.sort();
  const [addresses = [], routes = [], proxies = []] = shown;
  const links = new Map((addresses as unknown as KernelLink[]).map((link) => [link.ifname, link]));
  const inside = contexts.map(async (netns) => ({
    netns,
    context: await readInside(lab, netns),
    ruleset: await readRuleset(lab, netns),
    inode: (await stat(`/run/netns/${netns}`)).ino,
  }));
  const [programs, ...namespaces] = await Promise.all([readPrograms(node, links), ...inside]);

  const route = ({ dst, dev, gateway, metric }: RouteLine): string =>
    `${dst} ${gateway} ${dev} ${metric ?? 0}`;
  const sections: Sections = {
    ...maps.sections,
    programs: programs.lines,
    contexts: [...contexts],
    'provider routes': routes.map((one) => route(one as unknown as RouteLine)).sort(),
    proxies: (proxies as { dst: string; dev: string }[]).map(({ dst, dev }) => `${dev} ${dst}`).sort(),
    promiscuous: [...links.values()]
      .flatMap(({ ifname, flags }) => (flags.includes('PROMISC') ? ifname : []))
      .sort(),
    links: [...links.values()].flatMap((link) => ownLinkLine(node.instance, link)).sort(),
    groups: [...links.values()]
      .flatMap(({ ifname, addr_info }) =>
        addr_info.flatMap(({ local, autojoin }) => (autojoin === true ? `${ifname} ${local}` : [])),
      )
      .sort(),
  };
  const identities: Record<string, unknown> = {
    maps: maps.ids,
    programs: programs.ids,
    links: [...links.values()].map(({ ifname, ifindex, address }) => ({ ifname, ifindex, address })),
  };
  for (const { netns, context, ruleset, inode } of namespaces) {
    sections[`inside ${netns}`] = context.lines;
    sections[`ruleset ${netns}`] = ruleset.lines;
    identities[netns] = { inode, links: context.identity, ruleset: ruleset.handles };
  }
  return { sections, links, contexts, identities };
}

/** A line for each link that the node has made in its own namespace. */
function ownLinkLine(
  instance: string,
  { ifname, link, mtu, address, flags, linkinfo, addr_info }: KernelLink,
): string[] {
  if (!new RegExp(`^${instance}[hxfp][a-z2-7]{10}$`).test(ifname)) return [];
  const up = flags.includes('UP') ? 'up' : 'down';
  if (!ifname.startsWith(`${instance}p`)) return [`${ifname} ${linkinfo?.info_kind} ${mtu} ${up}`];
  const addresses = addr_info.filter(({ autojoin }) => autojoin !== true);
  const text = addresses.map(({ local, prefixlen }) => `${local}/${prefixlen}`).sort();
  return [
    `${ifname} ${linkinfo?.info_kind} ${linkinfo?.info_data?.mode} over ${link} ${address} ${mtu} ${up} ${text}`,
  ];
}
