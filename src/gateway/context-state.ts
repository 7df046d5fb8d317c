/**
 * What a routing context should have and what it has, in one comparable form, and the iproute2 commands that lead from
 * one to the other. Pure except for readContext().
 *
 * Inside, `hnv` leads to the tenant by the distributed router and `ext` to the uplink. Both next hops have the router's
 * MAC by permanent neighbour entries, a MAC that no interface has: were the eBPF program on the root side ever missing,
 * the root namespace would take no frame for its own, and nothing would leak into its routing.
 */

import { ipBatchJson } from '../linux/iproute2.ts';
import { externalLink, tenantLink } from '../nat/ruleset.ts';
import type { ContextPlan } from '../policy/plan.ts';
import { routerMac } from '../policy/router.ts';

/** Next hop of the context's default route. Never on a wire: it only names the permanent neighbour. */
const UPLINK_HOP = '169.254.1.1';

export interface ContextState {
  /** Links that are up. */
  up: Set<string>;
  /** `link address/length` */
  addresses: Set<string>;
  /** `destination link via source`, the destination as iproute2 shows it; `-` where there is none */
  routes: Set<string>;
  /** `link address mac` */
  neighbours: Set<string>;
  mtu: Map<string, number>;
  tenantMac: string;
}

/** A prefix as iproute2 shows it. */
function routeDestination(prefix: string): string {
  return prefix === '0.0.0.0/0' ? 'default' : prefix.replace(/\/32$/, '');
}

/** Everything about a context that its namespace must show. */
export function desiredContext(
  plan: ContextPlan,
  externals: string[],
  mtu: { tenant: number; external: number },
): ContextState {
  const [source] = externals;
  const routes = new Set([`${plan.routerAddress} ${tenantLink} - ${plan.address}`]);
  for (const prefix of plan.tenantPrefixes) {
    const destination = routeDestination(prefix);
    // What has no better route leaves by the uplink, and the router itself is on the link, whatever the tenant's routes say.
    if (destination === plan.routerAddress || (destination === 'default' && source !== undefined)) continue;
    routes.add(`${destination} ${tenantLink} ${plan.routerAddress} ${plan.address}`);
  }
  const neighbours = new Set([`${tenantLink} ${plan.routerAddress} ${routerMac}`]);
  if (source !== undefined) {
    routes.add(`default ${externalLink} ${UPLINK_HOP} ${source}`);
    // Not without an address: the kernel forgets even permanent neighbours with the link's last one.
    neighbours.add(`${externalLink} ${UPLINK_HOP} ${routerMac}`);
  }
  return {
    up: new Set(['lo', tenantLink, externalLink]),
    addresses: new Set([
      `${tenantLink} ${plan.address}/32`,
      ...externals.map((a) => `${externalLink} ${a}/32`),
    ]),
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
  addr_info?: { family: string; local: string; prefixlen: number }[];
}
interface IpRoute {
  dst: string;
  dev: string;
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

/** Reads a context's namespace in one iproute2 run. */
export async function readContext(netns: string): Promise<ContextState> {
  const [links = [], routes = [], neighbours = []] = await ipBatchJson(
    [
      ['addr', 'show'],
      ['route', 'show', 'table', 'main'],
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
      if (address.family === 'inet') state.addresses.add(`${name} ${address.local}/${address.prefixlen}`);
  }
  for (const route of routes as IpRoute[])
    state.routes.add(`${route.dst} ${route.dev} ${route.gateway ?? '-'} ${route.prefsrc ?? '-'}`);
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

function addressCommand(verb: 'add' | 'del', address: string): string[] {
  const [link = '', prefix = ''] = address.split(' ');
  return ['addr', verb, prefix, 'dev', link];
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
