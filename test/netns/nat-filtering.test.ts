/** Who may answer at a port that a session has outside (RFC 4787 section 5), and whose the port is. */
import '../lab/own-namespace.ts';

import t from 'tap';
import type { FilteringPlan } from '../../src/policy/plan.ts';
import { at, ContextLab, hosts, REMOTE_PORT } from '../lab/context-lab.ts';
import { type EchoAnswer, startEcho } from '../lab/echo.ts';
import { natPlan } from '../lab/nat-plan.ts';
import { UdpSocket } from '../lab/udp-socket.ts';
import { until } from '../lab/until.ts';

const { external, other, remotes, vms } = hosts.IPv4;
const externalAddresses = [{ address: external }];
const BINDINGS = 'hnvgw_bindings';
/** What does not come is waited for so long, milliseconds. */
const SILENCE = 300;

const filtered = (filtering: FilteringPlan, more: object = {}) =>
  natPlan({ externalAddresses, filtering: { tcp: filtering, udp: filtering }, ...more });

let context: ContextLab;
t.before(async () => {
  context = await ContextLab.create('nf', natPlan({ externalAddresses }));
});
t.teardown(() => context?.lab.close());

/** Ports of the tenant that no test before has used. */
let port = 5000;
/** A socket of the first host that has said a word to the first remote, and as whom it was seen. */
async function begin(): Promise<{ socket: UdpSocket; seen: EchoAnswer; port: number }> {
  const socket = new UdpSocket(context.vm, 'eth0', 4, ++port, [], vms[0]);
  return { socket, seen: await say(socket, remotes[0]), port };
}

async function say(socket: UdpSocket, to: string): Promise<EchoAnswer> {
  socket.send('hello', to, REMOTE_PORT);
  const answers = await until('the remote has answered', 2_000, () => {
    const taken = socket.take();
    return taken.length > 0 && taken;
  });
  return JSON.parse(answers[0] ?? '') as EchoAnswer;
}

/** Whether a word from outside, sent to where a session was seen, arrives at the socket. */
async function arrives(socket: UdpSocket, seen: EchoAnswer, from: string): Promise<boolean> {
  await context.ask('outside', `udp:${at(seen.address, seen.port)}`, {
    from,
    word: `by ${from}`,
    timeoutMs: SILENCE,
  });
  return socket.take().includes(`by ${from}`);
}

/** Seconds until an element of a map or set goes, in its words. */
async function expires(kind: 'map' | 'set', name: string, key: string): Promise<number> {
  const { stdout } = await context.inside(['nft', 'list', kind, 'inet', BINDINGS, name]);
  const [, time] = new RegExp(`${key.replaceAll('.', '\\.')} timeout \\w+ expires (\\w+)`).exec(stdout) ?? [];
  if (time === undefined) throw new Error(`${name} has no ${key}: ${stdout}`);
  const units = { h: 3600, m: 60, s: 1 } as const;
  return [...time.matchAll(/(\d+)([hms])(?!s)/g)].reduce(
    (sum, [, value, unit]) => sum + Number(value) * units[unit as 'h'],
    0,
  );
}

const forgetSessions = () => context.inside(['conntrack', '-F']);

for (const [filtering, [sameAddress, otherAddress]] of Object.entries({
  addressAndPortDependent: [false, false],
  addressDependent: [true, false],
  endpointIndependent: [true, true],
}))
  t.test(`UDP, ${filtering}: who may send to where a session was seen`, async (t) => {
    await context.become(filtered(filtering as FilteringPlan));
    const { socket, seen } = await begin();
    t.equal(seen.address, external);
    t.equal(
      await arrives(socket, seen, remotes[0]),
      sameAddress,
      'another port of the one that was spoken to',
    );
    t.equal(await arrives(socket, seen, remotes[1]), otherAddress, 'somebody else');
    await say(socket, remotes[1]);
    t.equal(await arrives(socket, seen, remotes[1]), sameAddress, 'who was spoken to since');
  });

for (const filtering of ['addressDependent', 'endpointIndependent'] as const) {
  t.test(`${filtering}: a port outside is of one host inside, and stays its own`, async (t) => {
    await context.become(filtered(filtering));
    const { socket, seen, port: fromPort } = await begin();
    t.equal(seen.port, fromPort, 'it is kept where it is free');
    const second = { from: vms[1], fromPort };
    const neighbour = await context.ask('vm', `udp:${at(remotes[1], REMOTE_PORT)}`, second);
    t.ok(neighbour && neighbour.port !== seen.port, 'no overloading, whoever is spoken to');
    await forgetSessions();
    const again = await context.ask('vm', `udp:${at(remotes[0], REMOTE_PORT)}`, second);
    t.equal(again?.port, neighbour?.port, 'a binding outlives its sessions');
    t.equal((await say(socket, remotes[1])).port, seen.port);
  });

  t.test(`${filtering}: what comes in does not keep a binding, what goes out does`, async (t) => {
    await context.become(filtered(filtering));
    const { socket, seen } = await begin();
    const outside = `${external} . udp . ${seen.port}`;
    const elements = [
      ['map', 'bindings', outside],
      ['map', 'endpoints', `${vms[0]} . udp . ${port}`],
      ['set', 'taken', outside],
    ] as const;
    const shortest = async () =>
      Math.min(...(await Promise.all(elements.map(([kind, name, key]) => expires(kind, name, key)))));
    await until('some of its time is over', 5_000, async () => (await shortest()) < 299);
    t.ok(await arrives(socket, seen, remotes[0]));
    t.ok((await shortest()) < 299);
    // The kernel tells whole seconds.
    await until('the time is set anew', 2_000, async () => {
      await say(socket, remotes[0]);
      return (await shortest()) >= 299;
    });
  });

  t.test(`${filtering}: a host inside reaches the binding of another one`, async (t) => {
    await context.become(filtered(filtering));
    const { socket, seen } = await begin();
    const hello = (from: string) =>
      context.ask('vm', `udp:${at(seen.address, seen.port)}`, { from, word: 'inside', timeoutMs: SILENCE });
    await hello(vms[1]);
    t.ok(socket.take().includes('inside'));
  });

  t.test(
    `${filtering}: TCP is let in to a port that a connection has, for as long as that would be`,
    async (t) => {
      await context.become(filtered(filtering));
      const fromPort = ++port;
      const seen = await context.ask('vm', `tcp:${at(remotes[0], REMOTE_PORT)}`, { fromPort });
      t.match(seen, { address: external, port: fromPort });
      const key = `${external} . tcp . ${fromPort}`;
      // The connection has ended, and its last packet has come back.
      await until(
        'the binding is one of a connection that ends',
        2_000,
        async () => (await expires('map', 'bindings', key)) <= 240,
      );
      await startEcho(context.vm, 'listener', [`tcp:${at(vms[0], fromPort)}`]);
      const call = (from: string) =>
        context.ask('outside', `tcp:${at(external, fromPort)}`, { from, timeoutMs: SILENCE });
      t.match(await call(remotes[0]), { server: 'listener', address: remotes[0] });
      const anybody = await call(remotes[1]);
      t.equal(anybody?.server, filtering === 'endpointIndependent' ? 'listener' : undefined);
    },
  );
}

t.test('by default a port is shared by sessions that differ', async (t) => {
  await context.become(filtered('addressAndPortDependent'));
  const { seen, port: fromPort } = await begin();
  const second = { from: vms[1], fromPort };
  const neighbour = await context.ask('vm', `udp:${at(remotes[1], REMOTE_PORT)}`, second);
  t.equal(neighbour?.port, seen.port);
});

t.test('who finds no port that is free is dropped, and counted', async (t) => {
  const block = [{ address: external, portStart: 3000, portEnd: 3000 }];
  await context.become(filtered('endpointIndependent', { externalAddresses: block }));
  const { socket, seen } = await begin();
  t.equal(seen.port, 3000);
  const before = await context.counted(BINDINGS, 'refused_bindings');
  const refused = await context.ask('vm', `udp:${at(remotes[1], REMOTE_PORT)}`, {
    from: vms[1],
    timeoutMs: SILENCE,
  });
  t.equal(refused, null);
  t.equal(await context.counted(BINDINGS, 'refused_bindings'), before + 1);
  t.equal((await say(socket, remotes[1])).port, 3000, 'whose it is goes on');
});

t.test('bindings go with the address that they are of', async (t) => {
  await context.become(filtered('endpointIndependent'));
  const { socket, seen } = await begin();
  t.equal(seen.address, external);
  await context.become(filtered('endpointIndependent', { externalAddresses: [{ address: other }] }));
  t.equal(await arrives(socket, seen, remotes[1]), false);
  t.equal((await say(socket, remotes[0])).address, other);
});

t.test('bindings stay when a mapping comes, and one-to-one hosts have none', async (t) => {
  await context.become(filtered('endpointIndependent'));
  const { socket, seen } = await begin();
  const mapping = { externalAddress: external, internalAddress: vms[1], internalPort: 80, externalPort: 9 };
  await context.become(filtered('endpointIndependent', { portMappings: [{ ...mapping, protocol: 'udp' }] }));
  t.ok(await arrives(socket, seen, remotes[1]));
  t.match(await context.ask('outside', `udp:${at(external, 9)}`, { from: remotes[1] }), { server: 'vm1' });
  await context.become(
    filtered('endpointIndependent', {
      externalAddresses: [{ address: external }, { address: other }],
      oneToOne: [{ external: other, internal: vms[0] }],
    }),
  );
  t.equal((await say(socket, remotes[0])).address, other);
  const { stdout } = await context.inside(['nft', 'list', 'map', 'inet', BINDINGS, 'bindings']);
  t.notMatch(stdout, other);
});
