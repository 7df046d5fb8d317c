/**
 * The iproute2 commands that lead a routing context from what it has to what it should have (context-state.ts): the fewest, in
 * an order in which no packet misses a route that it has before and after. Pure.
 */
import { addressFamily } from '../policy/address.ts';
import { type ContextState, LOOP_TABLE, usualMetric } from './context-state.ts';

/** Types of routes that iproute2 has in front of the destination. */
const ROUTE_TYPES: ReadonlySet<string> = new Set([
  ...['local', 'broadcast', 'multicast', 'blackhole', 'unreachable', 'prohibit', 'throw'],
]);

/** What the kernel tells routes of a table apart by. */
function routeKey(route: string): string {
  const [destination = '', , , , ...rest] = route.split(' ');
  const number = (word: string): string[] => {
    const at = rest.indexOf(word);
    return at < 0 ? [] : [word, rest[at + 1] ?? ''];
  };
  return [destination, ...number('metric'), ...number('tos')].join(' ');
}

/** Ends a route that nobody wants, of whatever kind. */
function routeEnd(route: string): string[] {
  const [destination = '', link = '-', via = '-', source = '-', ...rest] = route.split(' ');
  const type = rest.filter((word) => ROUTE_TYPES.has(word));
  const metric = rest.indexOf('metric');
  const usual = String(usualMetric(destination));
  const tos = rest.indexOf('tos');
  // Several next hops go with the route that has them.
  const isOne = !rest.includes('nexthops') && !via.includes(',');
  return [
    ...['route', 'del', ...type, destination],
    ...(via === '-' || !isOne ? [] : ['via', via]),
    ...(link === '-' || type.length > 0 || !isOne ? [] : ['dev', link]),
    ...(source === '-' || !isOne ? [] : ['src', source]),
    ...(tos < 0 ? [] : ['tos', rest[tos + 1] ?? '']),
    ...['metric', metric < 0 ? usual : (rest[metric + 1] ?? '')],
  ];
}

function routeCommand(route: string): string[] {
  const [destination = '', link = '', via = '-', source = '-'] = route.split(' ');
  const from = source === '-' ? [] : ['src', source];
  const hop = (gateway: string): string[] => ['via', gateway, 'dev', link, 'onlink'];
  const gateways = via.split(',');
  if (via === '-') return ['route', 'replace', destination, 'scope', 'link', 'dev', link, ...from];
  const hops = gateways.flatMap((one) => [...(gateways.length === 1 ? [] : ['nexthop']), ...hop(one)]);
  return ['route', 'replace', destination, ...from, ...hops];
}

function loopedCommand(verb: 'replace' | 'del', route: string): string[] {
  const [destination = '', link = '', via = '-'] = route.split(' ');
  const hop = via === '-' ? [] : ['via', via];
  return [
    'route',
    verb,
    destination,
    ...hop,
    'dev',
    link,
    ...(verb === 'del' ? [] : ['onlink']),
    'table',
    `${LOOP_TABLE}`,
  ];
}

function neighbourCommand(verb: 'replace' | 'del', neighbour: string): string[] {
  const [link = '', address = '', mac = ''] = neighbour.split(' ');
  const entry = ['neigh', verb, address, 'dev', link];
  return verb === 'del' ? entry : [...entry, 'lladdr', mac, 'nud', 'permanent'];
}

/** Policy is the truth about whose an IPv6 address is, and its prefix is routed by routes of ours alone. */
function addressCommand(verb: 'add' | 'del', address: string): string[] {
  const [link = '', prefix = ''] = address.split(' ');
  const detection = addressFamily(prefix) === 6 ? ['nodad'] : [];
  return ['addr', verb, prefix, 'dev', link, ...(verb === 'del' ? [] : [...detection, 'noprefixroute'])];
}

/** An IPv6 address is known by itself alone: it must go before it can come with another length, and takes its name out of routes. */
function takesPlaceOf(wanted: Iterable<string>): (address: string) => boolean {
  const addresses = new Set([...wanted].map((item) => item.split('/')[0]));
  return (item) => item.includes(':') && addresses.has(item.split('/')[0]);
}

/** Those that are so, and the others. */
function split(items: readonly string[], isSo: (item: string) => boolean): [string[], string[]] {
  return [items.filter(isSo), items.filter((item) => !isSo(item))];
}

/**
 * The fewest commands that lead from `have` to `want`, in an order that the kernel accepts: links before addresses,
 * addresses before the routes that name them, and what goes away last.
 */
export function contextCommands(have: ContextState, want: ContextState): string[][] {
  const extra = (a: Set<string>, b: Set<string>): string[] => [...a].filter((item) => !b.has(item));
  const commands: string[][] = [];
  let { neighbours, routes } = have;
  for (const [link, mac] of want.macs) {
    if (have.macs.get(link) === mac) continue;
    commands.push(['link', 'set', link, 'address', mac]);
    // With its MAC address the link loses its neighbours, permanent ones too.
    neighbours = new Set([...neighbours].filter((item) => !item.startsWith(`${link} `)));
  }
  for (const [link, mtu] of want.mtu)
    if (have.mtu.get(link) !== mtu) commands.push(['link', 'set', link, 'mtu', String(mtu)]);
  for (const link of extra(want.up, have.up)) commands.push(['link', 'set', link, 'up']);
  const coming = extra(want.addresses, have.addresses);
  const [early = [], late = []] = split(extra(have.addresses, want.addresses), takesPlaceOf(coming));
  for (const item of early) {
    const source = ` ${item.split(' ')[1]?.split('/')[0]}`;
    commands.push(addressCommand('del', item));
    routes = new Set([...routes].filter((route) => !route.endsWith(source)));
  }
  for (const item of coming) commands.push(addressCommand('add', item));
  for (const item of extra(want.neighbours, neighbours)) commands.push(neighbourCommand('replace', item));
  const missing = extra(want.routes, routes);
  for (const item of missing) commands.push(routeCommand(item));
  // One that has the place of a missing one went with that; should there be more of them, they are still there then.
  const replaced = new Set(missing.map(routeKey));
  for (const item of extra(have.routes, want.routes))
    if (!replaced.has(routeKey(item))) commands.push(routeEnd(item));
  for (const item of extra(want.looped, have.looped)) commands.push(loopedCommand('replace', item));
  for (const item of extra(have.looped, want.looped)) commands.push(loopedCommand('del', item));
  for (const item of extra(neighbours, want.neighbours)) {
    const [link, address] = item.split(' ');
    const kept = [...want.neighbours].some((other) => other.startsWith(`${link} ${address} `));
    if (!kept) commands.push(neighbourCommand('del', item));
  }
  for (const item of late) commands.push(addressCommand('del', item));
  for (const link of extra(have.up, want.up)) commands.push(['link', 'set', link, 'down']);
  return commands;
}

/**
 * The commands for the rules of a family, behind those of contextCommands(). What comes instead is there before anything
 * goes: without a table of own addresses nothing would be heard.
 */
export function ruleCommands(have: ContextState, want: ContextState, family: 4 | 6): string[][] {
  const command =
    (verb: 'add' | 'del') =>
    (rule: string): string[] => {
      const [, priority = '', link = '', table = ''] = rule.split(' ');
      const from = link === '-' ? [] : ['iif', link];
      return ['rule', verb, 'priority', priority, ...from, 'table', table];
    };
  const of = (a: Set<string>, b: Set<string>): string[] =>
    [...a].filter((rule) => rule.startsWith(`${family} `) && !b.has(rule));
  return [
    ...of(want.rules, have.rules).map(command('add')),
    ...of(have.rules, want.rules).map(command('del')),
  ];
}
