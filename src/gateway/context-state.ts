/**
 * What a routing context should have and what it has, in one comparable form, and the iproute2 commands that lead from
 * one to the other. Pure except for readContext().
 *
 * Inside, `hnv` leads to the tenant by the distributed router and `ext` to the uplink. Both next hops have the router's
 * MAC by permanent neighbour entries, a MAC that no interface has: were the eBPF program on the root side ever missing,
 * the root namespace would take no frame for its own, and nothing would leak into its routing.
 */

import { ipBatchJson } from '../linux/iproute2.ts';
import { type ContextMtu, externalLink, tenantLink } from '../nat/ruleset.ts';
import { addressFamily } from '../policy/address.ts';
import type { ContextPlan } from '../policy/plan.ts';
import { routerMac } from '../policy/router.ts';

/** What differs between the families. */
const FAMILY = {
  4: {
    hostLength: 32,
    any: '0.0.0.0/0',
    /** Next hop of the context's default route. Never on a wire: it only names the permanent neighbour. */
    uplinkHop: '169.254.1.1',
  },
  6: { hostLength: 128, any: '::/0', uplinkHop: 'fe80::1' },
} as const;

export interface ContextState {
  /** Links that are up. */
  up: Set<string>;
  /** `link address/length` */
  addresses: Set<string>;
  /** `destination link via source`, the destination a prefix; `-` where there is none */
  routes: Set<string>;
  /** `link address mac` */
  neighbours: Set<string>;
  mtu: Map<string, number>;
  tenantMac: string;
}

const hostPrefix = (address: string): string => `${address}/${FAMILY[addressFamily(address)].hostLength}`;

/** Everything about a context that its namespace must show. */
export function desiredContext(
  plan: ContextPlan,
  externals: readonly string[],
  mtu: ContextMtu,
): ContextState {
  const addresses = externals.map((address) => `${externalLink} ${hostPrefix(address)}`);
  const routes = new Set<string>();
  const neighbours = new Set<string>();
  for (const [index, address] of plan.addresses.entries()) {
    const family = addressFamily(address);
    const router = plan.routerAddresses[index] ?? '';
    const hasUplink = externals.some((external) => addressFamily(external) === family);
    addresses.push(`${tenantLink} ${hostPrefix(address)}`);
    neighbours.add(`${tenantLink} ${router} ${routerMac}`);
    routes.add(`${hostPrefix(router)} ${tenantLink} - ${address}`);
    for (const prefix of plan.tenantPrefixes) {
      if (addressFamily(prefix) !== family) continue;
      // What has no better route leaves by the uplink, and the router itself is on the link, whatever the tenant's routes say.
      if (prefix === hostPrefix(router) || (prefix === FAMILY[family].any && hasUplink)) continue;
      routes.add(`${prefix} ${tenantLink} ${router} ${address}`);
    }
  }
  for (const family of [4, 6] as const) {
    const source = externals.find((external) => addressFamily(external) === family);
    if (source === undefined) continue;
    const { any, uplinkHop } = FAMILY[family];
    routes.add(`${any} ${externalLink} ${uplinkHop} ${source}`);
    // Not without an address: the kernel forgets even permanent neighbours with the link's last one.
    neighbours.add(`${externalLink} ${uplinkHop} ${routerMac}`);
  }
  return {
    up: new Set(['lo', tenantLink, externalLink]),
    addresses: new Set(addresses),
    routes,
    neighbours,
    mtu: new Map([
      [tenantLink, mtu.tenant],
      [externalLink, mtu.external],
    ]),
    tenantMac: plan.mac,
  };
}

interface IpAddr {
  ifname?: string;
  mtu?: number;
  address?: string;
  flags?: string[];
  addr_info?: { local: string; prefixlen: number }[];
}
interface IpRoute {
  dst: string;
  dev: string;
  /** Absent in the table main. */
  table?: string;
  /** RFC 4191 preference: IPv6 routes have it, and IPv4 routes have not. */
  pref?: string;
  gateway?: string;
  prefsrc?: string;
}
interface IpNeigh {
  dst: string;
  dev: string;
  lladdr?: string;
}

/** A namespace that was just made, with both links as contexts.ts makes them. */
export function freshContext(want: ContextState): ContextState {
  return { ...want, up: new Set(), addresses: new Set(), routes: new Set(), neighbours: new Set() };
}

/** iproute2 shows a prefix that is one address without its length, and the default of either family by the same word. */
function routeDestination({ dst, pref }: IpRoute): string {
  if (dst === 'default') return FAMILY[pref === undefined ? 4 : 6].any;
  return dst.includes('/') ? dst : hostPrefix(dst);
}

/** Reads a context's namespace in one iproute2 run. */
export async function readContext(netns: string): Promise<ContextState> {
  const [links = [], routes = [], neighbours = []] = await ipBatchJson(
    [
      ['addr', 'show'],
      ['route', 'show', 'table', 'all'], // of one table, ip shows IPv4 alone
      ['neigh', 'show', 'nud', 'permanent'],
    ],
    { netns },
  );
  const state: ContextState = {
    up: new Set(),
    addresses: new Set(),
    routes: new Set(),
    neighbours: new Set(),
    mtu: new Map(),
    tenantMac: '',
  };
  for (const link of links as IpAddr[]) {
    const name = link.ifname ?? '';
    if (link.flags?.includes('UP')) state.up.add(name);
    if (name !== tenantLink && name !== externalLink) continue;
    if (name === tenantLink) state.tenantMac = link.address ?? '';
    state.mtu.set(name, link.mtu ?? 0);
    for (const address of link.addr_info ?? [])
      state.addresses.add(`${name} ${address.local}/${address.prefixlen}`);
  }
  for (const route of routes as IpRoute[]) {
    // With `lo` the kernel has a route to ::1 in the table main; what it keeps in `local` follows from the addresses.
    if (route.table !== undefined || route.dev === 'lo') continue;
    const destination = routeDestination(route);
    state.routes.add(`${destination} ${route.dev} ${route.gateway ?? '-'} ${route.prefsrc ?? '-'}`);
  }
  for (const neighbour of neighbours as IpNeigh[])
    state.neighbours.add(`${neighbour.dev} ${neighbour.dst} ${neighbour.lladdr ?? ''}`);
  return state;
}

function routeCommand(verb: 'replace' | 'del', route: string): string[] {
  const [destination = '', link = '', via = '-', source = '-'] = route.split(' ');
  const hop = via === '-' ? ['scope', 'link'] : ['via', via, 'onlink'];
  return ['route', verb, destination, ...hop, 'dev', link, ...(source === '-' ? [] : ['src', source])];
}

function neighbourCommand(verb: 'replace' | 'del', neighbour: string): string[] {
  const [link = '', address = '', mac = ''] = neighbour.split(' ');
  const entry = ['neigh', verb, address, 'dev', link];
  return verb === 'del' ? entry : [...entry, 'lladdr', mac, 'nud', 'permanent'];
}

/** Nobody else is on the link to have an IPv6 address, and its prefix is routed by routes of ours alone. */
function addressCommand(verb: 'add' | 'del', address: string): string[] {
  const [link = '', prefix = ''] = address.split(' ');
  const flags = verb === 'add' && addressFamily(prefix) === 6 ? ['nodad', 'noprefixroute'] : [];
  return ['addr', verb, prefix, 'dev', link, ...flags];
}

/**
 * The fewest commands that lead from `have` to `want`, in an order that the kernel accepts: links before addresses,
 * addresses before the routes that name them, and what goes away last.
 */
export function contextCommands(have: ContextState, want: ContextState): string[][] {
  const extra = (a: Set<string>, b: Set<string>): string[] => [...a].filter((item) => !b.has(item));
  const commands: string[][] = [];
  let neighbours = have.neighbours;
  if (have.tenantMac !== want.tenantMac) {
    commands.push(['link', 'set', tenantLink, 'address', want.tenantMac]);
    // With its MAC address the link loses its neighbours, permanent ones too.
    neighbours = new Set([...neighbours].filter((item) => !item.startsWith(`${tenantLink} `)));
  }
  for (const [link, mtu] of want.mtu)
    if (have.mtu.get(link) !== mtu) commands.push(['link', 'set', link, 'mtu', String(mtu)]);
  for (const link of extra(want.up, have.up)) commands.push(['link', 'set', link, 'up']);
  for (const item of extra(want.addresses, have.addresses)) commands.push(addressCommand('add', item));
  for (const item of extra(want.neighbours, neighbours)) commands.push(neighbourCommand('replace', item));
  for (const item of extra(want.routes, have.routes)) commands.push(routeCommand('replace', item));
  const replaced = new Set([...want.routes].map((route) => route.split(' ')[0]));
  for (const item of extra(have.routes, want.routes))
    if (!replaced.has(item.split(' ')[0])) commands.push(routeCommand('del', item));
  for (const item of extra(neighbours, want.neighbours)) {
    const [link, address] = item.split(' ');
    const kept = [...want.neighbours].some((other) => other.startsWith(`${link} ${address} `));
    if (!kept) commands.push(neighbourCommand('del', item));
  }
  for (const item of extra(have.addresses, want.addresses)) commands.push(addressCommand('del', item));
  return commands;
}
