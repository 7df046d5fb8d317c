/**
 * The traffic generator's process, started inside the namespace whose NIC `argv` names. For each line `MILLISECONDS` on
 * standard input it lets frames come in on that NIC for so long, and answers with a line of JSON: frames and seconds.
 */
import { createInterface } from 'node:readline';
import { BpfObject } from '../src/linux/bpf-object.ts';
import { ifindexOf } from '../src/linux/links.ts';
import { testRunLive } from '../src/linux/test-run.ts';
import { benchObject } from './bpf-objects.ts';
import { encodeTemplate, encodeXdpContext } from './frames.ts';

/** Frames between two looks at the clock: some 50 ms. */
const SLICE = 16_384;
const BATCH = 64;

const [tunnel = '', nic = '', hexFrame = ''] = process.argv.slice(2);
const ifindex = ifindexOf(nic);
if (ifindex === undefined) throw new Error(`there is no interface ${nic}`);
const object = BpfObject.open(benchObject('generator'));
object.load();
const program = object.program(`bench_${tunnel}`);
const frame = Buffer.from(hexFrame, 'hex');
object.map('template').update(new Uint8Array(4), encodeTemplate(frame));
const input = {
  data: frame,
  context: encodeXdpContext(frame.length, ifindex),
  repeat: SLICE,
  batchSize: BATCH,
};

console.log('ready');
for await (const line of createInterface({ input: process.stdin })) {
  const begin = process.hrtime.bigint();
  const end = begin + BigInt(line) * 1_000_000n;
  let frames = 0;
  let now = begin;
  while (now < end) {
    testRunLive(program, input);
    frames += SLICE;
    now = process.hrtime.bigint();
  }
  console.log(JSON.stringify({ frames, seconds: Number(now - begin) / 1e9 }));
}
object.close();
