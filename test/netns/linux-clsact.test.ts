import { execFileSync } from 'node:child_process';
import { rmSync } from 'node:fs';
import t from 'tap';
import { BpfObject } from '../../src/linux/bpf-object.ts';
import { attachClsact, attachedClsact, detachClsact } from '../../src/linux/clsact.ts';
import { ip } from '../../src/linux/iproute2.ts';
import { ifindexOf } from '../../src/linux/links.ts';
import { inNetns } from '../../src/linux/netns.ts';
import { compileFixture } from '../bpf/fixtures/compile.ts';

const netns = `lt${process.pid}`;
const object = BpfObject.open(compileFixture(t, 'linux-drivers'));
object.load();
const pass = object.program('test_tc_pass');
const drop = object.program('test_tc_drop');
const inside = <T>(fn: () => T): T => inNetns(netns, fn);
// Not `tc -n`, which hides the machine's bpffs.
const tc = (...args: string[]): string => inside(() => execFileSync('tc', args, { encoding: 'utf8' }));
let index = 0;

t.before(async () => {
  await ip(['netns', 'add', netns]);
});
t.teardown(() => {
  object.close();
  execFileSync('ip', ['netns', 'delete', netns]);
});
t.beforeEach(async () => {
  await ip(['link', 'add', 'v0', 'type', 'veth', 'peer', 'name', 'v1'], { netns });
  index = inside(() => ifindexOf('v0')) ?? 0;
});
t.afterEach(() => ip(['link', 'delete', 'v0'], { netns }));

for (const direction of ['ingress', 'egress'] as const) {
  t.test(`a program is attached to ${direction} once, replaced by another, and removed`, async (t) => {
    const other = direction === 'ingress' ? 'egress' : 'ingress';
    inside(() => {
      t.equal(attachedClsact(index, direction), undefined);
      t.equal(attachClsact(index, direction, pass), 'attached');
      t.equal(attachedClsact(index, direction), pass.id);
      t.equal(attachClsact(index, direction, pass), 'unchanged');
      t.equal(attachClsact(index, direction, drop), 'replaced');
      t.equal(attachedClsact(index, direction), drop.id);
      t.equal(attachedClsact(index, other), undefined);
      detachClsact(index, direction);
      t.equal(attachedClsact(index, direction), undefined);
      detachClsact(index, direction);
    });
  });
}

t.test('there is one filter after any number of replacements', async (t) => {
  inside(() => {
    for (const program of [pass, drop, pass, drop]) attachClsact(index, 'ingress', program);
  });
  const filters = JSON.parse(tc('-json', 'filter', 'show', 'dev', 'v0', 'ingress')) as { options?: object }[];
  t.match(
    filters.filter((filter) => filter.options !== undefined),
    [{ options: { prog: { id: drop.id } } }],
  );
});

t.test('filters of others are neither taken for ours nor removed with it', async (t) => {
  const pin = `/sys/fs/bpf/hnvt${process.pid}_tc`;
  drop.pin(pin);
  t.teardown(() => rmSync(pin));
  tc('qdisc', 'add', 'dev', 'v0', 'clsact');
  tc(
    'filter',
    'add',
    'dev',
    'v0',
    'ingress',
    'prio',
    '5',
    'protocol',
    'ip',
    'bpf',
    'direct-action',
    'pinned',
    pin,
  );
  inside(() => {
    t.equal(attachedClsact(index, 'ingress'), undefined);
    t.equal(attachClsact(index, 'ingress', pass), 'attached');
    t.equal(attachedClsact(index, 'ingress'), pass.id);
    detachClsact(index, 'ingress');
  });
  t.match(tc('filter', 'show', 'dev', 'v0', 'ingress'), /pref 5 bpf/);
});

t.test('detaching where nothing was ever attached is fine', async () => {
  inside(() => detachClsact(index, 'egress'));
});

t.test('an interface that is not there is an error', async (t) => {
  t.throws(() => inside(() => attachClsact(9999, 'ingress', pass)), { code: 'HNV_BPF', message: /9999/ });
});
