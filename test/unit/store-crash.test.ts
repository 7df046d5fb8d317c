import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import t, { type Test } from 'tap';
import { openStore } from '../../src/store/sqlite.ts';
import type { DocumentEntry, Store } from '../../src/store/store.ts';
import { partOfRound, policyOfRound, rdidsOfRound, singlesOfRound } from './store-crash-policy.ts';
import { capacity, storePath } from './store-folder.ts';

const writer = fileURLToPath(new URL('./store-writer.ts', import.meta.url));
const kills = 10;

/**
 * Runs the writer from the round `first` on and kills it some time after its `rounds`-th round has begun, mostly while the
 * policy is being replaced. Resolves to what it has acknowledged.
 */
async function runAndKill(t: Test, path: string, first: number, rounds: number): Promise<Set<string>> {
  const child = spawn(process.execPath, [writer, 'rounds', path, `${first}`], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  t.teardown(() => child.kill('SIGKILL'));
  const exited = once(child, 'exit');
  const acknowledged = new Set<string>();
  let begun = 0;
  let lastsMs = 0;
  for await (const line of createInterface({ input: child.stdout })) {
    acknowledged.add(line);
    if (line.startsWith('begin')) begun = performance.now();
    if (line.startsWith('replaced')) lastsMs = performance.now() - begun;
    if (line === `begin ${first + rounds}`) {
      void delay(Math.random() * 1.3 * lastsMs).then(() => child.kill('SIGKILL'));
    }
  }
  t.strictSame(await exited, [null, 'SIGKILL']);
  return acknowledged;
}

/** Every lookup record of the store as `rdid id vmName`, ascending. */
function recordsOf(store: Store): string[] {
  const records = [...store.state.domains.values()].flatMap(({ rdid, lookupRecords }) =>
    [...lookupRecords].map(([id, { vmName }]) => `${rdid} ${id} ${vmName}`),
  );
  return records.sort();
}

function recordsIn(document: readonly DocumentEntry[]): string[] {
  return document.flatMap(({ entry }) =>
    entry.kind === 'lookupRecord' ? [`${entry.rdid} ${entry.id} ${entry.value.vmName}`] : [],
  );
}

t.test(
  'a process killed at any moment leaves one whole policy with all that was acknowledged on top of it',
  async (t) => {
    const path = storePath(t);
    let next = 1;
    const found = { none: 0, some: 0, all: 0 };
    for (let kill = 0; kill < kills; kill++) {
      const lines = 1 + Math.floor(Math.random() * 60);
      const acknowledged = await runAndKill(t, path, next, lines);
      const replaced = [...acknowledged].filter((line) => line.startsWith('replaced'));
      const newest = Number(replaced.at(-1)?.split(' ')[1] ?? next - 1);

      const store = await openStore({ path, capacity });
      const domains = [...store.state.domains.values()];
      const round = Number(domains[0]?.domain.name);
      t.ok(round === newest || round === newest + 1, `round ${round} after ${newest} was acknowledged`);
      t.strictSame(domains.map(({ rdid }) => rdid).sort(), rdidsOfRound(round));
      t.ok(domains.every(({ domain }) => domain.name === `${round}`));
      t.equal(new Set(domains.map(({ handle }) => handle)).size, domains.length);

      const singles = singlesOfRound(round).filter(({ key }) => store.get(key) !== undefined);
      const lost = singlesOfRound(round).filter(
        ({ key }) =>
          acknowledged.has(`single ${round} ${key.id}`) &&
          !singles.some((single) => single.key.id === key.id),
      );
      t.strictSame(lost, []);
      const hasPart =
        store.get({ kind: 'lookupRecord', rdid: rdidsOfRound(1)[0] ?? '', id: 'part-0' }) !== undefined;
      if (acknowledged.has(`part ${round}`)) t.ok(hasPart);
      const expected = [
        ...recordsIn(policyOfRound(round)),
        ...singles.map(({ key, value }) => `${key.rdid} ${key.id} ${value.vmName}`),
        ...(hasPart ? recordsIn(partOfRound(round)) : []),
      ];
      t.strictSame(recordsOf(store), expected.sort());
      found[singles.length === 0 ? 'none' : hasPart ? 'all' : 'some'] += 1;
      await store.close();
      next = round + 1;
    }
    t.comment(`single writes found: ${JSON.stringify(found)}`);
  },
);
