/**
 * The limit of sessions (`maxSessions`) as a table of its own.
 *
 * The kernel counts (`ct count`) by going through all sessions that it has counted: 0.1 ms for each new one among 10,000.
 * So sessions are shared out over buckets by a hash of addresses and ports, each with its part of the limit, and a bucket
 * that is full is closed for a moment, so that a flood is refused without counting. The limit is never exceeded; as some
 * buckets are full before others, 97 to 99 % of it are reached. A small limit has one bucket, and is exact.
 *
 * It sees the first packet of what is forwarded, behind destination NAT: what comes in and is nobody's takes no place, nor does
 * what the context says itself: a tenant that has reached its limit keeps its tunnels, and
 * its BGP. What goes by `fwd` takes none either.
 */
import type { NatPlan } from '../policy/plan.ts';
import { externalLink, forwardingLink, tenantLink, tunnelLink } from './ruleset.ts';

/** Sessions in a bucket, at most. */
const BUCKET = 250;
/** Bucket and room of the pings that the context itself answers. */
const OWN_BUCKET = 65_535;
const OWN_SESSIONS = 64;
/** The same of IKE and ESP that peers begin. */
const PEER_BUCKET = 65_534;
const PEER_SESSIONS = 1024;
/** A size whose lower 16 bits are 0 lets the kernel begin small, and grow; 65,535 is 1 MB at once (rhashtable's nelem_hint). */
const SIZE = 65_536;

/** Undefined when there is no limit. */
export function limitTable({ maxSessions }: NatPlan): string | undefined {
  if (maxSessions === undefined) return undefined;
  const buckets = Math.ceil(maxSessions / BUCKET);
  const bucket = buckets === 1 ? '1' : `symhash mod ${buckets} offset 1`;
  return `table inet hnvgw_limit {
  counter refused_sessions {
  }
  set closed {
    type mark
    flags dynamic,timeout
    size ${SIZE}
    timeout 100ms
  }
  set buckets {
    type mark
    flags dynamic
    size ${SIZE}
  }
  chain forwarded {
    type nat hook postrouting priority 90; policy accept;
    iifname != { "${tenantLink}", "${tunnelLink}", "${externalLink}" } accept
    oifname "${forwardingLink}" accept
    meta mark set ${bucket}
    meta mark @closed counter name "refused_sessions" drop
    add @buckets { meta mark ct count over ${Math.floor(maxSessions / buckets)} } add @closed { meta mark } counter name "refused_sessions" drop
    meta mark set 0
  }
  chain peers {
    meta mark set ${PEER_BUCKET}
    add @buckets { meta mark ct count over ${PEER_SESSIONS} } counter name "refused_sessions" drop
    meta mark set 0
  }
  chain own {
    type nat hook input priority 90; policy accept;
    udp dport { 500, 4500 } goto peers
    meta l4proto esp goto peers
    tcp dport 179 accept
    udp dport { 3784, 4784 } accept
    iifname "${forwardingLink}" accept
    meta mark set ${OWN_BUCKET}
    add @buckets { meta mark ct count over ${OWN_SESSIONS} } counter name "refused_sessions" drop
    meta mark set 0
  }
}
`;
}
