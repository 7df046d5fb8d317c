/** How many packets the ruleset of a routing context dropped: the counters of the chains that end in nothing else. */

import { attributes, NETLINK_NETFILTER, Netlink, textAttribute } from '../linux/netlink.ts';
import { inNetns } from '../linux/netns.ts';
import { reversePathTable } from './reverse-path.ts';
import { natTable } from './ruleset.ts';

/*
 * Asked for over netlink and not by libnftables, which reads all sets and maps of the table each time: that takes
 * milliseconds, this takes 0.1. Numbers of linux/netfilter/nfnetlink.h and nf_tables.h.
 */
const GET_RULE = (10 << 8) | 7; // NFNL_SUBSYS_NFTABLES, NFT_MSG_GETRULE
const NFPROTO_INET = 1;
const RULE_TABLE = 1;
const RULE_CHAIN = 2;
const RULE_EXPRESSIONS = 4;
const EXPRESSION_NAME = 1;
const EXPRESSION_DATA = 2;
const COUNTER_PACKETS = 2;
const HEADER_BYTES = 4; // struct nfgenmsg

const COUNTING = [
  [natTable.table, 'refused'],
  [reversePathTable, 'from_network'],
] as const;

/** Since the ruleset was made. Throws HNV_NETNS when there is no such context. */
export function contextDrops(netns: string): number {
  const netlink = inNetns(netns, () => new Netlink(NETLINK_NETFILTER));
  let packets = 0;
  try {
    for (const [table, chain] of COUNTING) {
      const body = Buffer.concat([
        Buffer.from([NFPROTO_INET, 0, 0, 0]),
        textAttribute(RULE_TABLE, table),
        textAttribute(RULE_CHAIN, chain),
      ]);
      netlink.dump(GET_RULE, body, (_type, data, at, end) => {
        packets += counted(data, at + HEADER_BYTES, end);
      });
    }
  } finally {
    netlink.close();
  }
  return packets;
}

/** Packets of the counters of a rule. */
function counted(data: Buffer, at: number, end: number): number {
  let packets = 0;
  inside(data, at, end, RULE_EXPRESSIONS, (expressions, last) =>
    attributes(data, expressions, last, (_element, from, to) => {
      let name = '';
      inside(data, from, to, EXPRESSION_NAME, (begin, behind) => {
        name = data.toString('latin1', begin, behind - 1);
      });
      if (name !== 'counter') return;
      inside(data, from, to, EXPRESSION_DATA, (begin, behind) =>
        inside(data, begin, behind, COUNTER_PACKETS, (value) => {
          packets += Number(data.readBigUInt64BE(value));
        }),
      );
    }),
  );
  return packets;
}

/** Calls `take` with the attribute of that type, where there is one. */
function inside(
  data: Buffer,
  at: number,
  end: number,
  wanted: number,
  take: (at: number, end: number) => void,
): void {
  attributes(data, at, end, (type, from, to) => {
    if (type === wanted) take(from, to);
  });
}
