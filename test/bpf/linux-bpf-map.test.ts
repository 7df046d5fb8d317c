import t from 'tap';
import { type BpfMap, possibleCpus } from '../../src/linux/bpf-map.ts';
import { BpfObject } from '../../src/linux/bpf-object.ts';
import { compileFixture } from './fixtures/compile.ts';

const path = compileFixture(t, 'linux-drivers');

function u32(value: number): Uint8Array {
  return new Uint8Array(Uint32Array.of(value).buffer);
}

function u64(value: number): Uint8Array {
  return new Uint8Array(BigUint64Array.of(BigInt(value)).buffer);
}

function prefix(length: number, ...address: number[]): Uint8Array {
  return new Uint8Array([...u32(length), ...address]);
}

function loaded(size = 16): BpfObject {
  const object = BpfObject.open(path);
  t.teardown(() => object.close());
  object.setMaxEntries('test_hash', size);
  object.load();
  return object;
}

/** The map's entries as sorted pairs of hex digits, so that the kernel's order does not matter. */
function contents(map: BpfMap): [string, string][] {
  return map
    .entries()
    .map(([key, value]): [string, string] => [
      Buffer.from(key).toString('hex'),
      Buffer.from(value).toString('hex'),
    ])
    .sort(([a], [b]) => a.localeCompare(b));
}

t.test('a hash map gives back what was written, and says when a key is not there', async (t) => {
  const map = loaded().map('test_hash');
  t.equal(map.lookup(u32(1)), undefined);
  map.update(u32(1), u64(10));
  t.same(map.lookup(u32(1)), u64(10));
  map.update(u32(1), u64(11));
  t.same(map.lookup(u32(1)), u64(11));
  t.equal(map.delete(u32(1)), true);
  t.equal(map.delete(u32(1)), false);
  t.equal(map.lookup(u32(1)), undefined);
});

t.test('the properties of a map are those of its definition', async (t) => {
  const map = loaded(99).map('test_hash');
  t.match(map, { name: 'test_hash', type: 1, keySize: 4, valueSize: 8, maxEntries: 99 });
  t.ok(map.id > 0);
});

t.test('a hash map of many batches is written, read and emptied in batches', async (t) => {
  const map = loaded(20_000).map('test_hash');
  const entries = Array.from({ length: 10_001 }, (_, i): [Uint8Array, Uint8Array] => [u32(i), u64(i * 3)]);
  map.updateBatch(entries);
  const read = new Map(
    map.entries().map(([k, v]) => [Buffer.from(k).readUInt32LE(), Buffer.from(v).readBigUInt64LE()]),
  );
  t.equal(read.size, 10_001);
  t.ok([...read].every(([key, value]) => value === BigInt(key * 3)));
  t.equal(map.entries().length, 10_001, 'no entry is returned twice');
  map.deleteBatch(entries.map(([key]) => key));
  t.same(map.entries(), []);
});

t.test('a batch delete skips keys that are not there and deletes all others', async (t) => {
  const map = loaded().map('test_hash');
  map.updateBatch([1, 3, 5].map((key) => [u32(key), u64(key)]));
  map.deleteBatch([0, 1, 2, 4, 5, 6].map(u32));
  t.same(contents(map), [['03000000', '0300000000000000']]);
});

t.test('an LPM trie is written in a batch, matches the longest prefix, and is read back whole', async (t) => {
  const map = loaded().map('test_lpm');
  map.updateBatch([
    [prefix(0, 0, 0, 0, 0), u32(1)],
    [prefix(8, 10, 0, 0, 0), u32(2)],
    [prefix(24, 10, 1, 1, 0), u32(3)],
  ]);
  t.same(map.lookup(prefix(32, 10, 1, 1, 9)), u32(3));
  t.same(map.lookup(prefix(32, 10, 2, 1, 9)), u32(2));
  t.same(map.lookup(prefix(32, 11, 0, 0, 1)), u32(1));
  t.same(contents(map), [
    ['0000000000000000', '01000000'],
    ['080000000a000000', '02000000'],
    ['180000000a010100', '03000000'],
  ]);
  map.deleteBatch([prefix(8, 10, 0, 0, 0), prefix(9, 10, 0, 0, 0)]);
  t.same(map.lookup(prefix(32, 10, 2, 1, 9)), u32(1));
  t.equal(map.entries().length, 2);
});

t.test('an array has all its entries from the start', async (t) => {
  const map = loaded().map('test_array');
  map.updateBatch([
    [u32(1), u32(7)],
    [u32(3), u32(9)],
  ]);
  t.same(contents(map), [
    ['00000000', '00000000'],
    ['01000000', '07000000'],
    ['02000000', '00000000'],
    ['03000000', '09000000'],
  ]);
});

for (const name of ['test_cpu_array', 'test_cpu_hash']) {
  t.test(`${name} has one slot of 8 bytes per possible CPU`, async (t) => {
    const map = loaded().map(name);
    const value = new Uint8Array(8 * possibleCpus());
    for (let cpu = 0; cpu < possibleCpus(); cpu++) value[cpu * 8] = cpu + 1;
    map.update(u32(2), value);
    t.same(map.lookup(u32(2)), value);
    map.updateBatch([[u32(3), value]]);
    const written = map.entries().filter(([, bytes]) => Buffer.compare(bytes, value) === 0);
    t.same(written.map(([key]) => key).sort(Buffer.compare), [u32(2), u32(3)]);
    t.throws(() => map.update(u32(0), value.subarray(8)), { code: 'HNV_BPF' });
  });
}

t.test('a full map refuses with HNV_CAPACITY, its name and its size', async (t) => {
  const object = loaded(4);
  const numbers = Array.from({ length: 20 }, (_, i) => i);
  const hash = object.map('test_hash');
  const full = (name: string, size: number) => ({
    code: 'HNV_CAPACITY',
    message: new RegExp(`${name}.*${size} entries`),
  });
  t.throws(() => hash.updateBatch(numbers.map((n) => [u32(n), u64(n)])), full('test_hash', 4));
  t.throws(
    () => {
      for (const n of numbers) hash.update(u32(n), u64(n));
    },
    full('test_hash', 4),
  );
  const lpm = object.map('test_lpm');
  t.throws(
    () => lpm.updateBatch(numbers.map((n) => [prefix(32, 10, 0, 0, n), u32(n)])),
    full('test_lpm', 16),
  );
});

t.test('a key or value of the wrong size is refused before the kernel reads it', async (t) => {
  const map = loaded().map('test_hash');
  t.throws(() => map.lookup(new Uint8Array(3)), { code: 'HNV_BPF', message: /keys of 4 bytes, not 3/ });
  t.throws(() => map.update(u32(1), u32(1)), { code: 'HNV_BPF', message: /values of 8 bytes, not 4/ });
  t.throws(() => map.updateBatch([[u32(1), u32(1)]]), { code: 'HNV_BPF' });
  t.throws(() => map.deleteBatch([new Uint8Array(5)]), { code: 'HNV_BPF' });
  t.throws(() => map.delete(new Uint8Array(5)), { code: 'HNV_BPF' });
});
