/**
 * Runs the tests, all or those whose paths are given, and ends in a line `N passed, N failed`. A test is a named
 * subtest of a file; a file that breaks outside its subtests counts as one that failed.
 */
import { spawn } from 'node:child_process';
import { globSync } from 'node:fs';
import { createInterface } from 'node:readline';

const SUITES = ['unit', 'bpf', 'netns'];
/** `    ok 3 - sentence # time=…`: four spaces are one level below the file. */
const RESULT = /^ {4}(not ok|ok) \d+ - (.*?)(?: # time=.*)?$/;
const FILE_FAILED = /^not ok \d+ - (.*?)(?: # time=.*)?$/;

const chosen = process.argv.slice(2);
const files =
  chosen.length > 0 ? chosen : SUITES.flatMap((suite) => globSync(`test/${suite}/**/*.test.ts`).sort());

let passed = 0;
const failures: string[] = [];
const tap = spawn('tap', ['run', '--reporter=tap', ...files], { stdio: ['ignore', 'pipe', 'inherit'] });
const printed: string[] = [];
let failuresBefore = 0;
for await (const line of createInterface({ input: tap.stdout })) {
  printed.push(line);
  const result = RESULT.exec(line);
  if (result?.[1] === 'ok') passed++;
  else if (result) failures.push(result[2] ?? '');
  const file = /^(not ok|ok) \d+ - (.*?)(?: # time=(.*))?$/.exec(line);
  if (!file) continue;
  if (FILE_FAILED.test(line) && failures.length === failuresBefore) failures.push(file[2] ?? '');
  failuresBefore = failures.length;
  // A file's details matter only when something in it failed.
  if (file[1] === 'not ok') console.log(printed.join('\n'));
  else console.log(`ok ${file[2]} (${file[3] ?? '?'})`);
  printed.length = 0;
}
const code = await new Promise<number | null>((resolve) => tap.once('close', resolve));
for (const failure of failures) console.log(`FAILED ${failure}`);
if (code !== 0 && failures.length === 0) failures.push('the test runner');
console.log(`${passed} passed, ${failures.length} failed`);
process.exitCode = failures.length === 0 ? 0 : 1;
