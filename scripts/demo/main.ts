/**
 * `npm run demo`: shows in a lab of network namespaces that the gateway does its main job, and stays up until Ctrl-C so
 * that one can look around. With `--once` it ends by itself; its exit status is 0 only if everything was as it must be.
 */
import { parseArgs } from 'node:util';
import { Lab } from '../../test/lab/lab.ts';
import { lookAround, PICTURE } from './look-around.ts';
import { Narration } from './narration.ts';
import { play, type Show } from './show.ts';
import { resultTable } from './table.ts';

const LAB_NAME = 'demo';
const USAGE = `Usage: npm run demo [-- --once]

  --once   end when everything was tried; exit status 0 only if all of it was ok
  --help   print this
`;
const STOP_SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

const narration = new Narration();

/** Someone's wish that the demo ends: by a signal, or by closing the output. */
const stop = { isWished: false, wished: Promise.withResolvers<void>() };

function wishStop(): void {
  stop.isWished = true;
  stop.wished.resolve();
}

function onSignal(signal: NodeJS.Signals): void {
  narration.say(stop.isWished ? `${signal}: cleaning up already` : `${signal}: cleaning up`);
  wishStop();
}

/** Answers the exit status. */
async function demo(once: boolean): Promise<number> {
  narration.say(...PICTURE, '');
  const lab = await Lab.create(LAB_NAME);
  // Ends whatever the play is waiting for.
  void stop.wished.promise.then(() => lab.close()).catch(() => undefined);
  let status = 1;
  try {
    const show = await play(lab, narration, () => stop.isWished);
    report(show);
    status = show.rows.every(({ ok }) => ok) ? 0 : 1;
    if (!once) {
      narration.say('', ...lookAround(show.stage));
      await stop.wished.promise;
    }
  } catch (error) {
    if (!stop.isWished) complain(error);
  }
  try {
    await narration.step('Everything is removed again', () => lab.close());
  } catch (error) {
    complain(error);
    status = 1;
  }
  return status;
}

function report({ rows, frames }: Show): void {
  const good = rows.filter(({ ok }) => ok).length;
  const indent = (lines: readonly string[]) => lines.map((line) => `  ${line}`);
  narration.say(
    '',
    'On the wire: one NVGRE frame of each tenant and direction, as tshark decodes it. The inner addresses of both',
    'tenants are the same; the VSID tells them apart.',
    '',
    ...indent(frames),
    '',
    'Result',
    '',
    ...indent(resultTable(rows)),
    '',
    `${good} of ${rows.length} ok after ${narration.seconds.toFixed(0)} s`,
  );
}

/** Tells of an error, and of all errors that it is made of. */
function complain(error: unknown): void {
  const errors: unknown[] = error instanceof AggregateError ? [error.message, ...error.errors] : [error];
  for (const each of errors) process.stderr.write(`demo: ${each instanceof Error ? each.message : each}\n`);
}

function readOptions(): { once: boolean; help: boolean } {
  return parseArgs({
    options: { once: { type: 'boolean', default: false }, help: { type: 'boolean', default: false } },
  }).values;
}

async function main(): Promise<number> {
  const options = readOptions();
  if (options.help) {
    process.stdout.write(USAGE);
    return 0;
  }
  if (process.getuid?.() !== 0) {
    process.stderr.write(
      'demo: this needs root, because it makes network namespaces and loads eBPF programs: run it as root, or with sudo\n',
    );
    return 1;
  }
  for (const signal of STOP_SIGNALS) process.on(signal, onSignal);
  // A reader that went away (`| head`) must not leave the lab behind.
  process.stdout.on('error', wishStop);
  return demo(options.once);
}

try {
  process.exitCode = await main();
} catch (error) {
  complain(error);
  process.exitCode = 1;
}
