/** What somebody else writes to the maps is found, whatever this process writes meanwhile; on real maps. */
import t from 'tap';
import { type DomainEntries, domainEntries, domainMaps } from '../../src/encap/entries.ts';
import { decodeRecordKey, encodeRecordKey } from '../../src/encap/layout.generated.ts';
import { DomainTables, type StrangeEntry } from '../../src/encap/tables.ts';
import { addressBytes } from '../../src/policy/address.ts';
import type { DomainPlan } from '../../src/policy/plan.ts';
import { DataPlane } from './data-plane.ts';
import { contoso, fabrikam } from './two-domains.ts';

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
const latin1 = (bytes: Uint8Array): string => Buffer.from(bytes).toString('latin1');

function setUp(t: Parameters<typeof DataPlane.open>[0]) {
  const dataPlane = DataPlane.open(t);
  const tables = new DomainTables((name) => dataPlane.map(name));
  const planOf = (handle: number): DomainPlan => {
    const plan = dataPlane.plans.find((candidate) => candidate.handle === handle);
    if (plan === undefined) throw new Error(`no domain ${handle}`);
    return plan;
  };
  const entriesOf = (plan: DomainPlan): DomainEntries =>
    domainEntries(plan, dataPlane.attachments(plan.handle));
  const [ours, theirs] = [planOf(contoso.handle), planOf(fabrikam.handle)];
  return {
    ...{ dataPlane, tables, entriesOf, ours },
    apply: () => {
      for (const plan of [ours, theirs]) tables.apply(plan.handle, entriesOf(plan));
    },
    content: (): string[] =>
      [...domainMaps, 'port_macs', 'shared_addresses'].flatMap((name) =>
        dataPlane
          .map(name)
          .entries()
          .map(([key, value]) => `${name} ${hex(key)} ${hex(value)}`)
          .sort(),
      ),
  };
}

/** A whole look; `between` is called in the middle of it. */
function look(tables: DomainTables, between: () => void = () => undefined): StrangeEntry[] {
  const found: StrangeEntry[] = [];
  for (const some of tables.inspect()) {
    found.push(...some);
    between();
  }
  return found;
}

t.test('nothing is strange where nobody has written, also after own writes', async (t) => {
  const { tables, entriesOf, ours, apply } = setUp(t);
  t.same(look(tables), []);
  t.same(look(tables), [], 'nor by the digests of the first look');
  tables.apply(ours.handle, entriesOf({ ...ours, records: ours.records.slice(1) }));
  t.same(look(tables), []);
  apply();
  t.same(look(tables), []);
  tables.remove(fabrikam.handle);
  t.same(look(tables), []);
});

t.test('entries of every map that are removed, changed or put there', async (t) => {
  const { dataPlane, tables, apply, content } = setUp(t);
  const before = content();
  look(tables);
  for (const name of domainMaps) {
    const map = dataPlane.map(name);
    const entries = map.entries();
    const [removed, changed] = [entries[0], entries.at(-1)];
    if (removed === undefined || changed === undefined || entries.length < 2) throw new Error(`no ${name}`);
    map.delete(removed[0]);
    const value = Uint8Array.from(changed[1]);
    value[value.length - 1] = (value.at(-1) ?? 0) ^ 0x80;
    map.update(changed[0], value);
    const found = look(tables).filter((one) => one.map === name);
    // An entry whose owner stands in its value, and is another one now, is missed as well.
    t.same(
      [...new Set(found.map((one) => `${one.key} ${one.value}`))].sort(),
      [`${latin1(removed[0])} undefined`, `${latin1(changed[0])} ${latin1(value)}`].sort(),
    );
    t.ok(found.every(({ domain }) => domain === contoso.handle || domain === fabrikam.handle));
    apply();
    t.same(content(), before, `${name}: the domains’ next turn puts it right`);
    const foreign = Uint8Array.from(removed[0]);
    // The length that a key begins with: otherwise it would take the other's place.
    foreign[0] =
      { routes: 160, translations: 160, forwarded: 160, external_ranges: 160 }[name as string] ??
      foreign[0] ??
      0;
    foreign[foreign.length - 1] = (foreign.at(-1) ?? 0) ^ 0x55;
    map.update(foreign, removed[1]);
    t.match(
      look(tables).filter((one) => one.map === name),
      [{ key: latin1(foreign) }],
    );
    apply();
    t.same(content(), before, name);
    t.same(look(tables), [], name);
  }
});

t.test('what belongs to no domain is removed at once', async (t) => {
  const { dataPlane, tables, content } = setUp(t);
  const before = content();
  const records = dataPlane.map('records');
  const [[key, value] = []] = records.entries();
  if (key === undefined || value === undefined) throw new Error('no records');
  const foreign = encodeRecordKey({ ...decodeRecordKey(key), domain: 77 });
  records.update(foreign, value);
  t.match(look(tables), [{ map: 'records', key: latin1(foreign), domain: 77 }]);
  t.same(content(), before);
  t.same(look(tables), []);
});

t.test('what is counted of the entries of all domains is put right at once', async (t) => {
  const { dataPlane, tables, content } = setUp(t);
  const before = content();
  for (const name of ['port_macs', 'shared_addresses']) {
    const map = dataPlane.map(name);
    const [first, second] = map.entries();
    if (first === undefined || second === undefined) throw new Error(`no ${name}`);
    map.delete(first[0]);
    map.update(second[0], Uint8Array.of(9, 9, 0, 0));
    const foreign = Uint8Array.from(first[0]);
    foreign[5] = (foreign[5] ?? 0) ^ 0x55;
    map.update(foreign, first[1]);
    t.same(
      look(tables)
        .map((one) => `${one.map} ${one.key}`)
        .sort(),
      [first[0], second[0], foreign].map((key) => `${name} ${latin1(key)}`).sort(),
    );
    t.same(content(), before, name);
    t.same(look(tables), []);
  }
});

t.test('own writes in the middle of a look are nothing strange, and hide nothing for long', async (t) => {
  const { dataPlane, tables, entriesOf, ours, apply, content } = setUp(t);
  const before = content();
  let turn = 0;
  const write = (): void => {
    const records = ours.records.slice(turn++ % 3);
    tables.apply(ours.handle, entriesOf({ ...ours, records }));
  };
  for (let i = 0; i < 10; i++) t.same(look(tables, write), [], `look ${i}`);
  apply();
  const records = dataPlane.map('records');
  const last = ours.records.at(-1)?.address ?? '';
  const key = encodeRecordKey({ domain: ours.handle, address: addressBytes(last) });
  t.ok(records.delete(key));
  const found = Array.from({ length: 4 }, () => look(tables, write)).flat();
  t.match(found, [{ map: 'records', key: latin1(key), value: undefined }]);
  apply();
  t.same(content(), before);
});

t.test('one entry of many that is missing or other is found, with the rest known by digests', async (t) => {
  const { dataPlane, tables, entriesOf, ours, content } = setUp(t);
  const [record] = ours.records;
  if (record === undefined) throw new Error('no record');
  const { maxEntries } = dataPlane.map('records');
  const many = {
    ...ours,
    records: Array.from({ length: Math.min(9000, Math.floor(maxEntries * 0.8)) }, (_, i) => ({
      ...record,
      address: `10.200.${i >> 8}.${i & 255}`,
    })),
  };
  const apply = (): unknown => tables.apply(ours.handle, entriesOf(many));
  t.same(apply(), []);
  const before = content();
  for (let i = 0; i < 2; i++) t.same(look(tables), []);
  const map = dataPlane.map('records');
  for (const damage of ['removed', 'changed'] as const) {
    const [key, value] = map.entries()[4321 % many.records.length] ?? [];
    if (key === undefined || value === undefined) throw new Error('no entry');
    if (damage === 'removed') map.delete(key);
    else map.update(key, value.fill(0xee));
    t.match(look(tables), [{ map: 'records', key: latin1(key) }], damage);
    apply();
    t.same(content(), before);
    t.same(look(tables), []);
  }
});
