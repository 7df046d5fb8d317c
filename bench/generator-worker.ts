/**
 * The traffic generator's process, started inside the namespace whose NIC `argv` names. For each line `MILLISECONDS` on
 * standard input it lets frames come in on that NIC for so long, and answers with a line of JSON: frames, and seconds of the
 * core that this thread got, with all softirqs that it ran: what others do on the core meanwhile is none of the path's.
 */
import { createInterface } from 'node:readline';
import { BpfObject } from '../src/linux/bpf-object.ts';
import { ifindexOf } from '../src/linux/links.ts';
import { testRunLive } from '../src/linux/test-run.ts';
import { benchObject } from './bpf-objects.ts';
import { encodeTemplate, encodeXdpContext } from './frames.ts';

/** Frames between two looks at the clock: some 20 ms. */
const SLICE = 8192;
const BATCH = 64;

const [form = '', nic = '', hexFrame = ''] = process.argv.slice(2);
const ifindex = ifindexOf(nic);
if (ifindex === undefined) throw new Error(`there is no interface ${nic}`);
const object = BpfObject.open(benchObject('generator'));
object.load();
const program = object.program(`bench_${form}`);
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
  const end = performance.now() + Number(line);
  const before = process.threadCpuUsage();
  let frames = 0;
  while (performance.now() < end) {
    testRunLive(program, input);
    frames += SLICE;
  }
  const { user, system } = process.threadCpuUsage(before);
  console.log(JSON.stringify({ frames, seconds: (user + system) / 1e6 }));
}
object.close();
