/**
 * Runs the tests, all or those whose paths begin with an argument (`test/unit`), and ends in a line `N passed, N failed`.
 * A test is a named subtest of a file; a file that breaks outside its subtests counts as one that failed.
 *
 * Each file is a node process of its own that prints TAP. Not `tap run`: its hooks go with every node process that a test starts,
 * and with them starting one takes twice as long.
 */
import { spawn } from 'node:child_process';
import { globSync } from 'node:fs';
import { resolve } from 'node:path';

/**
 * One after the other, with the files at a time; a file is of the first one that fits its path. Much of what a test with packets in
 * namespaces takes is waiting, for which others are not in the way.
 */
const PHASES = [
  { fits: /^test\/unit\//, jobs: 2 },
  { fits: /^test\/bpf\//, jobs: 2 },
  // It fills the machine.
  { fits: /\/scale\./, jobs: 1 },
  // They judge times, and have the machine for few.
  {
    fits: /\/(bgp-gateway-life|gateway-survives-kill|host-(learning|migration|vrrp)|lab-(close|vrrp)|linux-link-monitor|s2s-life)\./,
    jobs: 2,
  },
  { fits: /^test\/netns\//, jobs: 3 },
];
const RESULT = /^(not ok|ok) \d+ - (.*?)(?: # time=.*)?$/;
/** After that a test has failed; and after a little more, the file is ended. */
const LIMIT_SECONDS = 600;
const GRACE_SECONDS = 20;

let passed = 0;
const failures: string[] = [];

const env = {
  ...{ ...process.env, TAP_TIMEOUT: `${LIMIT_SECONDS}` },
  // Node need not strip and compile the same sources for each process.
  NODE_COMPILE_CACHE: resolve('node_modules/.cache/node-compile'),
};

async function run(file: string): Promise<void> {
  const begin = performance.now();
  const test = spawn(process.execPath, [file], {
    ...{ env, stdio: ['ignore', 'pipe', 'inherit'] },
    ...{ timeout: (LIMIT_SECONDS + GRACE_SECONDS) * 1_000, killSignal: 'SIGKILL' },
  });
  let printed = '';
  test.stdout.setEncoding('utf8').on('data', (text: string) => {
    printed += text;
  });
  const code = await new Promise<number | null>((resolve) => test.once('close', resolve));
  const seconds = ((performance.now() - begin) / 1_000).toFixed(1);
  const failedBefore = failures.length;
  for (const line of printed.split('\n')) {
    const [, verdict, name] = RESULT.exec(line) ?? [];
    if (verdict === 'ok') passed++;
    else if (name !== undefined) failures.push(name);
  }
  if (code !== 0 && failures.length === failedBefore) failures.push(file);
  // A file's details matter only when something in it failed.
  if (code === 0) console.log(`ok ${file} (${seconds} s)`);
  else console.log(`${printed}not ok ${file} (${seconds} s)`);
}

async function runAll(files: readonly string[], jobs: number): Promise<void> {
  const waiting = [...files];
  const job = async () => {
    for (let file = waiting.shift(); file !== undefined; file = waiting.shift()) await run(file);
  };
  await Promise.all(Array.from({ length: jobs }, job));
}

const chosen = process.argv.slice(2);
const files = globSync('test/{unit,bpf,netns}/**/*.test.ts')
  .filter((file) => chosen.length === 0 || chosen.some((path) => file.startsWith(path)))
  .sort();
for (const phase of PHASES)
  await runAll(
    files.filter((file) => PHASES.find(({ fits }) => fits.test(file)) === phase),
    phase.jobs,
  );
if (files.length === 0) failures.push(`to find a test: ${chosen.join(' ')}`);
for (const failure of failures) console.log(`FAILED ${failure}`);
console.log(`${passed} passed, ${failures.length} failed`);
process.exitCode = failures.length === 0 ? 0 : 1;
