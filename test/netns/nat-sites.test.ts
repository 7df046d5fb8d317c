/**
 * What the rules of a context do for tunnels: IKE and ESP of the context itself, and what is for a site, which goes into the
 * tunnel as it is or nowhere. In place of the tunnel there is a plain link of that name, with the site's stack behind it.
 */
import '../lab/own-namespace.ts';

import t, { type Test } from 'tap';
import type { IkePeerPlan, NatPlan } from '../../src/policy/plan.ts';
import { siteRouteProtocol } from '../../src/s2s/site-routes.ts';
import { Capture } from '../lab/capture.ts';
import { at, ContextLab, families, type Host, hosts, REMOTE_PORT, VM_PORT } from '../lab/context-lab.ts';
import { ask, startEcho } from '../lab/echo.ts';
import { Namespace } from '../lab/namespace.ts';
import { natPlan } from '../lab/nat-plan.ts';
import { RawIp } from '../lab/raw-ip.ts';
import { UdpSocket } from '../lab/udp-socket.ts';

const [START, END] = [2000, 2999];
/** Port of the tenant's host where nobody answers, and the first of those that lead to ports there. */
const [SILENT_PORT, MAPPED] = [90, 2000];
const ESP = 50;
const [IKE, IKE_NAT] = [500, 4500];
/** How long it is waited for what should not come, milliseconds. */
const SILENCE = 300;

const SITES = {
  IPv4: { prefix: '192.168.50.0/24', host: '192.168.50.9', far: '192.168.50.1', length: 24 },
  IPv6: { prefix: 'fd00:50::/64', host: 'fd00:50::9', far: 'fd00:50::1', length: 64 },
} as const;
const siteOf = (family: string) => SITES[family as keyof typeof SITES];
const sitePrefixes = Object.values(SITES).map(({ prefix }) => prefix);

const addresses = families.flatMap(([, { external }]) => [{ address: external }]);
const blocks = addresses.map(({ address }) => ({ address, portStart: START, portEnd: END }));
const peersOf = (remote: (host: Host) => string | undefined): IkePeerPlan[] =>
  families.map(([, host]) => {
    const remoteAddress = remote(host);
    return { localAddress: host.external, ...(remoteAddress !== undefined && { remoteAddress }) };
  });
const portMappings = families.flatMap(([, { external, vms }]) =>
  [VM_PORT, SILENT_PORT].map((internalPort) => ({
    ...{ protocol: 'udp' as const, externalAddress: external, externalPort: MAPPED + internalPort },
    ...{ internalAddress: vms[0], internalPort },
  })),
);
const firstRemote = ({ remotes }: Host): string => remotes[0];
/** The context's own, and of two remotes. */
function espSockets() {
  const { external, remotes } = hosts.IPv4;
  const [peer, other] = remotes;
  const outside = (remote: string) => new RawIp(context.outside, 'eth0', ESP, remote);
  esp ??= { own: new RawIp(inside, 'ext', ESP, external), peer: outside(peer), other: outside(other) };
  return esp;
}
let esp: Record<'own' | 'peer' | 'other', RawIp> | undefined;

const plans: Record<string, NatPlan> = {
  'a whole address': natPlan({ externalAddresses: addresses, peers: peersOf(firstRemote) }),
  'a block': natPlan({ externalAddresses: blocks, peers: peersOf(firstRemote) }),
  // Others would be chosen for the tenant's hosts.
  'several addresses': natPlan({
    externalAddresses: families.flatMap(([, { external, other }]) =>
      [external, ...[2, 3, 4, 5, 6, 7].map((end) => other.replace(/2$/, `${end}`))].map((address) => ({
        address,
      })),
    ),
    peers: peersOf(firstRemote),
  }),
};

let context: ContextLab;
let inside: Namespace;
const udpSocket = (namespace: Namespace, nic: string, port: number, address: string) =>
  new UdpSocket(namespace, nic, address.includes(':') ? 6 : 4, port, [], address);
/** What there was before says nothing of the rules that there are now. */
async function become(plan: NatPlan): Promise<void> {
  await context.become(plan);
  await context.inside(['conntrack', '-F']);
}
/** By address and port. */
const ikeSockets = new Map<string, UdpSocket>();
/** The context's own. */
function ikeSocket(address: string, port: number): UdpSocket {
  const key = at(address, port);
  const socket = ikeSockets.get(key) ?? udpSocket(inside, 'ext', port, address);
  ikeSockets.set(key, socket);
  return socket;
}
t.before(async () => {
  context = await ContextLab.create('ns', natPlan({ externalAddresses: addresses }));
  inside = new Namespace(context.lab, context.netns);
});
t.teardown(() => context?.lab.close());

t.test('IKE that the context sends keeps its address and port, with its peers', async (t) => {
  for (const [what, plan] of Object.entries(plans)) {
    await become(plan);
    for (const [family, { external, remotes }] of families) {
      const say = async (fromPort: number, remote: string) =>
        (await ask(inside, `udp:${at(remote, REMOTE_PORT)}`, { from: external, fromPort }))[0];
      for (const port of [IKE, IKE_NAT])
        t.match(
          await say(port, remotes[0]),
          { server: 'outside', address: external, port },
          `${what}, ${family}`,
        );
      if (what !== 'a block') continue;
      for (const [port, remote] of [
        [IKE, remotes[1]],
        [IKE + 1, remotes[0]],
      ] as const) {
        const { port: seen = 0 } = (await say(port, remote)) ?? {};
        t.ok(seen >= START && seen <= END, `${family}: port ${port} to ${remote} is ${seen} of the block`);
      }
    }
  }
});

t.test('ESP that the context sends keeps its address, and reaches it from its peers alone', async (t) => {
  const { external, remotes } = hosts.IPv4;
  const { own, peer, other } = espSockets();
  for (const [what, plan] of Object.entries(plans)) {
    await become(plan);
    other.send('not me', external);
    peer.send(what, external);
    t.same(own.take(), [{ from: remotes[0], text: what }], what);
    own.send(what, remotes[0]);
    t.same(peer.take(), [{ from: external, text: what }], what);
  }
});

t.test('IKE reaches the context from its peers alone', async (t) => {
  const everybody = natPlan({ externalAddresses: addresses, peers: peersOf(() => undefined) });
  const nobody = natPlan({ externalAddresses: addresses });
  const own = families.flatMap(([family, { external, remotes }]) => {
    const [peer, other] = remotes.map((remote) => udpSocket(context.outside, 'eth0', IKE, remote));
    return [IKE, IKE_NAT].map((port) => ({
      ...{ family, external, port, peer, other },
      socket: ikeSocket(external, port),
    }));
  });
  for (const [what, plan, expected] of [
    ...Object.entries(plans).map(([what, plan]) => [what, plan, ['peer']] as const),
    ['everybody as peer', everybody, ['other', 'peer']] as const,
    ['no peer any more', nobody, []] as const,
  ]) {
    await become(plan);
    for (const { family, external, port, peer, other, socket } of own) {
      other?.send('other', external, port);
      peer?.send('peer', external, port);
      t.same(socket.take(), expected, `${what}, ${family}, port ${port}`);
    }
  }

  // A host of the tenant that has the port outside, with filtering that lets everybody answer there.
  const udp = 'endpointIndependent' as const;
  await become({ ...everybody, filtering: { ...everybody.filtering, udp } });
  const { external, remotes, vms } = hosts.IPv4;
  const asked = `udp:${at(remotes[1], REMOTE_PORT)}`;
  const seen = await context.ask('vm', asked, { from: vms[0], fromPort: IKE_NAT });
  t.match(seen, { address: external, port: IKE_NAT });
  const [, { peer, socket } = {}] = own;
  peer?.send('begun', external, IKE_NAT);
  t.same(socket?.take(), ['begun'], 'a port that a host of the tenant has too');
});

t.test('what is for a site leaves by no other way, whether it is new or not', async (t) => {
  const open = natPlan({ externalAddresses: addresses, portMappings });
  for (const [family, host] of families) {
    const [peer, site] = host.remotes;
    const remotes = { peer: `udp:${at(peer, REMOTE_PORT)}`, site: `udp:${at(site, REMOTE_PORT)}` };
    const closed: NatPlan = {
      ...{ ...open, sitePrefixes: [`${site}/${host.length}`] },
      peers: [{ localAddress: host.external, remoteAddress: site }],
    };
    await context.become(open);
    const socket = udpSocket(context.vm, 'eth0', 6000, host.vms[0]);
    const talk = (word: string) => {
      for (const remote of host.remotes) socket.send(word, remote, REMOTE_PORT);
    };
    talk('before');
    const from = { from: host.vms[0], timeoutMs: SILENCE };
    t.match(await context.ask('vm', remotes.site, from), { server: 'outside' }, `${family}: no site yet`);
    const mapped = `udp:${at(host.external, MAPPED + VM_PORT)}`;
    t.match(await context.ask('outside', mapped, { from: site }), { server: 'vm0' });

    const capture = await Capture.start(context.outside, 'eth0', `dst host ${site} or dst host ${peer}`);
    context.setRules(closed);
    talk('after');
    t.equal(await context.ask('vm', remotes.site, from), null, `${family}: a new session`);
    t.equal(
      await context.ask('outside', mapped, { from: site, timeoutMs: SILENCE }),
      null,
      `${family}: nor from there`,
    );
    t.not((await inside.run(['ping', '-n', '-c', '1', '-W', '0.3', '-I', host.external, site])).code, 0);
    t.match(await context.ask('vm', remotes.peer), { server: 'outside' }, `${family}: to others as ever`);
    udpSocket(context.vm, 'eth0', IKE, host.vms[0]).send('not IKE', site, REMOTE_PORT);
    ikeSocket(host.external, IKE).send('IKE', site, REMOTE_PORT);
    if (family === 'IPv4') {
      const { own, other } = espSockets();
      other.send('in', host.external);
      t.same(own.take(), [{ from: site, text: 'in' }], 'ESP with an address of the site');
      own.send('out', site);
      t.same(other.take(), [{ from: host.external, text: 'out' }]);
    }
    await capture.stop();
    const left = await capture.decode(`${host.ip}.dst == ${site} && !esp`, ['udp.srcport']);
    t.same(left, [[`${IKE}`]], `${family}: nothing left but IKE with an address of the site`);
    t.equal(
      (await capture.decode(`${host.ip}.dst == ${peer} && udp.srcport == 6000`, ['frame.number'])).length,
      1,
    );

    const sessions = async () =>
      (await context.inside(['conntrack', '-L', '-f', family.toLowerCase(), '-d', site, '-s', host.vms[0]]))
        .stdout;
    t.match(await sessions(), site);
    await context.become(closed);
    t.equal(await sessions(), '', `${family}: sessions from before have ended`);
  }
});

t.test('with a tunnel', async (t) => {
  const site = await siteBehindTunnel();
  const plan = natPlan({ externalAddresses: addresses, portMappings, sitePrefixes });
  await context.become(plan);
  for (const [family, host] of families) await t.test(family, (t) => checkTunnel(t, site, family, host));

  await t.test('the ways to sites are no business of the context’s', async (t) => {
    await inside.ipBatch(
      sitePrefixes.map(
        (prefix) => `route add unreachable ${prefix} metric 4278198272 proto ${siteRouteProtocol}`,
      ),
    );
    const routes = async () =>
      [
        await inside.ip('-4', 'route', 'show', 'proto', `${siteRouteProtocol}`),
        await inside.ip('-6', 'route', 'show', 'proto', `${siteRouteProtocol}`),
      ].join('');
    const before = await routes();
    t.equal(before.trim().split('\n').length, 4);
    await context.become(plan);
    t.equal(await routes(), before);
  });

  await t.test('a session whose way is gone does not go on outside', async (t) => {
    const sockets = families.map(([family, { vms }]) => {
      const socket = udpSocket(context.vm, 'eth0', 6001, vms[0]);
      const talk = () => socket.send('hello', siteOf(family).host, REMOTE_PORT);
      talk();
      return talk;
    });
    const capture = await Capture.start(context.outside, 'eth0', 'udp');
    for (const family of ['-4', '-6'])
      await inside.ip(family, 'route', 'flush', 'proto', `${siteRouteProtocol}`);
    const before = context.dropped();
    for (const talk of sockets) talk();
    t.equal(context.dropped() - before, 2);
    for (const [family, host] of families) {
      const heard = udpSocket(context.vm, 'eth0', SILENT_PORT, host.vms[0]);
      for (const from of [siteOf(family).host, host.remotes[0]])
        udpSocket(context.outside, 'eth0', 6003, from).send(
          `from ${from}`,
          host.external,
          MAPPED + SILENT_PORT,
        );
      t.same(heard.take(), [`from ${host.remotes[0]}`], `${family}: nor does the site come in there`);
    }
    await capture.stop();
    const filter = families.map(([family, { ip }]) => `${ip}.dst == ${siteOf(family).host}`).join(' || ');
    t.same(await capture.decode(filter, ['frame.number']), []);
  });
});

/** A stack behind the link of a tunnel, and the routes to it. Outside has its addresses too. */
async function siteBehindTunnel(): Promise<Namespace> {
  const site = await context.lab.namespace('site');
  const [near, far] = ['02:00:00:00:50:01', '02:00:00:00:50:09'];
  await inside.ipBatch([
    `link add ipsec0 mtu 1400 address ${near} type veth peer name eth0 mtu 1400 address ${far} netns ${site.name}`,
    'link set ipsec0 up',
  ]);
  const all = Object.values(SITES);
  const six = (address: string): string => (address.includes(':') ? ' nodad' : '');
  await site.ipBatch([
    'link set eth0 up',
    ...all.map(({ host, length }) => `addr add ${host}/${length} dev eth0${six(host)}`),
    ...all.map(({ far: via }) => `neigh add ${via} lladdr ${near} dev eth0`),
    ...all.map(({ far: via }) => `route add default via ${via} dev eth0 onlink`),
  ]);
  await inside.ipBatch([
    ...families.map(
      ([family, { own }]) =>
        `route add ${siteOf(family).prefix} dev ipsec0 src ${own} proto ${siteRouteProtocol}`,
    ),
    ...all.map(({ host }) => `neigh add ${host} lladdr ${far} dev ipsec0`),
  ]);
  await context.outside.ipBatch([
    ...all.map(({ host }) => `addr add ${host}/${host.includes(':') ? 128 : 32} dev eth0${six(host)}`),
    ...families.map(([, { vms, length }]) => `route add ${vms[1]}/${length} dev eth0`),
    ...families.map(([, { vms }]) => `neigh add ${vms[1]} lladdr ${context.mac} dev eth0`),
  ]);
  await startEcho(
    site,
    'site',
    all.flatMap(({ host }) => [`tcp:${at(host, REMOTE_PORT)}`, `udp:${at(host, REMOTE_PORT)}`]),
  );
  return site;
}

async function checkTunnel(t: Test, site: Namespace, family: string, host: Host): Promise<void> {
  const { host: there } = siteOf(family);
  const capture = await Capture.start(context.outside, 'eth0', 'tcp or udp or icmp or icmp6');
  for (const protocol of ['tcp', 'udp']) {
    const out = await context.ask('vm', `${protocol}:${at(there, REMOTE_PORT)}`);
    t.match(out, { server: 'site', address: host.vms[0] }, `${protocol} to the site, as it is`);
    const [back] = await ask(site, `${protocol}:${at(host.vms[1], VM_PORT)}`, { from: there });
    t.match(back, { server: 'vm1', address: there }, `${protocol} from the site, as it is`);
  }
  const ping = ['ping', '-n', '-c', '1', '-W', '2'];
  t.equal((await inside.run([...ping, '-I', host.own, there])).code, 0, 'the context itself is heard there');
  t.match((await site.run([...ping, '-t', '1', host.vms[0]])).stdout, /exceeded/, 'and tells of its errors');

  const before = context.dropped();
  const stray = `udp:${at(host.vms[1], VM_PORT)}`;
  t.equal(
    await context.ask('outside', stray, { from: there, timeoutMs: SILENCE }),
    null,
    'a site’s source from outside',
  );
  t.equal(context.dropped(), before, 'is not even routed');
  await capture.stop();
  t.same(
    await capture.decode(`${host.ip}.src == ${host.external}`, ['frame.number']),
    [],
    'nothing went outside',
  );

  const [world] = await ask(site, `udp:${at(host.remotes[0], REMOTE_PORT)}`, { from: there });
  t.match(
    world,
    { server: 'outside', address: host.external },
    'the site reaches the world by the tenant’s NAT',
  );
  const through = udpSocket(context.outside, 'eth0', 6002, host.remotes[0]);
  await context.outside.ipBatch([
    `addr del ${there}/${host.length} dev eth0`,
    `route add ${there}/${host.length} dev eth0`,
    `neigh add ${there} lladdr ${context.mac} dev eth0`,
  ]);
  const heard = udpSocket(site, 'eth0', 6004, there);
  through.send('hello', there, 6004);
  t.same(heard.take(), [], 'what comes from outside does not get into the tunnel');
  t.equal(context.dropped() - before, 1);
  await context.outside.ipBatch([
    `route del ${there}/${host.length} dev eth0`,
    `addr add ${there}/${host.length} dev eth0${family === 'IPv6' ? ' nodad' : ''}`,
  ]);
}

t.test('a ruleset with peers and sites changes by elements', async (t) => {
  const rules = async () => {
    const { stdout } = await context.inside(['nft', '-a', '-s', 'list', 'table', 'inet', 'hnvgw']);
    return stdout.replace(/elements = \{[^}]*\}/g, '');
  };
  context.setRules(natPlan({ externalAddresses: addresses, peers: peersOf(firstRemote), sitePrefixes }));
  const before = await rules();
  context.setRules(
    natPlan({
      externalAddresses: addresses,
      peers: peersOf(() => undefined),
      sitePrefixes: ['10.50.0.0/16', 'fd00:51::/64'],
    }),
  );
  t.equal(await rules(), before);
});
