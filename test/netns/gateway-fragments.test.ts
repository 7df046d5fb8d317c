/**
 * Fragments to shared addresses, from the kernel's own stack and from hands that send them in any order: each packet comes
 * whole to the domain that has its port. Contexts are namespaces with the shared addresses and sockets on them.
 */
import '../lab/own-namespace.ts';

import t from 'tap';
import { EncapCore } from '../../src/encap/core.ts';
import { domainEntries } from '../../src/encap/entries.ts';
import { encodeInterfaceKey, encodeUplink } from '../../src/encap/layout.generated.ts';
import { readStats } from '../../src/encap/stats.ts';
import { DomainTables } from '../../src/encap/tables.ts';
import { FragmentSorter } from '../../src/gateway/fragment-sorter.ts';
import { sorterNames } from '../../src/gateway/names.ts';
import { ip, ipBatch } from '../../src/linux/iproute2.ts';
import { ifindexOf } from '../../src/linux/links.ts';
import { inNetns, netnsExists } from '../../src/linux/netns.ts';
import { nftScript } from '../../src/linux/nftables.ts';
import { writeSysctl } from '../../src/linux/sysctl.ts';
import { macBytes } from '../../src/policy/address.ts';
import { fragmentPacket } from '../bpf/packet-fixtures/external.ts';
import { ipFrame, udpBetween } from '../bpf/packets.ts';
import { type DomainName, domains, plans, SHARED, SHARED6 } from '../bpf/two-domains.ts';
import { Lab } from '../lab/lab.ts';
import type { Namespace } from '../lab/namespace.ts';
import { PacketSocket } from '../lab/packet-socket.ts';
import { UdpSocket } from '../lab/udp-socket.ts';
import { until } from '../lab/until.ts';

const INSTANCE = 'fs';
const MAC = { uplink: '02:f5:00:00:00:01', contoso: '02:f5:00:00:00:02', fabrikam: '02:f5:00:00:00:03' };
const SENDER = { 4: '203.0.113.1', 6: '2001:db8:f::1' } as const;
const TARGET = { 4: SHARED, 6: SHARED6 } as const;
const FAMILIES = [4, 6] as const;
type Family = (typeof FAMILIES)[number];
const CAPACITY = {
  ...{ routingDomains: 8, lookupRecords: 256, customerRoutes: 64 },
  ...{ externalAddresses: 64, siteConnections: 8, ports: 64, fastFlows: 1 },
};
const { netns, port: sorterPort } = sorterNames(INSTANCE);
const NOBODYS = 5000;

const lab = await Lab.create('fragments');
t.teardown(() => lab.close());
const core = EncapCore.open(INSTANCE, CAPACITY, { fast: false });
t.teardown(() => {
  core.unpin();
  core.close();
});

const sender = await lab.namespace('sender');
const contexts: Record<DomainName, Namespace> = {
  contoso: await lab.namespace('contoso'),
  fabrikam: await lab.namespace('fabrikam'),
};
await ipBatch([
  ['link', 'set', 'lo', 'up'],
  [
    'link',
    'add',
    'wan0',
    'address',
    MAC.uplink,
    'up',
    'type',
    'veth',
    'peer',
    'name',
    'wan0',
    'netns',
    sender.name,
  ],
  ...(['contoso', 'fabrikam'] as const).map((name) => [
    ...['link', 'add', name, 'mtu', '65535', 'up', 'type', 'veth'],
    ...['peer', 'name', 'ext', 'address', MAC[name], 'netns', contexts[name].name],
  ]),
]);
await sender.ipBatch([
  'link set wan0 up',
  `address add ${SENDER[4]}/24 dev wan0`,
  `address add ${SENDER[6]}/64 dev wan0 nodad`,
]);
for (const context of Object.values(contexts))
  await context.ipBatch([
    'link set ext up',
    `address add ${SHARED}/32 dev ext`,
    `address add ${SHARED6}/128 dev ext nodad`,
    'route add default dev ext',
    'route add ::/0 dev ext',
  ]);

const index = (name: string): number => ifindexOf(name) ?? 0;
const tables = new DomainTables((name) => core.map(name));
for (const plan of plans()) {
  const name = plan.handle === domains.contoso.handle ? 'contoso' : 'fabrikam';
  const context = {
    ...{ tenantIfindex: 1000 + plan.handle, externalIfindex: index(name), externalMac: MAC[name] },
    ...{ tunnel: { ifindex: 1, mtu: 1500, mac: MAC.uplink }, uplinkIfindex: index('wan0'), mtu: 1458 },
  };
  tables.apply(plan.handle, domainEntries(plan, { context, ports: new Map() }));
}
core
  .map('uplinks')
  .update(
    encodeInterfaceKey({ ifindex: index('wan0') }),
    encodeUplink({ mac: macBytes(MAC.uplink), pad: new Uint8Array(2) }),
  );
core.attach('uplink', index('wan0'));
const sorter = new FragmentSorter(INSTANCE, core);
t.teardown(() => sorter.set('contoso', false));

const portOf = (name: DomainName): number => domains[name].block[1];
const receivers = new Map(
  FAMILIES.flatMap((family) =>
    (['contoso', 'fabrikam'] as const).map((name): [string, UdpSocket] => [
      `${name}${family}`,
      new UdpSocket(contexts[name], 'ext', family, portOf(name)),
    ]),
  ),
);
const strays = Object.values(contexts).flatMap((context) => [
  new UdpSocket(context, 'ext', 4, NOBODYS),
  new UdpSocket(context, 'ext', 6, NOBODYS),
]);
const receiver = (name: DomainName, family: Family): UdpSocket => {
  const found = receivers.get(`${name}${family}`);
  if (found === undefined) throw new Error(`nobody listens in ${name}`);
  return found;
};
const raw = new PacketSocket(sender, 'wan0');

/** Text of that many bytes, in which no part is like another. */
function textOf(name: string, length: number): string {
  let text = '';
  for (let part = 0; text.length < length; part++) text += `${name} ${part}; `;
  return text.slice(0, length);
}

/** Frames with the fragments of a datagram, in order. */
function fragmentsOf(family: Family, port: number, text: string, { size = 1024, id = 1 } = {}): Buffer[] {
  const [source, destination] = [SENDER[family], TARGET[family]];
  const datagram = udpBetween(source, destination, Buffer.from(text), [53, port]);
  return Array.from({ length: Math.ceil(datagram.length / size) }, (_, i) => {
    const data = datagram.subarray(i * size, (i + 1) * size);
    const more = (i + 1) * size < datagram.length;
    return ipFrame(
      MAC.uplink,
      '02:ee:00:00:00:01',
      fragmentPacket(source, destination, { offset: i * size, more, data, id }),
    );
  });
}

/** What arrives at the domain, once it is something. */
const arrival = (name: DomainName, family: Family): Promise<string[]> =>
  until(`a datagram for ${name}`, 5000, () => {
    const found = receiver(name, family).take();
    return found.length > 0 && found;
  });
const drops = (reason: string): number => readStats((name) => core.map(name), 0).drops[reason] ?? 0;
/** Each fragment is dropped under that reason. */
async function dropped(
  t: Pick<typeof import('tap').t, 'same'>,
  reason: string,
  frames: readonly Buffer[],
): Promise<void> {
  const before = drops(reason);
  for (const frame of frames) raw.send(frame);
  await until(`${frames.length} times ${reason}`, 5000, () => drops(reason) - before === frames.length);
  t.same(
    [...receivers.values(), ...strays].flatMap((socket) => socket.take()),
    [],
    'and nobody gets any',
  );
}

await sorter.set('contoso', true);

t.test('what a kernel sends in fragments arrives whole, at the domain that has the port', async (t) => {
  for (const family of FAMILIES) {
    const socket = new UdpSocket(sender, 'wan0', family, 53);
    for (const length of [1600, 8000, 65_400])
      for (const name of ['contoso', 'fabrikam'] as const) {
        const text = textOf(`${name}${family}`, length);
        socket.send(text, TARGET[family], portOf(name));
        t.same(await arrival(name, family), [text], `${length} bytes over IPv${family} to ${name}`);
      }
  }
});

t.test('in any order, and mixed with those of the other domain', async (t) => {
  const orders: [string, (frames: Buffer[], others: Buffer[]) => Buffer[]][] = [
    ['reversed', (frames, others) => [...frames.toReversed(), ...others.toReversed()]],
    [
      'one by one in turns, reversed',
      (frames, others) => frames.toReversed().flatMap((frame, i) => [frame, others.toReversed()[i] ?? frame]),
    ],
    [
      'the first in the middle',
      (frames, others) => [
        ...frames.slice(1, 3),
        ...others.slice(2),
        ...frames.slice(0, 1),
        ...others.slice(0, 2),
        ...frames.slice(3),
      ],
    ],
    [
      'each twice',
      (frames, others) => [
        ...frames.slice(1),
        ...frames.slice(1),
        ...others.toReversed(),
        ...frames.slice(0, 1),
      ],
    ],
  ];
  let id = 100;
  for (const family of FAMILIES)
    for (const [what, order] of orders)
      for (const size of [64, 512, 1400]) {
        const texts = {
          contoso: textOf(`contoso ${what}`, 4 * size + 9),
          fabrikam: textOf(`fabrikam ${what}`, 4 * size + 9),
        };
        const [ours, theirs] = [id++, id++];
        const frames = fragmentsOf(family, portOf('contoso'), texts.contoso, { size, id: ours });
        const others = fragmentsOf(family, portOf('fabrikam'), texts.fabrikam, { size, id: theirs });
        for (const frame of order(frames, others)) raw.send(frame);
        for (const name of ['contoso', 'fabrikam'] as const)
          t.same(await arrival(name, family), [texts[name]], `IPv${family}, ${what}, ${size} bytes: ${name}`);
      }
});

t.test('the context sees fragments of the same sizes and time to live, the first one first', async (t) => {
  for (const family of FAMILIES) {
    const ear = new PacketSocket(contexts.contoso, 'ext');
    const frames = fragmentsOf(family, portOf('contoso'), textOf('seen', 3000), {
      size: 512,
      id: 40 + family,
    });
    for (const frame of frames.toReversed()) raw.send(frame);
    await arrival('contoso', family);
    const seen = ear.take().filter((frame) => frame.readUInt16BE(12) === (family === 4 ? 0x0800 : 0x86dd));
    const shape = (frame: Buffer): object => ({
      length: frame.length,
      ttl: frame[family === 4 ? 22 : 21],
      offset: family === 4 ? frame.readUInt16BE(20) : frame.readUInt16BE(56),
    });
    t.same(seen.map(shape), frames.map(shape));
  }
});

t.test('fragments of nobody’s packet, and such without a first one, reach nobody', async (t) => {
  for (const family of FAMILIES) {
    const frames = fragmentsOf(family, NOBODYS, textOf('nobody', 900), { size: 512, id: 60 + family });
    const later = drops('external-fragment');
    const first = drops('external-port');
    for (const frame of frames.toReversed()) raw.send(frame);
    await until(
      'both are dropped',
      5000,
      () => drops('external-fragment') === later + 1 && drops('external-port') === first + 1,
    );
    t.same(
      [...receivers.values(), ...strays].flatMap((socket) => socket.take()),
      [],
    );
  }
  // The sorter waits for the first, or for what is between: nothing comes out.
  for (const family of FAMILIES) {
    const [, ...rest] = fragmentsOf(family, portOf('contoso'), textOf('headless', 3000), { id: 70 + family });
    for (const frame of rest) raw.send(frame);
    const marker = textOf('marker', 3000);
    for (const frame of fragmentsOf(family, portOf('contoso'), marker, { id: 80 + family })) raw.send(frame);
    t.same(await arrival('contoso', family), [marker], `IPv${family}: only the packet that is whole`);
  }
});

/** What somebody may do to it, and what is said of that. */
const damages: [string, () => unknown, RegExp][] = [
  ['rules gone', () => inNetns(netns, () => nftScript('flush ruleset')), /the rules were changed/],
  ['no forwarding', () => inNetns(netns, () => writeSysctl('net/ipv4/ip_forward', '0')), /ip_forward was 0/],
  ['no route', () => ip(['-6', 'route', 'del', 'default'], { netns }), /the route ::\/0 .* was missing/],
  [
    'a neighbour gone',
    () => ip(['neigh', 'flush', 'all', 'nud', 'permanent'], { netns }),
    /the neighbour .* was missing/,
  ],
  ['link down inside', () => ip(['link', 'set', 'ext', 'down'], { netns }), /the link ext was down/],
  [
    'link down outside',
    () => ip(['link', 'set', sorterPort, 'down']),
    new RegExp(`the link ${sorterPort} was down`),
  ],
  ['small', () => ip(['link', 'set', sorterPort, 'mtu', '1500']), /had the MTU 1500/],
  ['no program', () => core.detachPort(index(sorterPort)), /the program of .* was missing/],
  [
    'another entry',
    () => core.map('sorter').update(new Uint8Array(4), new Uint8Array(4)),
    /the map sorter had another entry/,
  ],
  ['no namespace', () => ip(['netns', 'del', netns]), /was missing/],
];

t.test('what is changed by hand is found and mended', async (t) => {
  t.same(sorter.inspect(), []);
  let id = 900;
  for (const [what, damage, said] of damages) {
    await damage();
    t.match(sorter.inspect().join('\n'), said, what);
    await sorter.restore();
    t.same(sorter.inspect(), [], `${what}: mended`);
    for (const family of FAMILIES) {
      const text = textOf(what, 3000);
      for (const frame of fragmentsOf(family, portOf('fabrikam'), text, { id: id++ }).toReversed())
        raw.send(frame);
      t.same(await arrival('fabrikam', family), [text], `${what}: IPv${family} works again`);
    }
  }
});

t.test('it is there as long as somebody shares an address, and another process adopts it', async (t) => {
  await sorter.set('fabrikam', true);
  await sorter.set('contoso', false);
  t.ok(netnsExists(netns), 'Fabrikam still has a block');
  const before = index(sorterPort);
  const next = new FragmentSorter(INSTANCE, core);
  await next.keepOnly(new Set(['fabrikam']));
  await next.set('contoso', false);
  t.ok(netnsExists(netns), 'nothing ends before all have been heard');
  await next.set('fabrikam', true);
  t.equal(index(sorterPort), before, 'the same link');
  t.same(next.inspect(), []);
  await next.set('fabrikam', false);
  t.notOk(netnsExists(netns));
  t.equal(index(sorterPort), 0);
  core.map('sorter').update(new Uint8Array(4), Uint8Array.of(1, 0, 0, 0));
  t.match(next.inspect(), ['the map sorter had another entry']);
  await next.restore();
  t.same(next.inspect(), []);
  await dropped(t, 'external-fragment', fragmentsOf(4, portOf('contoso'), textOf('late', 3000)));
  await next.set('contoso', true);
  await new FragmentSorter(INSTANCE, core).keepOnly(new Set());
  t.notOk(netnsExists(netns), 'what an earlier process left ends when nobody needs it');
});
