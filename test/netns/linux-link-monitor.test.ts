/** rtnetlink tells of the interfaces of the namespace that the monitor was made in. */
import t, { type Test } from 'tap';
import { ip, ipBatch } from '../../src/linux/iproute2.ts';
import { LinkMonitor } from '../../src/linux/link-monitor.ts';
import { inNetns } from '../../src/linux/netns.ts';
import { ownTurn } from '../../src/own-turn.ts';
import { until } from '../lab/until.ts';

const netns = `lm${process.pid}`;

t.before(() => ip(['netns', 'add', netns]));
t.teardown(() => ip(['netns', 'delete', netns]));

/** Names of the interfaces that were told of, as they come, and of those that were said to be down. */
function follow(t: Test): { told: string[]; down: string[]; overruns: () => number } {
  const told: string[] = [];
  const down: string[] = [];
  let overruns = 0;
  const monitor = inNetns(
    netns,
    () =>
      new LinkMonitor((news) => {
        if (news === undefined) overruns++;
        told.push(...(news ?? []).map(({ name }) => name));
        down.push(...(news ?? []).filter(({ isUp }) => !isUp).map(({ name }) => name));
      }),
  );
  t.teardown(() => monitor.close());
  return { told, down, overruns: () => overruns };
}

t.test('an interface that comes, changes, gets another name and goes is told of', async (t) => {
  const { told } = follow(t);
  const steps: [what: string, name: string, command: string[]][] = [
    ['comes', 'near0', ['link', 'add', 'near0', 'type', 'veth', 'peer', 'name', 'far0']],
    ['changes its MTU', 'near0', ['link', 'set', 'near0', 'mtu', '1400']],
    ['gets another name', 'near1', ['link', 'set', 'near0', 'name', 'near1']],
    ['goes', 'near1', ['link', 'del', 'near1']],
  ];
  for (const [what, name, command] of steps) {
    told.length = 0;
    await ip(command, { netns });
    await until(`it is told that an interface ${what}`, 1_000, () => told.includes(name));
  }
  t.pass();
});

t.test('an interface that is down for a moment is told to have been', async (t) => {
  await ip(['link', 'add', 'here0', 'up', 'type', 'veth', 'peer', 'name', 'there0'], { netns });
  const { down, told } = follow(t);
  await ip(['link', 'set', 'here0', 'mtu', '1400'], { netns });
  await until('the change is told', 1_000, () => told.includes('here0'));
  t.same(down, [], 'a change that leaves it up is none');
  const bounce = ['down', 'up'].map((state) => ['link', 'set', 'here0', state]);
  await ipBatch(bounce, { netns });
  await until('it is told that the interface was down', 1_000, () => down.includes('here0'));
  t.pass();
});

t.test('the other side of a veth that leaves the namespace is told of', async (t) => {
  const other = `${netns}o`;
  await ip(['netns', 'add', other]);
  t.teardown(() => ip(['netns', 'delete', other]));
  await ip(['link', 'add', 'in0', 'type', 'veth', 'peer', 'name', 'out0'], { netns });
  const { told } = follow(t);
  await ip(['link', 'set', 'out0', 'netns', other], { netns });
  await until('the side that has left is told of', 1_000, () => told.includes('out0'));
  t.pass();
});

t.test('when more happens than is listened to, any interface may have changed', async (t) => {
  const { overruns, told } = follow(t);
  const made = ipBatch(
    Array.from({ length: 400 }, (_, n) => ['link', 'add', `v${n}`, 'type', 'veth', 'peer', 'name', `w${n}`]),
    { netns },
  );
  // The program runs by now. The monitor reads only when the event loop is free.
  await ownTurn();
  const busyUntil = performance.now() + 1_500;
  while (performance.now() < busyUntil);
  await made;
  await until('the overrun is told', 2_000, () => overruns() > 0);
  await ip(['link', 'add', 'later0', 'type', 'veth', 'peer', 'name', 'later1'], { netns });
  await until('what comes behind it is told', 2_000, () => told.includes('later0'));
  t.pass();
});
