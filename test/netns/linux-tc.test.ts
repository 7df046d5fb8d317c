import { execFileSync } from 'node:child_process';
import t from 'tap';
import { BpfObject } from '../../src/linux/bpf-object.ts';
import { ip } from '../../src/linux/iproute2.ts';
import { ifindexOf } from '../../src/linux/links.ts';
import { inNetns } from '../../src/linux/netns.ts';
import { attachedTc, attachTc, detachTc } from '../../src/linux/tc.ts';
import { attachedTcx, attachTcx, detachTcx, hasTcx } from '../../src/linux/tcx.ts';
import { compileFixture } from '../bpf/fixtures/compile.ts';

const netns = `lx${process.pid}`;
const object = BpfObject.open(compileFixture(t, 'linux-drivers'));
object.load();
const pass = object.program('test_tc_pass');
const drop = object.program('test_tc_drop');
const inside = <T>(fn: () => T): T => inNetns(netns, fn);
let index = 0;

t.before(async () => {
  await ip(['netns', 'add', netns]);
  await ip(['link', 'add', 'v0', 'type', 'veth', 'peer', 'name', 'v1'], { netns });
  index = inside(() => ifindexOf('v0')) ?? 0;
});
t.teardown(() => {
  object.close();
  execFileSync('ip', ['netns', 'delete', netns]);
});

for (const direction of ['ingress', 'egress'] as const) {
  t.test(
    `a program is attached to ${direction} once, replaced by another of its owner, and removed`,
    async (t) => {
      const other = direction === 'ingress' ? 'egress' : 'ingress';
      inside(() => {
        t.equal(attachedTc(index, direction, 'test'), undefined);
        t.equal(attachTc(index, direction, pass), 'attached');
        t.equal(attachedTc(index, direction, 'test'), pass.id);
        t.equal(attachTc(index, direction, pass), 'unchanged');
        t.equal(attachTc(index, direction, drop), 'replaced');
        t.equal(attachedTc(index, direction, 'test'), drop.id);
        t.equal(attachedTc(index, other, 'test'), undefined);
        detachTc(index, direction, 'test');
        t.equal(attachedTc(index, direction, 'test'), undefined);
        detachTc(index, direction, 'test');
      });
    },
  );
}

t.test(
  'on a hook with programs of others only the owner’s is replaced and removed',
  { skip: !hasTcx() },
  async (t) => {
    const theirs = object.program('other_tc_pass');
    inside(() => {
      attachTcx(index, 'ingress', theirs);
      attachTcx(index, 'ingress', pass);
      t.equal(attachTcx(index, 'ingress', drop), 'replaced');
      t.equal(attachedTcx(index, 'ingress', 'other'), theirs.id);
      detachTcx(index, 'ingress', 'test');
      t.equal(attachedTcx(index, 'ingress', 'test'), undefined);
      t.equal(attachedTcx(index, 'ingress', 'other'), theirs.id);
    });
  },
);
