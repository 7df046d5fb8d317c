import t from 'tap';
import { BpfObject } from '../../src/linux/bpf-object.ts';
import { testRun, testRunLive } from '../../src/linux/test-run.ts';
import { compileFixture } from './fixtures/compile.ts';

const object = BpfObject.open(compileFixture(t, 'linux-drivers'));
t.teardown(() => object.close());
object.load();

/** Offsets in struct __sk_buff and struct xdp_md (linux/bpf.h). */
const SKB_SIZE = 192;
const SKB_MARK = 8;
const SKB_CB0 = 48;
const XDP_SIZE = 24;
const XDP_DATA_END = 4;

const packet = Uint8Array.from({ length: 64 }, (_, index) => index);

/** How often the programs ran that count in this slot of the per-CPU array. */
function runs(slot: number): number {
  const counts = Buffer.from(object.map('test_cpu_array').lookup(Uint8Array.of(slot, 0, 0, 0)) ?? []);
  let sum = 0;
  for (let offset = 0; offset < counts.length; offset += 8) sum += counts.readUInt32LE(offset);
  return sum;
}

t.test('a run gives the program’s verdict, the packet and the context as it left them', async (t) => {
  const context = Buffer.alloc(SKB_SIZE);
  context.writeUInt32LE(0x1234, SKB_MARK);
  const result = testRun(object.program('test_tc_edit'), { data: packet, context });
  t.equal(result.retval, -1, 'TC_ACT_UNSPEC');
  t.same(result.data, Uint8Array.of(0xaa, 0xaa, 0xaa, 0xaa, ...packet));
  t.equal(Buffer.from(result.context ?? []).readUInt32LE(SKB_CB0), 0x1234);
  t.equal(packet[0], 0, 'the input is as it was');
});

t.test('a run without context has none in its result', async (t) => {
  const result = testRun(object.program('test_tc_pass'), { data: packet });
  t.equal(result.retval, 0);
  t.same(result.data, packet);
  t.notOk('context' in result);
});

t.test('a program runs as often as asked, and the duration is of one run', async (t) => {
  const before = runs(1);
  const result = testRun(object.program('test_xdp_count'), { data: packet, repeat: 1000 });
  t.ok(runs(1) - before >= 1000);
  t.ok(result.durationNs < 1_000_000);
});

t.test('the largest packet comes back whole', async (t) => {
  const result = testRun(object.program('test_xdp_pass'), { data: packet.subarray(0, 14) });
  t.equal(result.retval, 2, 'XDP_PASS');
  const frame = new Uint8Array(3000).fill(7);
  t.same(testRun(object.program('test_tc_pass'), { data: frame }).data, frame);
});

t.test('a packet shorter than its Ethernet header is refused', async (t) => {
  t.throws(() => testRun(object.program('test_tc_pass'), { data: packet.subarray(0, 13) }), {
    code: 'HNV_BPF',
    message: /test_tc_pass.*EINVAL/,
  });
});

t.test('live frames go through the program as often as asked', async (t) => {
  const context = Buffer.alloc(XDP_SIZE);
  context.writeUInt32LE(packet.length, XDP_DATA_END);
  context.writeUInt32LE(1, 12);
  const before = runs(1);
  testRunLive(object.program('test_xdp_count'), { data: packet, context, repeat: 100_000, batchSize: 32 });
  t.ok(runs(1) - before >= 100_000);
});
