/** `node test/fuzz/main.ts --frames 10000000 --seed 1`: the packet fuzzer by itself. Ends with 1 at a broken promise. */
import { parseArgs } from 'node:util';
import { type Figures, Fuzzer } from './fuzzer.ts';

/** Frames between two lines of progress. */
const STEP = 500_000;

const { values } = parseArgs({
  options: { frames: { type: 'string', default: '200000' }, seed: { type: 'string', default: '1' } },
});
const [frames, seed] = [Number(values.frames), Number(values.seed)];
const undo: (() => void)[] = [];
const started = performance.now();
const seconds = (): string => ((performance.now() - started) / 1000).toFixed(1);

function show(figures: Figures): void {
  const { drops, delivered, verdicts, ...rest } = figures;
  console.log(JSON.stringify({ ...rest, verdicts, delivered }, undefined, 2));
  const rows = Object.entries(drops).sort(([, a], [, b]) => b - a);
  for (const [reason, count] of rows) console.log(`  ${reason.padEnd(28)}${String(count).padStart(10)}`);
}

try {
  const fuzzer = new Fuzzer({ teardown: (fn) => undo.push(fn) }, seed);
  let figures: Figures | undefined;
  for (let left = frames; left > 0; left -= STEP) {
    figures = fuzzer.run(Math.min(left, STEP));
    console.log(`${seconds()} s: ${figures.frames + figures.refused} frames`);
  }
  if (figures !== undefined) show(figures);
  console.log(`seed ${seed}: no frame was taken for another domain's, none was lost without a reason`);
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
} finally {
  for (const fn of undo.reverse()) fn();
}
