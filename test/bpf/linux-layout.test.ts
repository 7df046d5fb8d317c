import { writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import t from 'tap';
import { layoutSource } from '../../scripts/generate-layout.ts';
import { compileFixture } from './fixtures/compile.ts';

/** What the generated module of the fixture exports, as far as it is used here. */
interface Layout {
  layoutVersion: string;
  maps: object;
  Colour: object;
  Other?: object;
  testKeySize: number;
  plainValueSize: number;
  encodeTestKey: (value: object) => Uint8Array;
  decodeTestKey: (bytes: Uint8Array) => object;
  encodePlainValue: (value: object) => Uint8Array;
  decodePlainValue: (bytes: Uint8Array) => object;
}

const object = compileFixture(t, 'linux-layout');
const source = layoutSource(object);
const module = join(dirname(object), 'layout.ts');
writeFileSync(module, source);
const layout = (await import(module)) as Layout;

const key = {
  kind: 0xab,
  network: 0x0a010203,
  host: 0x0a010203,
  place: { address: Uint8Array.of(1, 2, 3, 4, 5, 6), port: 0x1234 },
};
const value = {
  count: 0x0102030405060708n,
  half: 0xbeef,
  colour: 7,
  slots: BigUint64Array.of(1n, 2n, 3n),
  other: 0,
};

t.test(
  'a struct is encoded as the C compiler lays it out, padding zero, network order where the source says so',
  async (t) => {
    t.equal(layout.testKeySize, 20);
    t.equal(
      Buffer.from(layout.encodeTestKey(key)).toString('hex'),
      'ab000000' + '0a010203' + '0302010a' + '0102030405061234',
    );
    t.equal(layout.plainValueSize, 48);
    t.equal(
      Buffer.from(layout.encodePlainValue(value)).toString('hex'),
      `0807060504030201efbe000007000000${[1, 2, 3].map((n) => `0${n}00000000000000`).join('')}${'00'.repeat(8)}`,
    );
  },
);

t.test('decoding is the inverse of encoding, also inside a larger buffer', async (t) => {
  t.same(layout.decodeTestKey(layout.encodeTestKey(key)), key);
  t.same(layout.decodePlainValue(layout.encodePlainValue(value)), value);
  const larger = new Uint8Array(40);
  larger.set(layout.encodeTestKey(key), 7);
  t.same(layout.decodeTestKey(larger.subarray(7, 27)), key);
});

t.test('bytes of the wrong length are refused instead of shifted into other fields', async (t) => {
  const place = { ...key.place, address: new Uint8Array(4) };
  t.throws(() => layout.encodeTestKey({ ...key, place }), RangeError);
  t.throws(() => layout.encodePlainValue({ ...value, slots: BigUint64Array.of(1n) }), RangeError);
  t.throws(() => layout.decodeTestKey(new Uint8Array(19)), RangeError);
});

t.test('maps are listed with their types, and only the data plane’s own enums', async (t) => {
  t.same(layout.maps, {
    by_struct: { key: 'TestKey', value: 'PlainValue' },
    by_number: { key: 'unsigned int', value: 'Place' },
    records: {},
  });
  t.same(layout.Colour, { HNV_COLOUR_RED: 1, HNV_COLOUR_BLUE: 7 });
  t.equal(layout.Other, undefined);
});

t.test('the same object gives the same source, another one another version', async (t) => {
  t.equal(layoutSource(object), source);
  t.notMatch(layoutSource(compileFixture(t, 'linux-drivers')), `'${layout.layoutVersion}'`);
});

t.test('a field that has no TypeScript form is named', async (t) => {
  const refused = compileFixture(t, 'linux-layout-refused');
  t.throws(() => layoutSource(refused), { message: 'the bit field low has no TypeScript form' });
});
