/**
 * Who has which ports of one external address: one routing domain all of it, or several a block each. In ascending
 * order, without overlap, so that an address of a thousand blocks is searched by halves. Values that are never changed.
 */
import type { ExternalAddress } from './resources.ts';

/** Ports are those of TCP and UDP, and identifiers of ICMP queries. */
export interface ExternalShare {
  readonly rdid: string;
  /** 0 when the whole address is the domain's, which no block begins with. */
  readonly portStart: number;
  readonly portEnd: number;
}

type Block = Pick<ExternalAddress, 'portStart' | 'portEnd'>;

/** Whether all of the address is meant, with all protocols. */
export function isWhole({ portStart }: Block): boolean {
  return portStart === undefined || portStart === 0;
}

export function shareOf(rdid: string, { portStart = 0, portEnd = 65535 }: Block): ExternalShare {
  return { rdid, portStart, portEnd };
}

/** The first share of another domain that has ports of `share`. */
export function shareOfOthers(
  shares: readonly ExternalShare[] | undefined,
  { rdid, portStart, portEnd }: ExternalShare,
): ExternalShare | undefined {
  if (shares === undefined) return undefined;
  for (let at = firstEndingFrom(shares, portStart); at < shares.length; at++) {
    const other = shares[at] as ExternalShare;
    if (other.portStart > portEnd) return undefined;
    if (other.rdid !== rdid) return other;
  }
  return undefined;
}

export function withShare(shares: readonly ExternalShare[] = [], share: ExternalShare): ExternalShare[] {
  return shares.toSpliced(firstEndingFrom(shares, share.portStart), 0, share);
}

/** Without the domain's share, which it has one of. */
export function withoutShare(shares: readonly ExternalShare[], rdid: string): ExternalShare[] {
  return shares.filter((share) => share.rdid !== rdid);
}

/** Position of the first share that does not end below `port`. */
export function firstEndingFrom(shares: readonly ExternalShare[], port: number): number {
  let low = 0;
  let high = shares.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((shares[middle] as ExternalShare).portEnd < port) low = middle + 1;
    else high = middle;
  }
  return low;
}
