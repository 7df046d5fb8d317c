/** Ranges of ports as a longest-prefix map has them. Pure. */

/** Ports that agree in their first `bits` bits with `port`. */
export interface PortBlock {
  port: number;
  bits: number;
}

const PORT_BITS = 16;

/** The fewest aligned blocks that are just the ports from `start` to `end`, ascending. */
export function alignedBlocks(start: number, end: number): PortBlock[] {
  const blocks: PortBlock[] = [];
  for (let port = start; port <= end; ) {
    let free = 0;
    while (free < PORT_BITS && port % 2 ** (free + 1) === 0 && port + 2 ** (free + 1) - 1 <= end) free++;
    blocks.push({ port, bits: PORT_BITS - free });
    port += 2 ** free;
  }
  return blocks;
}
