import { execFileSync } from 'node:child_process';
import t from 'tap';
import { BpfObject } from '../../src/linux/bpf-object.ts';
import { ip, ipJson } from '../../src/linux/iproute2.ts';
import { ifindexOf } from '../../src/linux/links.ts';
import { inNetns } from '../../src/linux/netns.ts';
import { attachedXdp, attachXdp, detachXdp, strangerOnXdp } from '../../src/linux/xdp.ts';
import { compileFixture } from '../bpf/fixtures/compile.ts';

const netns = `lx${process.pid}`;
const path = compileFixture(t, 'linux-drivers');
const inside = <T>(fn: () => T): T => inNetns(netns, fn);
let index = 0;

function load(): BpfObject {
  const object = BpfObject.open(path);
  t.teardown(() => object.close());
  object.load();
  return object;
}
const [before, after] = [load().program('test_xdp_pass'), load().program('test_xdp_count')];
const stranger = load().program('other_xdp_pass');
const [OWNER, STRANGER] = ['test', 'other'];

t.before(() => ip(['netns', 'add', netns]));
t.teardown(() => execFileSync('ip', ['netns', 'delete', netns]));
t.beforeEach(async () => {
  await ip(['link', 'add', 'v0', 'type', 'veth', 'peer', 'name', 'v1'], { netns });
  index = inside(() => ifindexOf('v0')) ?? 0;
});
t.afterEach(() => ip(['link', 'delete', 'v0'], { netns }));

const xdpModes = { generic: 2, native: 1 } as const;

/** The mode as the kernel shows it, in numbers of IFLA_XDP_ATTACHED. */
async function shownMode(): Promise<number | undefined> {
  const [link] = await ipJson<{ xdp?: { mode: number } }>(['-details', 'link', 'show', 'dev', 'v0'], {
    netns,
  });
  return link?.xdp?.mode;
}

for (const mode of ['native', 'generic'] as const) {
  t.test(
    `a program is attached in ${mode} mode once, replaced by another one of its owner, and removed`,
    async (t) => {
      inside(() => {
        t.equal(attachedXdp(index), undefined);
        t.equal(attachXdp(index, before, mode), 'attached');
        t.equal(attachedXdp(index), before.id);
        t.equal(attachXdp(index, before, mode), 'unchanged');
        t.equal(attachXdp(index, after, mode), 'replaced');
        t.equal(attachedXdp(index), after.id);
        t.equal(attachedXdp(index, mode), after.id);
        t.equal(attachedXdp(index, mode === 'native' ? 'generic' : 'native'), undefined);
      });
      t.equal(await shownMode(), xdpModes[mode]);
      inside(() => {
        detachXdp(index, STRANGER);
        t.equal(attachedXdp(index), after.id, 'only a program of that owner is removed');
        detachXdp(index, OWNER);
        t.equal(attachedXdp(index), undefined, 'whichever it is');
        detachXdp(index, OWNER);
      });
    },
  );
}

t.test('a change of mode moves the program', async (t) => {
  inside(() => {
    attachXdp(index, before, 'native');
    t.equal(attachXdp(index, before, 'generic'), 'replaced');
    t.equal(attachedXdp(index), before.id);
  });
  t.equal(await shownMode(), xdpModes.generic);
});

t.test('the program of somebody else is left alone', async (t) => {
  inside(() => {
    attachXdp(index, stranger, 'generic');
    t.throws(() => attachXdp(index, before, 'generic'), {
      code: 'HNV_BPF',
      message: /other_xdp_pass.*not ours/,
    });
    t.equal(attachedXdp(index), stranger.id);
    t.match(strangerOnXdp(index, OWNER), /^the XDP program other_xdp_pass \(id \d+\)/);
    t.equal(strangerOnXdp(index, STRANGER), undefined);
  });
});

t.test('an interface that is not there is an error', async (t) => {
  t.throws(() => inside(() => attachXdp(9999, before, 'generic')), { code: 'HNV_BPF', message: /9999/ });
});
