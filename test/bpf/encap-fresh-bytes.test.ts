// What the data plane puts before or into a packet is written to the last byte. The kernel gives stale memory in two
// places: the headroom that a header comes to lie in (most kernels clear it, none promises to), and the stack that it is
// built on. Both are filled with a pattern by a program that then hands over by a tail call, which keeps stack and
// headroom; a byte that is never written would show the pattern.
import t from 'tap';
import { HnvError } from '../../src/errors.ts';
import { BpfObject } from '../../src/linux/bpf-object.ts';
import { DataPlane } from './data-plane.ts';
import { optionsOf } from './fixture-runner.ts';
import { compileFixture } from './fixtures/compile.ts';
import { fixtures } from './packet-fixtures/all.ts';
import { pattern } from './packets.ts';
import { PreparedRuns } from './prepared-run.ts';

const PATTERNS = [0x00, 0x55, 0xff];

const dataPlane = DataPlane.open(t);
const prepared = new PreparedRuns(t, dataPlane);

/** What goes on as one frame. How a super-packet is cut cannot be prepared. */
const sentOn = fixtures.filter(
  ({ expected, length, vlan, gsoSize }) =>
    expected.verdict === 'redirect' && length === undefined && vlan === undefined && gsoSize === undefined,
);

t.test('no byte of a packet depends on what was in memory before', async (t) => {
  for (const fixture of sentOn) {
    const { place, name, frame } = fixture;
    const options = optionsOf(fixture);
    dataPlane.forgetErrors();
    const clean = dataPlane.run(place, frame, options);
    t.equal(clean.verdict, 'redirect', name);
    for (const poison of PATTERNS) {
      dataPlane.forgetErrors();
      const { verdict, frame: after } = prepared.run(place, frame, { poison }, options);
      t.equal(verdict, 'redirect', `${name} after 0x${poison.toString(16)}`);
      t.same(after, clean.frame, `${name} after 0x${poison.toString(16)}: the same frame`);
    }
  }
});

t.test('the pattern does reach the stack of the program that is handed over to', async (t) => {
  const object = BpfObject.open(compileFixture(t, 'encap-stack'));
  t.teardown(() => object.close());
  try {
    object.load();
  } catch (error) {
    if (!(error instanceof HnvError)) throw error;
    t.match(error.message, /invalid read from stack/);
    t.comment('this kernel’s verifier refuses to read what was not written, so there is nothing to reach');
    return;
  }
  const program = prepared.programBefore(object.program('test_stack'));
  for (const poison of PATTERNS) t.equal(dataPlane.returnOf(program, pattern(60), [poison]), poison);
});
