/**
 * What NAT of a routing context refused, and how many sessions it has. Counted by the ruleset (sessions over the limit, and
 * those that clash with a binding) and by connection tracking: what finds no external port is dropped by the kernel's NAT
 * before any rule sees it, and counts as a session that could not be inserted.
 */
import { constants } from 'node:os';
import type { NatUse } from '../api/operations.ts';
import { HnvError } from '../errors.ts';
import { failedInsertions, sessionCount } from '../linux/conntrack.ts';
import { errnoText } from '../linux/libbpf.ts';
import { attribute, attributes, NETLINK_NETFILTER, Netlink, textAttribute } from '../linux/netlink.ts';
import { inNetns } from '../linux/netns.ts';
import type { PolicyTable } from './tables.ts';

const { ENOENT } = constants.errno;

/** Named counters of the ruleset, each in its table. */
export const refusalCounters = {
  limit: { table: 'hnvgw_limit', name: 'refused_sessions' },
  bindings: { table: 'hnvgw_bindings', name: 'refused_bindings' },
} as const;

// Numbers of linux/netfilter/nfnetlink.h and nf_tables.h.
const GET_OBJECT = (10 << 8) | 19; // NFNL_SUBSYS_NFTABLES, NFT_MSG_GETOBJ
const NFPROTO_INET = 1;
const OBJECT = { table: 1, name: 2, type: 3, data: 4 } as const;
const OBJECT_COUNTER = Uint8Array.of(0, 0, 0, 1);
const COUNTER_PACKETS = 2;
const HEADER_BYTES = 4; // struct nfgenmsg

/** Asks for a named counter of the ruleset. */
function counterRequest({ table, name }: { table: PolicyTable; name: string }): Buffer {
  return Buffer.concat([
    Uint8Array.of(NFPROTO_INET, 0, 0, 0),
    textAttribute(OBJECT.table, table),
    textAttribute(OBJECT.name, name),
    attribute(OBJECT.type, OBJECT_COUNTER),
  ]);
}

const limitRequest = counterRequest(refusalCounters.limit);
const bindingsRequest = counterRequest(refusalCounters.bindings);

/** Some 25 us. Throws HNV_NETNS when there is no such context. */
export function natUse(netns: string): NatUse {
  const netlink = inNetns(netns, () => new Netlink(NETLINK_NETFILTER));
  try {
    return {
      sessions: sessionCount(netlink),
      refused: {
        limit: packetsOf(netlink, limitRequest),
        ports: failedInsertions(netlink),
        bindings: packetsOf(netlink, bindingsRequest),
      },
    };
  } finally {
    netlink.close();
  }
}

/** Packets of a named counter; 0 when the ruleset has none. */
function packetsOf(netlink: Netlink, request: Buffer): number {
  let packets = 0;
  const errno = netlink.ask(GET_OBJECT, request, (_type, data, at, end) =>
    attributes(data, at + HEADER_BYTES, end, (type, from, to) => {
      if (type !== OBJECT.data) return;
      attributes(data, from, to, (field, value) => {
        if (field === COUNTER_PACKETS) packets = Number(data.readBigUInt64BE(value));
      });
    }),
  );
  if (errno !== 0 && errno !== ENOENT)
    throw new HnvError('HNV_NFTABLES', `Cannot read a counter of the rules: ${errnoText(errno)}.`);
  return packets;
}
