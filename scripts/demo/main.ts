/**
 * `npm run demo`: shows in labs of network namespaces that gateway, hosts and control plane do their main job, and stays up
 * until Ctrl-C so that one can look around. With `--once` it ends by itself; its exit status is 0 only if everything was as
 * it must be.
 */
import { parseArgs, styleText } from 'node:util';
import type { Act, Company } from './act.ts';
import { CONTROL_TITLE, playControl } from './control/show.ts';
import { GATEWAY_TITLE, playGateway } from './gateway/show.ts';
import { HOSTS_TITLE, playHosts } from './hosts/show.ts';
import { Labs } from './labs.ts';
import { Narration } from './narration.ts';
import { resultTable } from './table.ts';

const PLAYS = [
  { title: GATEWAY_TITLE, play: playGateway },
  { title: HOSTS_TITLE, play: playHosts },
  { title: CONTROL_TITLE, play: playControl },
];
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
  narration.say('hnvgw, shown on real packets. Everything runs in network namespaces of this machine.');
  const labs = new Labs();
  // Ends whatever the plays are waiting for.
  void stop.wished.promise.then(() => labs.close()).catch(() => undefined);
  let status = 1;
  try {
    const acts = await playAll({ labs, narration, isStopped: () => stop.isWished });
    report(acts);
    status = acts.every(({ rows }) => rows.every(({ ok }) => ok)) ? 0 : 1;
    if (!once) {
      narration.say('', 'The labs stay until Ctrl-C. Look around from another terminal, as root:');
      for (const { title, lookAround } of acts) narration.say('', title, ...lookAround);
      await stop.wished.promise;
    }
  } catch (error) {
    if (!stop.isWished) complain(error);
  }
  try {
    await narration.step('Everything is removed again', () => labs.close());
  } catch (error) {
    complain(error);
    status = 1;
  }
  return status;
}

/** Plays one act after the other. One that has nothing to try fails, and the next one is played nevertheless. */
async function playAll(company: Company): Promise<Act[]> {
  const acts: Act[] = [];
  for (const { title, play } of PLAYS) {
    narration.say('', heading(title));
    try {
      acts.push(await play(company));
    } catch (error) {
      if (stop.isWished) throw error;
      complain(error);
      const row = { what: title, seen: 'could not be played, see above', ok: false };
      acts.push({ title, frames: [], rows: [row], lookAround: [] });
    }
  }
  return acts;
}

function heading(title: string): string {
  return styleText('bold', title);
}

function report(acts: readonly Act[]): void {
  const indent = (lines: readonly string[]) => lines.map((line) => (line === '' ? '' : `  ${line}`));
  for (const { title, frames, rows } of acts) {
    const onWire = frames.length > 0 ? ['On the wire', '', ...indent(frames), ''] : [];
    narration.say('', heading(title), '', ...onWire, 'Result', '', ...indent(resultTable(rows)));
  }
  const rows = acts.flatMap((act) => act.rows);
  const good = rows.filter(({ ok }) => ok).length;
  narration.say('', `${good} of ${rows.length} ok after ${narration.seconds.toFixed(0)} s`);
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
