import { readFileSync } from 'node:fs';
import t from 'tap';
import { contextDropReason, dropReasonName, dropReasons } from '../../src/encap/drop-reasons.ts';

/** Names and numbers of `enum hnv_drop_reason` as the C source has them. */
function enumerators(): [string, number][] {
  const source = readFileSync(new URL('../../src/encap/kernel/layout.h', import.meta.url), 'utf8');
  const body = /enum hnv_drop_reason \{(.*?)\};/s.exec(source)?.[1] ?? '';
  return Array.from(body.matchAll(/HNV_DROP_(\w+)\s*=\s*(\d+)/g), ([, name = '', number]) => [
    name.toLowerCase().replaceAll('_', '-'),
    Number(number),
  ]);
}

t.test('the catalogue has the names and numbers of the data plane, and no others', async (t) => {
  const inC = enumerators();
  t.ok(inC.length > 0, 'the enum was found');
  t.same(
    dropReasons.map(({ name, number }) => [name, number]),
    inC,
  );
});

t.test('numbers are consecutive from 1, as many as the data plane has room for', async (t) => {
  t.same(
    dropReasons.map(({ number }) => number),
    dropReasons.map((_, index) => index + 1),
  );
  const source = readFileSync(new URL('../../src/encap/kernel/layout.h', import.meta.url), 'utf8');
  t.equal(Number(/#define HNV_DROP_REASONS (\d+)/.exec(source)?.[1]), dropReasons.length + 1);
});

t.test('each reason says in a sentence what it means', async (t) => {
  for (const { name, explanation } of [...dropReasons, contextDropReason])
    t.match(explanation, /^[A-Z].*\.$/, name);
});

t.test('a number of another version is shown as it is', async (t) => {
  t.equal(dropReasonName(8), 'vsid-unknown');
  t.equal(dropReasonName(999), 'reason-999');
});
