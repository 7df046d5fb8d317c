/** A limit of sessions: never exceeded, nearly reached, both directions counted, and refusals told. */
import '../lab/own-namespace.ts';

import t from 'tap';
import { natUse } from '../../src/nat/refusals.ts';
import type { PortMappingPlan } from '../../src/policy/plan.ts';
import { at, ContextLab, hosts, REMOTE_PORT, VM_PORT } from '../lab/context-lab.ts';
import { ask } from '../lab/echo.ts';
import { Namespace } from '../lab/namespace.ts';
import { natPlan } from '../lab/nat-plan.ts';
import { UdpSocket } from '../lab/udp-socket.ts';
import { until } from '../lab/until.ts';

const { external, remotes, vms } = hosts.IPv4;
const mapping: PortMappingPlan = {
  ...{ protocol: 'udp', externalAddress: external, externalPort: 2080 },
  ...{ internalAddress: vms[0], internalPort: VM_PORT },
};
const limited = (maxSessions: number) =>
  natPlan({ externalAddresses: [{ address: external }], portMappings: [mapping], maxSessions });
const remote = at(remotes[0], REMOTE_PORT);

let context: ContextLab;
t.before(async () => {
  context = await ContextLab.create('nl', limited(20));
});
t.teardown(() => context?.lab.close());

/** How many of so many sockets that ask at once are answered. */
async function answered(endpoint: string, count: number): Promise<number> {
  const answers = await ask(context.vm, endpoint, { count, timeoutMs: 1_000 });
  return answers.filter((answer) => answer !== null).length;
}
const forgetSessions = () => context.inside(['conntrack', '-F']);
const use = () => natUse(context.netns);

t.test('a small limit is exact, and what is over it is counted', async (t) => {
  const before = use().refused.limit;
  t.equal(await answered(`udp:${remote}`, 30), 20);
  t.equal(use().sessions, 20);
  t.equal(use().refused.limit - before, 10);
  const mapped = () =>
    context.ask('outside', `udp:${at(external, 2080)}`, { from: remotes[0], timeoutMs: 300 });
  t.equal(await mapped(), null);
  t.equal(use().sessions, 20, 'nor is there room for one from outside');
  await forgetSessions();
  // A bucket that was full is closed for a moment.
  await until('who comes from outside has room', 2_000, async () => (await mapped()) !== null);
});

t.test('TCP connections that stand are counted, those that are over are not', async (t) => {
  await forgetSessions();
  await until('there is room', 2_000, async () => (await answered(`tcp:${remote}`, 1)) === 1);
  // They speak when all of them stand, and so never.
  t.equal(await answered(`tcp:${remote}`, 30), 0);
  const over = await established();
  t.equal(over, 20, 'as many as may');
  await until(
    'and again, when these are over',
    2_000,
    async () => (await answered(`tcp:${remote}`, 20)) === 20,
  );
});

/** TCP sessions that were answered. */
async function established(): Promise<number> {
  const { stdout } = await context.inside(['conntrack', '-L', '-p', 'tcp', '-u', 'ASSURED']);
  return stdout.split('\n').filter((line) => line.startsWith('tcp')).length - 1;
}

t.test('what nobody asked for takes no place', async (t) => {
  await forgetSessions();
  await until('there is room', 2_000, async () => (await answered(`udp:${remote}`, 1)) === 1);
  const before = use().refused.limit;
  // To ports that are nobody's, and pings to the context itself.
  await ask(context.outside, `udp:${at(external, 9)}`, { count: 60, from: remotes[0], timeoutMs: 100 });
  for (let asked = 0; asked < 3; asked++)
    t.equal((await context.outside.run(['ping', '-n', '-c', '1', '-W', '1', external])).code, 0);
  t.equal(use().refused.limit, before);
  t.equal(await answered(`udp:${remote}`, 19), 19);
});

t.test('pings of the context itself have room of their own, and no more', async (t) => {
  await forgetSessions();
  const pings = await context.outside.run([
    ...[
      'sh',
      '-c',
      `for n in $(seq 80); do ping -n -c 1 -W 0.3 ${external} > /dev/null && echo yes & done; wait`,
    ],
  ]);
  t.equal(pings.stdout.split('\n').filter((line) => line === 'yes').length, 64);
  t.equal(use().sessions, 64);
});

t.test('tunnels of the context have room of their own', async (t) => {
  await context.become({ ...limited(20), peers: [{ localAddress: external, remoteAddress: remotes[0] }] });
  await forgetSessions();
  const inside = new Namespace(context.lab, context.netns);
  const own = new UdpSocket(inside, 'ext', 4, 500, [], external);
  const peers = Array.from(
    { length: 80 },
    (_, index) => new UdpSocket(context.outside, 'eth0', 4, 10_000 + index, [], remotes[0]),
  );
  await until('there is room', 2_000, async () => (await answered(`udp:${remote}`, 1)) === 1);
  t.equal(await answered(`udp:${remote}`, 30), 19, 'a tenant at its limit');
  const before = use().refused.limit;
  for (const peer of peers) peer.send('in', external, 500);
  t.equal(own.take().length, 80, 'hears of peers, of more than there is room for pings');
  for (const index of peers.keys()) own.send('out', remotes[0], 20_000 + index);
  t.equal(use().refused.limit, before, 'and speaks to peers');
  t.equal(use().sessions, 20 + 2 * 80);
});

t.test('a limit of several buckets is never exceeded, and nearly reached', async (t) => {
  await context.become(limited(600));
  await forgetSessions();
  for (let round = 0; round < 3; round++) {
    await answered(`udp:${remote}`, 500);
    t.ok(use().sessions <= 600);
  }
  t.ok(use().sessions >= 0.97 * 600, `${use().sessions} of 600`);
});

t.test('no limit, no rules', async (t) => {
  await context.become(natPlan({ externalAddresses: [{ address: external }] }));
  await forgetSessions();
  await answered(`udp:${remote}`, 700);
  t.equal(use().sessions, 700);
  t.equal(use().refused.limit, 0);
});
