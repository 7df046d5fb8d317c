/**
 * Runs the tests, all or those whose paths are given, and ends in a line `N passed, N failed`. A test is a named
 * subtest of a file; a file that breaks outside its subtests counts as one that failed.
 */
import { spawn } from 'node:child_process';
import { globSync } from 'node:fs';
import { createInterface } from 'node:readline';

/** Files at a time. Half of what a test with packets in namespaces takes is waiting, for which another one is not in the way. */
const SUITES = [
  { folder: 'unit', jobs: 2 },
  { folder: 'bpf', jobs: 1 },
  { folder: 'netns', jobs: 2 },
];
/** What judges times or memory, or fills the machine, has it for itself. */
const ALONE =
  /\/(bgp-gateway-life|gateway-survives-kill|host-(learning|migration|vrrp)|lab-(close|vrrp)|linux-link-monitor|property|s2s-life|scale)\.test\.ts$/;
/** `    ok 3 - sentence # time=…`: four spaces are one level below the file. */
const RESULT = /^ {4}(not ok|ok) \d+ - (.*?)(?: # time=.*)?$/;
const FILE = /^(not ok|ok) \d+ - (.*?)(?: # time=(.*?))?(?: \{)?$/;

let passed = 0;
const failures: string[] = [];

async function run(files: readonly string[], jobs: number): Promise<void> {
  const args = ['run', '--reporter=tap', `--jobs=${jobs}`, ...files];
  const tap = spawn('tap', args, { stdio: ['ignore', 'pipe', 'inherit'] });
  const failedBefore = failures.length;
  let inFile = 0;
  const printed: string[] = [];
  for await (const line of createInterface({ input: tap.stdout })) {
    printed.push(line);
    const result = RESULT.exec(line);
    if (result?.[1] === 'ok') passed++;
    else if (result) {
      failures.push(result[2] ?? '');
      inFile++;
    }
    const file = FILE.exec(line);
    if (!file) continue;
    const [, verdict, name = '', time = '?'] = file;
    if (verdict === 'not ok' && inFile === 0) failures.push(name);
    inFile = 0;
    // A file's details matter only when something in it failed.
    if (verdict === 'not ok') console.log(printed.join('\n'));
    else console.log(`ok ${name} (${time})`);
    printed.length = 0;
  }
  const code = await new Promise<number | null>((resolve) => tap.once('close', resolve));
  if (code !== 0 && failures.length === failedBefore) failures.push('the test runner');
}

const chosen = process.argv.slice(2);
if (chosen.length > 0) await run(chosen, 1);
else
  for (const { folder, jobs } of SUITES) {
    const files = globSync(`test/${folder}/**/*.test.ts`).sort();
    const [alone, beside] = [true, false].map((is) => files.filter((file) => ALONE.test(file) === is));
    if (beside?.length) await run(beside, jobs);
    if (alone?.length) await run(alone, 1);
  }
for (const failure of failures) console.log(`FAILED ${failure}`);
console.log(`${passed} passed, ${failures.length} failed`);
process.exitCode = failures.length === 0 ? 0 : 1;
