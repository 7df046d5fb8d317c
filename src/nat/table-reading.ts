/**
 * An nftables table as the kernel tells it: what it consists of, without elements, handles and counts. Read over netlink, as
 * libnftables would read all elements of its sets each time (nft 1.0.6, with `--terse` too). Two tables are alike when their
 * readings are. For who is in the namespace.
 */
import { attributes, NETLINK_NETFILTER, Netlink, textAttribute } from '../linux/netlink.ts';

/** NFNL_SUBSYS_NFTABLES with NFT_MSG_GET*, and the attributes that tell what the object is (linux/nf_tables.h). */
const subsystem = 10 << 8;
const TABLES = { message: subsystem | 1, name: 1 };
const KINDS = [
  // Name, hook, policy, type.
  { message: subsystem | 4, table: 1, told: [3, 4, 5, 7] },
  // Chain, expressions.
  { message: subsystem | 7, table: 1, told: [2, 4] },
  // Name, flags, types and lengths of key and data, timeout.
  { message: subsystem | 10, table: 1, told: [2, 3, 4, 5, 6, 7, 11] },
  // Name, type.
  { message: subsystem | 19, table: 1, told: [2, 3] },
] as const;
const NFPROTO_INET = 1;
const HEADER = Uint8Array.of(NFPROTO_INET, 0, 0, 0); // struct nfgenmsg

/** Of those names, the tables of family inet that are there, with a line for each object in the kernel's order. */
export function readTables(names: readonly string[]): Map<string, string[]> {
  const netlink = new Netlink(NETLINK_NETFILTER);
  try {
    const present: string[] = [];
    netlink.dump(TABLES.message, HEADER, (_type, data, at, end) =>
      attributes(data, at + HEADER.length, end, (type, from, to) => {
        if (type === TABLES.name) present.push(textAt(data, from, to));
      }),
    );
    return new Map(
      names.filter((name) => present.includes(name)).map((name) => [name, objects(netlink, name)]),
    );
  } finally {
    netlink.close();
  }
}

function objects(netlink: Netlink, table: string): string[] {
  const lines: string[] = [];
  for (const [kind, { message, table: tableAttribute, told }] of KINDS.entries()) {
    const request = Buffer.concat([HEADER, textAttribute(tableAttribute, table)]);
    netlink.dump(message, request, (_type, data, at, end) => {
      let isOurs = false;
      const parts = [`${kind}`];
      attributes(data, at + HEADER.length, end, (type, from, to) => {
        if (type === tableAttribute) isOurs = textAt(data, from, to) === table;
        else if ((told as readonly number[]).includes(type))
          parts.push(`${type} ${data.toString('hex', from, to)}`);
      });
      if (isOurs) lines.push(parts.join(' '));
    });
  }
  return lines;
}

/** Without its end. */
function textAt(data: Buffer, from: number, to: number): string {
  return data.toString('latin1', from, to - 1);
}
