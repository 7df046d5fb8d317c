import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import t from 'tap';
import { BpfObject } from '../../src/linux/bpf-object.ts';
import { RingBufferReader } from '../../src/linux/ring-buffer.ts';
import { testRun } from '../../src/linux/test-run.ts';
import { compileFixture } from './fixtures/compile.ts';

// A reader does not keep the process alive, so that these tests must.
const alive = setInterval(() => undefined, 60_000);
t.teardown(() => clearInterval(alive));

const path = compileFixture(t, 'linux-drivers');

function load(): BpfObject {
  const object = BpfObject.open(path);
  t.teardown(() => object.close());
  object.load();
  return object;
}

/** Makes the program send a record with this number; false when the buffer is full. */
function send(object: BpfObject, number: number): boolean {
  const data = Buffer.alloc(64);
  data.writeBigUInt64LE(BigInt(number));
  return testRun(object.program('test_tc_event'), { data }).retval === 0;
}

function readerOf(object: BpfObject, onBatch: (numbers: number[]) => void): RingBufferReader {
  return new RingBufferReader(object.map('test_events'), (records) => {
    onBatch(records.map((record) => Number(Buffer.from(record).readBigUInt64LE())));
  });
}

t.test('all records arrive once and in order, those from before the reader too', async (t) => {
  const object = load();
  const received: number[] = [];
  const all = Promise.withResolvers<void>();
  const numbers = Array.from({ length: 3000 }, (_, n) => n);
  t.ok(
    numbers.every((n) => send(object, n)),
    'the buffer holds them all',
  );
  const reader = readerOf(object, (numbers) => {
    received.push(...numbers);
    if (received.length === 3001) all.resolve();
  });
  send(object, 3000);
  await all.promise;
  await reader.close();
  t.same(received, [...numbers, 3000]);
});

t.test('records that come one by one wake the reader each time', async (t) => {
  const object = load();
  let next = Promise.withResolvers<number[]>();
  const reader = readerOf(object, (numbers) => next.resolve(numbers));
  for (const number of [7, 8, 9]) {
    send(object, number);
    t.same(await next.promise, [number]);
    next = Promise.withResolvers();
  }
  await reader.close();
});

t.test('a reader outlives the object whose map it reads', async (t) => {
  const object = load();
  send(object, 5);
  const first = Promise.withResolvers<number[]>();
  const reader = readerOf(object, (numbers) => first.resolve(numbers));
  object.close();
  t.same(await first.promise, [5]);
  await reader.close();
});

t.test('a map that is no ring buffer is refused', async (t) => {
  const object = load();
  t.throws(() => new RingBufferReader(object.map('test_hash'), () => undefined), {
    code: 'HNV_BPF',
    message: /test_hash is not a ring buffer/,
  });
});

t.test('a reader does not keep the process alive', async (t) => {
  const source = (file: string): string => JSON.stringify(join(import.meta.dirname, '../../src/linux', file));
  const script = `
    import { BpfObject } from ${source('bpf-object.ts')};
    import { RingBufferReader } from ${source('ring-buffer.ts')};
    const object = BpfObject.open(${JSON.stringify(path)});
    object.load();
    new RingBufferReader(object.map('test_events'), () => undefined);
    console.log('end of the script');
  `;
  const options = { encoding: 'utf8', timeout: 20_000 } as const;
  t.equal(
    execFileSync(process.execPath, ['--input-type=module', '--eval', script], options),
    'end of the script\n',
  );
});
