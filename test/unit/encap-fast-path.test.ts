/** Generations of domains with fast flows, over restarts too: a flow that was noted under one must never hold again when it is over. */
import t from 'tap';
import { type FastDomain, FastPath } from '../../src/encap/fast-path.ts';
import { decodeFastDomain, encodeFastDomain } from '../../src/encap/layout.generated.ts';
import { fastDomain } from '../../src/gateway/fast-domain.ts';
import type { BpfMap } from '../../src/linux/bpf-map.ts';
import { natPlan } from '../lab/nat-plan.ts';

const NONE = {
  ...{ generation: 0, isEnabled: 0, netnsId: 0, tcpMs: 0, udpMs: 0, revisitSeconds: 0, hasEcho: 0, pad: 0 },
};
const fast = (netnsId: number): FastDomain => ({
  ...{ netnsId, tcpSeconds: 7440, udpSeconds: 300, revisitSeconds: 10, hasEcho: true },
});

/** The pinned map, an array, and processes that come one after another. */
function pinned(size = 8) {
  const values = Array.from({ length: size }, () => encodeFastDomain(NONE));
  /** Handles that were written to, by command. */
  const commands: number[][] = [];
  const key = (index: number): Buffer => {
    const bytes = Buffer.alloc(4);
    bytes.writeUInt32LE(index);
    return bytes;
  };
  const map: Pick<BpfMap, 'entries' | 'update' | 'updateBatch'> = {
    entries: () => values.map((value, index) => [key(index), value]),
    update: (at, value) => {
      commands.push([Buffer.from(at).readUInt32LE()]);
      values[Buffer.from(at).readUInt32LE()] = value;
    },
    updateBatch: (entries) => {
      commands.push(entries.map(([at]) => Buffer.from(at).readUInt32LE()));
      for (const [at, value] of entries) values[Buffer.from(at).readUInt32LE()] = value;
    },
  };
  return {
    start: (hasFastPath = true, isWanted = true): FastPath =>
      new FastPath({ map: () => map as BpfMap, hasFastPath }, isWanted),
    entry: (handle: number) => decodeFastDomain(values[handle] ?? new Uint8Array()),
    put: (handle: number, value: ReturnType<typeof decodeFastDomain>) => {
      values[handle] = encodeFastDomain(value);
    },
    generations: () => values.map((value) => decodeFastDomain(value).generation),
    commands: () => commands.splice(0),
  };
}

t.test('each change of a domain has a generation of its own, and of no other domain', async (t) => {
  const { start, entry, generations } = pinned();
  const path = start();
  t.equal(path.isOn, true);
  path.set(1, fast(5));
  t.same(entry(1), {
    ...{ generation: 1, isEnabled: 1, netnsId: 5, revisitSeconds: 10 },
    ...{ tcpMs: 7_440_000, udpMs: 300_000, hasEcho: 1, pad: 0 },
  });
  path.set(1, fast(5));
  t.equal(entry(1).generation, 2, 'also when nothing else is new');
  path.set(2, fast(6));
  path.invalidate(1);
  t.same(generations().slice(1, 4), [3, 1, 0]);
  t.match(entry(1), { isEnabled: 1, netnsId: 5, tcpMs: 7_440_000 }, 'all else stays');
  path.set(1, undefined);
  t.same(entry(1), { ...NONE, generation: 4 });
  path.set(1, undefined);
  path.invalidate(1);
  path.invalidate(3);
  t.same(generations().slice(1, 4), [4, 1, 0], 'where nothing is fast, nothing can be over');
});

t.test('all domains that are fast, and no others, in one command, behind nobody’s', async (t) => {
  const { start, generations, commands } = pinned();
  const path = start();
  for (const handle of [1, 2, 3]) path.set(handle, fast(handle));
  path.set(2, undefined);
  commands();
  path.invalidateAll();
  t.same(generations(), [5, 2, 2, 2, 0, 0, 0, 0]);
  t.same(commands(), [[0], [1, 3]]);
});

t.test('a handle that is given again, and a later process, go on from the last generation', async (t) => {
  const { start, entry, generations } = pinned();
  const first = start();
  first.set(1, fast(5));
  first.set(2, fast(6));
  first.set(1, undefined);
  first.set(1, fast(7));
  t.equal(entry(1).generation, 3);
  first.set(2, undefined);
  const second = start();
  t.same(generations().slice(1, 3), [3, 2], 'what is fast goes on meanwhile');
  second.set(2, fast(8));
  t.equal(entry(2).generation, 3);
  second.invalidateAll();
  t.same(generations().slice(1, 3), [4, 4], 'of the earlier process too');
});

t.test('behind the last generation comes the first, and never 0', async (t) => {
  const { start, entry, put } = pinned();
  put(1, { ...NONE, isEnabled: 1, generation: 0xffff_fffe });
  const path = start();
  path.invalidate(1);
  t.equal(entry(1).generation, 0xffff_ffff);
  path.invalidate(1);
  t.equal(entry(1).generation, 1);
});

for (const [why, hasFastPath, isWanted] of [
  ['it is off', true, false],
  ['the kernel lacks it', false, true],
] as const)
  t.test(`nothing is fast where ${why}`, async (t) => {
    const { start, entry, commands } = pinned();
    start().set(1, fast(5));
    const path = start(hasFastPath, isWanted);
    t.equal(path.isOn, false);
    t.same(entry(1), { ...NONE, generation: 2 }, 'what was fast under the last process is not any more');
    commands();
    path.set(1, fast(5));
    path.set(2, fast(6));
    path.invalidate(1);
    path.invalidateNetns(5);
    t.same(commands(), []);
    path.invalidateAll();
    t.same(commands(), [[0]], 'what is noted of routes is over');
    t.equal(path.hasNetns(5), false);
  });

t.test('a namespace is the domain’s that has it now', async (t) => {
  const { start, generations } = pinned();
  const path = start();
  path.set(1, fast(5));
  path.set(2, fast(6));
  path.invalidateNetns(6);
  t.same(generations().slice(1, 3), [1, 2]);
  // The number of a namespace that has gone is given again.
  path.set(1, undefined);
  t.equal(path.hasNetns(5), false);
  path.set(2, fast(5));
  t.equal(path.hasNetns(6), false);
  path.invalidateNetns(5);
  t.same(generations().slice(1, 3), [2, 4]);
  path.set(1, fast(6));
  path.set(1, fast(5));
  path.set(2, undefined);
  t.equal(path.hasNetns(5), true, 'a last owner that goes late takes nothing with it');
});

t.test('a packet of each flow goes the slow way often enough for the timeouts', async (t) => {
  const timeouts = { icmp: 60, tcpEstablished: 7440, tcpTransient: 240, udp: 300 };
  const domain = (
    changes: Partial<typeof timeouts>,
    udp: 'addressAndPortDependent' | 'endpointIndependent',
  ) =>
    fastDomain(
      5,
      natPlan({ timeouts: { ...timeouts, ...changes }, filtering: { tcp: 'addressAndPortDependent', udp } }),
    );
  const revisit = (...of: Parameters<typeof domain>) => domain(...of)?.revisitSeconds;
  t.same(fastDomain(5, undefined), {
    ...{ netnsId: 5, tcpSeconds: 432_000, udpSeconds: 120, revisitSeconds: 60, hasEcho: true },
  });
  t.equal(revisit({}, 'addressAndPortDependent'), 60);
  t.equal(revisit({ udp: 20, icmp: 2, tcpTransient: 8 }, 'addressAndPortDependent'), 60);
  t.equal(revisit({ tcpTransient: 8 }, 'endpointIndependent'), 2, 'bindings are kept by slow packets alone');
  t.equal(revisit({ udp: 20 }, 'endpointIndependent'), 5);
  t.equal(revisit({ udp: 1 }, 'addressAndPortDependent'), undefined, 'too short to be told of each second');
  for (const [icmp, hasEcho] of [
    [3, false],
    [4, true],
  ] as const)
    t.equal(domain({ icmp }, 'addressAndPortDependent')?.hasEcho, hasEcho, `echoes of ${icmp} s`);
});
