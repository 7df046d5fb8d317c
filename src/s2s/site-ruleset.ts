/**
 * What a context's nftables do for tunnels, as a table of its own: segments of TCP that fit into a tunnel, limits of what is
 * sent and taken, and sources of IPv6 that are a site's (IPv4 has rp_filter for that). Pure.
 *
 * A limit is a policer: what is over it is dropped. The kernel's bucket has room for what the limit lets through in a second
 * and for the burst above that (nft_limit.c), which is a super-packet, so that even the lowest limit lets one pass.
 *
 * Chains and counters have numbers, because names of connections are free text.
 */

import { NFT } from '../nat/families.ts';
import { TCP_HEADERS, tunnelLink } from '../nat/ruleset.ts';
import { addressFamily } from '../policy/address.ts';
import { sorted } from '../policy/order.ts';
import type { SiteConnectionPlan } from '../policy/plan.ts';
import type { SitePath } from './site-links.ts';

export const siteTable = 'hnvgw_sites';

/** Bytes of the largest packet that there is. */
const BURST = 65_536;
/** Of packets that wait for a tunnel each makes charon say a word; the first one is enough. */
const WAITING = 'limit rate over 2/second burst 2 packets';

type Direction = 'tx' | 'rx';

/** A prefix, and to whose limits its packets are held. */
interface Held extends Pick<SitePath, 'prefix' | 'connection' | 'isWaiting'> {
  txBandwidthKbps?: number | undefined;
  rxBandwidthKbps?: number | undefined;
}

/** What is done to packets of one direction. */
interface Limit {
  chain: string;
  rule: string;
}

function limitOf(path: Held, direction: Direction, number: number): Limit | undefined {
  if (path.isWaiting) return direction === 'tx' ? { chain: `waiting_${number}`, rule: WAITING } : undefined;
  const kbps = direction === 'tx' ? path.txBandwidthKbps : path.rxBandwidthKbps;
  if (kbps === undefined) return undefined;
  return {
    chain: `${direction}_${number}`,
    rule: `limit rate over ${kbps * 125} bytes/second burst ${BURST} bytes`,
  };
}

const lengthOf = (prefix: string): number => Number(prefix.slice(prefix.indexOf('/') + 1));

/**
 * Who each prefix is held to, of two that have an address the longer one first. While nobody carries it, it is the one who
 * would be the first to: so that tunnels come and go without a new table, which takes the kernel 10 ms and forgets how much of a
 * limit was used.
 */
function holders(connections: readonly SiteConnectionPlan[], paths: readonly SitePath[]): Held[] {
  const all = connections.flatMap(({ name, subnets, txBandwidthKbps, rxBandwidthKbps }) =>
    subnets.map((subnet) => ({
      ...subnet,
      connection: name,
      txBandwidthKbps,
      rxBandwidthKbps,
      isWaiting: false,
    })),
  );
  const first = sorted(
    all,
    ({ metric, connection }) => `${String(metric).padStart(5, '0')} ${connection}`,
  ).reverse();
  const byPrefix = new Map<string, Held>([...first, ...paths].map((path) => [path.prefix, path]));
  return sorted(byPrefix.values(), ({ prefix }) => `${999 - lengthOf(prefix)} ${prefix}`);
}

/** Rules that send packets of prefixes to limits, and the limits. */
function limits(held: readonly Held[], direction: Direction): { rules: string[]; chains: Limit[] } {
  const names = [...new Set(held.map(({ connection }) => connection))].sort();
  const limited = held.map((path) => ({
    prefix: path.prefix,
    limit: limitOf(path, direction, names.indexOf(path.connection)),
  }));
  const chains = new Map(limited.flatMap(({ limit }) => (limit === undefined ? [] : [[limit.chain, limit]])));
  // Behind the last limit there is nothing to be kept from.
  const last = limited.findLastIndex(({ limit }) => limit !== undefined);
  const field = direction === 'tx' ? 'daddr' : 'saddr';
  return {
    rules: limited.slice(0, last + 1).map(({ prefix, limit }) => {
      const way = limit === undefined ? 'return' : `goto ${limit.chain}`;
      return `${NFT[addressFamily(prefix)].ip} ${field} ${prefix} ${way}`;
    }),
    chains: sorted(chains.values(), ({ chain }) => chain),
  };
}

/** For a link of this MTU. */
export function siteTableText(
  mtu: number,
  connections: readonly SiteConnectionPlan[],
  paths: readonly SitePath[],
): string {
  const held = holders(connections, paths);
  const [sent, taken] = [limits(held, 'tx'), limits(held, 'rx')];
  const chains = [...sent.chains, ...taken.chains];
  const lines = (rules: readonly string[]): string => rules.map((rule) => `    ${rule}\n`).join('');
  const segments = ([4, 6] as const).map(
    (family) => `meta nfproto ${NFT[family].nfproto} tcp option maxseg size set ${mtu - TCP_HEADERS[family]}`,
  );
  return `table inet ${siteTable} {
${chains.map(({ chain }) => `  counter ${chain} {\n  }\n`).join('')}${chains
  .map(({ chain, rule }) => `  chain ${chain} {\n    ${rule} counter name "${chain}" drop\n  }\n`)
  .join('')}  chain segments {
${lines(segments)}  }
  chain to_sites {
    ip6 daddr ff00::/8 drop
    tcp flags syn / syn,rst jump segments
${lines(sent.rules)}  }
  chain from_sites {
    meta nfproto ipv6 fib saddr . iif oif missing drop
    tcp flags syn / syn,rst jump segments
${lines(taken.rules)}  }
  chain leaving {
    type filter hook postrouting priority 310; policy accept;
    oifname "${tunnelLink}" goto to_sites
  }
  chain arriving {
    type filter hook prerouting priority raw; policy accept;
    iifname "${tunnelLink}" goto from_sites
  }
}
`;
}
