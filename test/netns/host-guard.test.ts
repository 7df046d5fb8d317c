/** A VM's port lets only the VM's own MAC and addresses in: what lies about its source reaches neither wire nor neighbour. */
import ipaddr from 'ipaddr.js';
import t, { type Test } from 'tap';
import { Capture } from '../lab/capture.ts';
import { extraMachine } from '../lab/extra-machine.ts';
import { ROUTER_MAC } from '../lab/hnv-flows.ts';
import { portPath, portResource } from '../lab/host-node.ts';
import { Lab } from '../lab/lab.ts';
import { PROVIDER_NIC } from '../lab/node-process.ts';
import { udp } from '../lab/nvgre-frame.ts';
import { RawLink } from '../lab/raw-link.ts';
import { putReady, ThreeHosts } from '../lab/three-hosts.ts';
import { VM_NIC } from '../lab/vm.ts';
import { THREE_SUBNETS } from '../lab/vm-network.ts';

/** UDP port by which the frames of this test are found. */
const MARK = 4321;
const BROADCAST_MAC = 'ff:ff:ff:ff:ff:ff';

t.test('the source guard of ports', { timeout: 120_000 }, async (t) => {
  const lab = await Lab.create(`hg${process.pid}`);
  t.teardown(() => lab.close());
  const local = extraMachine(THREE_SUBNETS, 1, 41, 1, 4);
  const network = { ...THREE_SUBNETS, subnets: THREE_SUBNETS.subnets.slice(0, 2), records: local.records };
  const hosts = await ThreeHosts.build(lab, { networks: [network] });
  const [node] = hosts.nodes;
  const neighbour = await node.addVm(local.spec);
  await hosts.start();
  const one = hosts.vm(1, 1);
  const peer = hosts.vm(1, 2);
  const raw = await RawLink.open(one.namespace, VM_NIC);
  const own = one.spec.mac;

  const dropped = async (reason: string): Promise<number> => {
    const counters = await node.api.get(`/v1/routing-domains/${network.rdid}/counters`);
    return (counters as { drops: Record<string, number> }).drops[reason] ?? 0;
  };

  /** Frames of the mark that came to wire and neighbours while `work` went on. */
  const arrivals = async (work: () => Promise<unknown>): Promise<Record<string, number>> => {
    const places = [
      ['wire', node.namespace, PROVIDER_NIC, 'ip proto 47'],
      ['neighbour', neighbour.namespace, VM_NIC, `udp port ${MARK}`],
      ['peer', peer.namespace, VM_NIC, `udp port ${MARK}`],
    ] as const;
    const captures = await Promise.all(places.map(([, at, nic, filter]) => Capture.start(at, nic, filter)));
    await work();
    const found: Record<string, number> = {};
    for (const [index, [name]] of places.entries()) {
      await captures[index]?.stop();
      found[name] =
        (await captures[index]?.decode(`udp.port == ${MARK} && !icmp && !icmpv6`, ['frame.number']))
          ?.length ?? 0;
    }
    return found;
  };

  const datagram4 = (source: string, to: { ip: string; spec: { mac: string } }, mac = own) =>
    frame(to.spec.mac, mac, 0x0800, udp(source, to.ip, MARK, MARK, 'x'));
  const datagram6 = (source: string, to: { ip6: string; spec: { mac: string } }, mac = own) =>
    frame(to.spec.mac, mac, 0x86dd, udp6(source, to.ip6));

  await t.test('what is true passes', async (t) => {
    const found = await arrivals(async () => {
      for (const to of [neighbour, peer]) {
        await raw.send(datagram4(one.ip, to));
        await raw.send(datagram6(one.ip6, to));
      }
    });
    t.same(found, { wire: 2, neighbour: 2, peer: 2 });
  });

  /** Sends all of it, to a VM of this host and to one of another, and expects none to arrive. */
  const refused = async (t: Test, reason: string, frames: Buffer[]) => {
    const before = await dropped(reason);
    const found = await arrivals(async () => {
      for (const each of frames) await raw.send(each);
    });
    t.same(found, { wire: 0, neighbour: 0, peer: 0 });
    t.equal((await dropped(reason)) - before, frames.length, `drops under ${reason}`);
  };

  await t.test('a MAC that is not the VM’s is dropped', async (t) => {
    const macs = [peer.spec.mac, neighbour.spec.mac, ROUTER_MAC, '02:00:00:00:00:99', '03:00:00:00:00:01'];
    const frames = macs.flatMap((mac) =>
      [neighbour, peer].flatMap((to) => [datagram4(one.ip, to, mac), datagram6(one.ip6, to, mac)]),
    );
    await refused(t, 'port-source-mac', frames);
  });

  await t.test('an address that is not the VM’s is dropped', async (t) => {
    const { gateway, gateway6 = '' } = one.spec;
    const foreign = hosts.vm(2, 2);
    const sources4 = [
      peer.ip,
      neighbour.ip,
      foreign.ip,
      gateway,
      foreign.spec.gateway,
      '10.1.1.99',
      '203.0.113.9',
    ];
    const others4 = ['127.0.0.1', '224.0.0.1', '255.255.255.255', '0.0.0.0'];
    const sources6 = [
      peer.ip6,
      neighbour.ip6,
      foreign.ip6,
      gateway6,
      'fd00:1:1::99',
      '2001:db8::9',
      'ff02::1',
      '::',
    ];
    const frames = [neighbour, peer].flatMap((to) => [
      ...[...sources4, ...others4].map((source) => datagram4(source, to)),
      ...sources6.map((source) => datagram6(source, to)),
    ]);
    await refused(t, 'port-source-address', frames);
  });

  await t.test('who has no address yet may ask all for one', async (t) => {
    const before = await dropped('port-source-address');
    const found = await arrivals(() =>
      // As a DHCP client does, but with the mark as its port.
      raw.send(frame(BROADCAST_MAC, own, 0x0800, udp('0.0.0.0', '255.255.255.255', MARK, 67, 'discover'))),
    );
    t.same(
      found,
      { wire: 2, neighbour: 1, peer: 1 },
      'one copy for each other host, and one for the VM here',
    );
    t.equal(await dropped('port-source-address'), before);
  });

  await t.test('a port that learns lets addresses in that nobody else has', async (t) => {
    const learns = { ...portResource(one), customerAddresses: [], learn: true };
    for (const address of one.addresses)
      await node.api.delete(`/v1/routing-domains/${network.rdid}/lookup-records/${address}?wait=10s`);
    await putReady(node.api, portPath(one), learns);
    const found = await arrivals(async () => {
      await raw.send(datagram4('10.1.1.77', neighbour));
      await raw.send(datagram6('fd00:1:1::77', neighbour));
    });
    t.match(found, { neighbour: 2 });
    await refused(t, 'port-source-address', [
      datagram4(peer.ip, neighbour),
      datagram4(one.spec.gateway, neighbour),
      datagram6(peer.ip6, neighbour),
      datagram6(one.spec.gateway6 ?? '', neighbour),
    ]);
  });
});

const bytesOf = (mac: string): Buffer => Buffer.from(mac.replaceAll(':', ''), 'hex');

function frame(destination: string, source: string, etherType: number, packet: Buffer): Buffer {
  const type = Buffer.from([etherType >> 8, etherType & 0xff]);
  return Buffer.concat([bytesOf(destination), bytesOf(source), type, packet]);
}

/** A UDP datagram over IPv6 between the ports of the mark; nobody looks at its checksum. */
function udp6(source: string, destination: string): Buffer {
  const message = Buffer.alloc(9);
  message.writeUInt16BE(MARK, 0);
  message.writeUInt16BE(MARK, 2);
  message.writeUInt16BE(message.length, 4);
  message.writeUInt16BE(0x1234, 6);
  const head = Buffer.from([0x60, 0, 0, 0, 0, message.length, 17, 64]);
  return Buffer.concat([head, address6(source), address6(destination), message]);
}

function address6(text: string): Buffer {
  return Buffer.from(ipaddr.parse(text).toByteArray());
}
