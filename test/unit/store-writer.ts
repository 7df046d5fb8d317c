/**
 * A process that a test of the store runs to do it harm. `rounds PATH FIRST`: writes whole policies, single records and
 * parts of a policy, round after round, and prints what is acknowledged. `full PATH`: writes until the system refuses to
 * let the file grow, and prints what became of that.
 */
import { execFileSync } from 'node:child_process';
import { openStore } from '../../src/store/sqlite.ts';
import { partOfRound, policyOfRound, singlesOfRound } from './store-crash-policy.ts';
import { capacity, contoso, putDomain, record, snapshot } from './store-folder.ts';

const [mode, path = '', first = ''] = process.argv.slice(2);
const store = await openStore({ path, capacity });

function putRecord(number: number) {
  const address = `10.${(number >> 16) & 255}.${(number >> 8) & 255}.${number & 255}`;
  return store.put({ kind: 'lookupRecord', rdid: contoso, id: `r${number}` }, record(address));
}

async function writeRounds(): Promise<void> {
  const say = (line: string) => process.stdout.write(`${line}\n`);
  for (let round = Number(first); ; round++) {
    say(`begin ${round}`);
    // All at once: what is written while the policy is being replaced comes after it.
    const replaced = store.replace(policyOfRound(round)).then(() => say(`replaced ${round}`));
    const singles = singlesOfRound(round).map(({ key, value }) =>
      store.put(key, value).then(() => say(`single ${round} ${key.id}`)),
    );
    const part = store.putAll(partOfRound(round)).then(() => say(`part ${round}`));
    await Promise.all([replaced, ...singles, part]);
  }
}

async function fillUp(): Promise<void> {
  await putDomain(store, contoso, 5001);
  await putRecord(2);
  const before = { state: snapshot(store.state), revision: store.revision };
  let changes = 0;
  store.subscribe(() => {
    changes += 1;
  });
  process.on('SIGXFSZ', () => {});
  setFileSizeLimit('4096');
  const batch = Array.from({ length: 500 }, (_, index) => {
    const address = `10.9.${(index >> 8) + 1}.${index & 255}`;
    const context = 'x'.repeat(1024);
    return store.put(
      { kind: 'lookupRecord', rdid: contoso, id: `big${index}` },
      { ...record(address), context },
    );
  });
  const results = await Promise.allSettled([
    store.put({ kind: 'routingDomain', rdid: '33333333-0000-0000-0000-000000000000' }, { name: 'new' }),
    store.delete({ kind: 'lookupRecord', rdid: contoso, id: 'r2' }),
    ...batch,
  ]);
  const refusals = results.map((result) => (result.status === 'rejected' ? result.reason.code : 'written'));
  const after = { state: snapshot(store.state), revision: store.revision };
  const unchanged = JSON.stringify(snapshotText(after)) === JSON.stringify(snapshotText(before));
  const changesOfFailure = changes;
  setFileSizeLimit('unlimited');
  const { created } = await putRecord(3);
  await store.close();
  process.stdout.write(
    JSON.stringify({ refusals: [...new Set(refusals)], unchanged, changesOfFailure, createdAfter: created }),
  );
}

function setFileSizeLimit(bytes: string): void {
  execFileSync('prlimit', ['--pid', `${process.pid}`, `--fsize=${bytes}:unlimited`]);
}

/** Maps as arrays in an order of their own, for JSON. */
function snapshotText(value: unknown): unknown {
  if (value instanceof Map)
    return [...value].map(snapshotText).sort((a, b) => (String(a) < String(b) ? -1 : 1));
  if (Array.isArray(value)) return value.map(snapshotText);
  if (typeof value !== 'object' || value === null) return value;
  return Object.entries(value).map(([name, field]) => [name, snapshotText(field)]);
}

await (mode === 'rounds' ? writeRounds() : fillUp());
