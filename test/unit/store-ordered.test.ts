import t from 'tap';
import { Ordered } from '../../src/store/ordered.ts';

const versionOf = (revision: number) => ({ revision, modified: '2026-01-01T00:00:00.000Z' });

/** Repeatable "random" numbers below `limit`. */
function numbers(seed: number): (limit: number) => number {
  let state = seed;
  return (limit) => {
    state = (state * 1103515245 + 12345) % 2147483648;
    return Math.floor((state / 2147483648) * limit);
  };
}

t.test('ids are in order and have their newest version after any sequence of changes', (t) => {
  for (const range of [40, 2000, 20_000]) {
    const random = numbers(range);
    const ordered = new Ordered<number>();
    const expected = new Map<number, number>();
    for (let step = 0; step < 20_000; step++) {
      const id = random(range);
      if (random(3) === 0) {
        ordered.delete(id);
        expected.delete(id);
      } else {
        ordered.set(id, versionOf(step));
        expected.set(id, step);
      }
    }
    const ids = [...expected.keys()].sort((a, b) => a - b);
    const all = ordered.page(undefined, Number.POSITIVE_INFINITY);
    t.strictSame(
      all.map(([id]) => id),
      ids,
    );
    t.ok(all.every(([id, { revision }]) => expected.get(id) === revision));
    t.ok(ids.every((id) => ordered.get(id)?.revision === expected.get(id)));
    t.equal(ordered.get(-1), undefined);
    t.equal(ordered.get(range), undefined);
    for (const after of [-1, 0, range >> 1, range, ids[ids.length >> 1] ?? 0, ids.at(-1) ?? 0]) {
      const page = ids.filter((id) => id > after).slice(0, 700);
      t.strictSame(
        ordered.page(after, 700).map(([id]) => id),
        page,
        `after ${after}`,
      );
    }
  }
  t.end();
});

t.test('ids that come in ascending or descending order stay in order', (t) => {
  const names = Array.from({ length: 3000 }, (_, index) => `vm-${String(index).padStart(4, '0')}`);
  for (const order of [names, names.toReversed()]) {
    const ordered = new Ordered<string>();
    for (const name of order) ordered.set(name, versionOf(1));
    t.strictSame(
      ordered.page(undefined, 4000).map(([name]) => name),
      names,
    );
    for (const name of order) ordered.delete(name);
    t.strictSame(ordered.page(undefined, 1), []);
    t.equal(ordered.get(names[0] ?? ''), undefined);
  }
  t.end();
});

t.test('a clone does not follow its original', (t) => {
  const original = new Ordered<string>();
  original.set('a', versionOf(1));
  const clone = original.clone();
  original.set('a', versionOf(2));
  original.set('b', versionOf(3));
  clone.delete('a');
  t.strictSame(
    original.page(undefined, 9).map(([id, { revision }]) => [id, revision]),
    [
      ['a', 2],
      ['b', 3],
    ],
  );
  t.strictSame(clone.page(undefined, 9), []);
  t.end();
});
