/** Looks whether the kernel still has what NodeLinks has made of the node's own interfaces; changes nothing. */
import type { EncapCore } from '../encap/core.ts';
import { linkName } from '../linux/links.ts';
import { RouteNetlink } from '../linux/rtnetlink.ts';
import type { Finding } from './drift.ts';
import type { FastLinks } from './fast-links.ts';
import { type Absence, type Carrier, isAbsence } from './provider-carriers.ts';
import type { GroupMembership } from './provider-groups.ts';
import { inspectOwnLink, type OwnLink } from './provider-links.ts';
import { inspectRoutes, type Route } from './provider-routes.ts';
import type { ProviderTables, TaggedLink } from './provider-tables.ts';
import type { Uplinks } from './uplinks.ts';

/** What of the node's own links is otherwise than it was made. */
export interface LinkFindings {
  /** What somebody has changed of what is ours. */
  findings: Finding[];
  /** The operator has changed what is his: an address of an interface has come or gone. */
  isStale: boolean;
}

/** What was made. */
export interface MadeLinks {
  /** By provider address, as `ownLinks`: the links of the node's own. */
  carriers: ReadonlyMap<string, Carrier | Absence>;
  ownLinks: ReadonlyMap<string, OwnLink>;
  /** By id, as the reasons of those that could not be made. */
  routes: ReadonlyMap<string, Route>;
  routeFailures: ReadonlyMap<string, string>;
  /** Memberships of links; none while they change. */
  members: readonly GroupMembership[];
  /** Groups of the map `providers`, with their interfaces. */
  joined: ReadonlyMap<string, number>;
  /** Names of interfaces that may have routes of ours. */
  touched: ReadonlySet<string>;
  /** Whether the programs are on their interfaces; before that, those of an earlier process may be. */
  isAttached: boolean;
  uplinks: Uplinks;
  fast: Pick<FastLinks, 'inspect'>;
}

type Core = Pick<EncapCore, 'isAttached'>;

/** Provider addresses that have a place, with it and the link of their own, where they have one. */
function placed({ carriers, ownLinks }: MadeLinks): [string, Carrier, OwnLink | undefined][] {
  return [...carriers].flatMap(([address, found]) =>
    isAbsence(found) ? [] : [[address, found, ownLinks.get(address)]],
  );
}

export function inspectLinks(core: Core, tables: ProviderTables, made: MadeLinks): LinkFindings {
  const findings: Finding[] = [];
  let isStale = false;
  RouteNetlink.use((reading) => {
    for (const [address, { name, place }, own] of placed(made)) {
      const texts = own === undefined ? [] : inspectOwnLink(reading, own);
      findings.push(...texts.map((text) => ({ kind: 'providerAddress' as const, id: address, text })));
      if (own !== undefined) continue;
      const there = reading.link(name);
      if (there?.ifindex !== place.ifindex) continue; // the watch tells of it
      if (!reading.addresses(there.ifindex).some((one) => one.address === address)) isStale = true;
    }
    findings.push(...missingGroups(reading, made));
    const { routes, routeFailures, touched } = made;
    const present = new Set([...routes.keys()].filter((id) => !routeFailures.has(id)));
    for (const { id, text } of inspectRoutes(reading, routes, present, touched))
      findings.push(id === undefined ? { text } : { kind: 'providerRoute', id, text });
  });
  const outside = made.uplinks.inspect();
  findings.push(...[...outside.texts, ...made.fast.inspect()].map((text) => ({ text })));
  findings.push(...tableFindings(tables, made));
  if (made.isAttached) findings.push(...programFindings(core, made));
  return { findings, isStale: isStale || outside.isStale };
}

/** Gone links of provider addresses are told by themselves. */
function missingGroups(reading: RouteNetlink, { members, carriers }: MadeLinks): Finding[] {
  return members.flatMap(({ group, providerAddress }): Finding[] => {
    const carrier = carriers.get(providerAddress);
    if (carrier === undefined || isAbsence(carrier)) return [];
    const link = reading.link(carrier.name);
    if (link === undefined) return [];
    const addresses = reading.addresses(link.ifindex);
    if (addresses.some(({ address, isGroup }) => isGroup && address === group)) return [];
    const text = `${carrier.name}: the group ${group} was not joined`;
    return [{ kind: 'providerAddress', id: providerAddress, text }];
  });
}

function tableFindings(tables: ProviderTables, made: MadeLinks): Finding[] {
  const wanted = new Map(made.joined);
  const tags: TaggedLink[] = [];
  for (const [address, { place, inbound }, own] of placed(made)) {
    wanted.set(address, place.ifindex);
    const parentIfindex = [...inbound.keys()].find((ifindex) => ifindex !== place.ifindex);
    if (own?.vlanId !== undefined && parentIfindex !== undefined)
      tags.push({ ifindex: place.ifindex, parentIfindex, vlanId: own.vlanId });
  }
  const texts = tables.differences(wanted, tags);
  return texts.map((text) => ({ text }));
}

function programFindings(core: Core, made: MadeLinks): Finding[] {
  const findings: Finding[] = [];
  const check = (place: 'provider' | 'vlan' | 'tag', ifindex: number): void => {
    const name = linkName(ifindex);
    if (name !== undefined && !core.isAttached(place, ifindex))
      findings.push({ text: `${name}: the program ${place} was missing` });
  };
  const links = placed(made);
  for (const [, { inbound }] of links) for (const [ifindex, place] of inbound) check(place, ifindex);
  for (const [, { place }, own] of links) if (own?.vlanId !== undefined) check('tag', place.ifindex);
  return findings;
}
