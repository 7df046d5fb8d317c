import t from 'tap';
import { Batches } from '../../src/gateway/batches.ts';
import { ownTurn } from '../../src/own-turn.ts';

/** Counts the turns of the event loop until it is ended: an immediate of one turn begins the next. */
function countTurns(): { readonly now: number; end: () => void } {
  let now = 0;
  let next = setImmediate(function count() {
    now++;
    next = setImmediate(count);
  });
  return {
    get now() {
      return now;
    },
    end: () => clearImmediate(next),
  };
}

t.test('whoever asks has a turn of the event loop alone, in the order of asking', async (t) => {
  const turns = countTurns();
  const had: [name: string, turn: number][] = [];
  const take = (name: string) => ownTurn().then(() => had.push([name, turns.now]));
  await Promise.all([take('first'), take('second'), Promise.resolve().then(() => take('third'))]);
  turns.end();
  t.same(
    had.map(([name]) => name),
    ['first', 'second', 'third'],
  );
  t.equal(new Set(had.map(([, turn]) => turn)).size, 3);
});

t.test(
  'commands that come while a process runs go into the next one, and their callers on in turn',
  async (t) => {
    const processes: string[][] = [];
    let release = (): void => {};
    const batches = new Batches(async (commands) => {
      processes.push(commands.map(([word = '']) => word));
      if (processes.length === 1) await new Promise<void>((resolve) => (release = resolve));
    });
    const turns = countTurns();
    const at: number[] = [];
    const first = batches.add([['a'], ['b']]);
    const others = [batches.add([['c']]), batches.add([['d'], ['e']])].map((one) =>
      one.then(() => at.push(turns.now)),
    );
    release();
    await Promise.all([first, ...others]);
    turns.end();
    t.same(processes, [
      ['a', 'b'],
      ['c', 'd', 'e'],
    ]);
    t.equal(new Set(at).size, 2, 'each in a turn of its own');
  },
);

t.test('when a command fails, all of its process are told, and the next process runs', async (t) => {
  const batches = new Batches(async (commands) => {
    await ownTurn();
    if (commands.some(([word]) => word === 'wrong')) throw new Error('it is wrong');
  });
  const alone = batches.add([['good']]);
  const together = [batches.add([['wrong']]), batches.add([['good']])];
  await alone;
  for (const one of together) await t.rejects(one, { message: 'it is wrong' });
  await t.resolves(batches.add([['good']]));
});
