import t from 'tap';
import { alignedBlocks } from '../../src/encap/port-ranges.ts';

/** First and last port of a block. */
const ends = ({ port, bits }: { port: number; bits: number }): [number, number] => [
  port,
  port + 2 ** (16 - bits) - 1,
];

t.test('an aligned power of two is one block', async (t) => {
  t.same(alignedBlocks(1024, 2047), [{ port: 1024, bits: 6 }]);
  t.same(alignedBlocks(0, 65_535), [{ port: 0, bits: 0 }]);
  t.same(alignedBlocks(65_535, 65_535), [{ port: 65_535, bits: 16 }]);
  t.same(alignedBlocks(0, 0), [{ port: 0, bits: 16 }]);
});

t.test('any other range is few aligned blocks that have each of its ports once and no others', async (t) => {
  const ranges: [number, number][] = [
    ...([
      [1, 65_535],
      [1, 65_534],
      [0, 65_534],
      [1024, 2499],
      [2500, 4999],
      [7, 9],
      [32_767, 32_768],
    ] as [number, number][]),
    ...Array.from({ length: 200 }, (_, index): [number, number] => {
      const start = (index * 7919) % 65_536;
      return [start, Math.min(65_535, start + ((index * 104_729) % 30_000))];
    }),
  ];
  for (const [start, end] of ranges) {
    const blocks = alignedBlocks(start, end);
    t.ok(blocks.length <= 30, `${start}-${end}: ${blocks.length} blocks`);
    let next = start;
    for (const block of blocks) {
      const [first, last] = ends(block);
      t.equal(first, next, `${start}-${end}: without gap`);
      t.equal(first % (last - first + 1), 0, `${start}-${end}: aligned`);
      next = last + 1;
    }
    t.equal(next, end + 1, `${start}-${end}: to its end`);
  }
});
