// What the data plane tells of addresses at ports that learn: each piece of evidence once, and nothing that policy knows.
import t from 'tap';
import { type Evidence, type LearnedAddress, LearnedAddresses } from '../../src/encap/learned-addresses.ts';
import { routerMac } from '../../src/policy/router.ts';
import { until } from '../lab/until.ts';
import { DataPlane, type Link } from './data-plane.ts';
import { datagram, fromHost } from './packet-fixtures/fixture.ts';
import {
  arp,
  BROADCAST,
  dhcpReply,
  ETHERTYPE,
  ethernet,
  ipFrame,
  NO_MAC,
  neighbour,
  PROTOCOL,
  udpBetween,
} from './packets.ts';
import { contoso, SECOND_LEARNED_MAC, VM_MAC, VM_PORTS } from './two-domains.ts';

const { Learn, Web } = VM_PORTS;
const dataPlane = DataPlane.open(t);
const events: LearnedAddress[] = [];
const learned = new LearnedAddresses(dataPlane.map('learned'), dataPlane.map('sightings'), (more) => {
  events.push(...more);
});
t.teardown(() => learned.close());

interface Case {
  what: string;
  frame: Buffer;
  on?: Link;
  place?: 'port' | 'provider';
  expected?: { evidence: Evidence; address: string; mac: string; ifindex?: number };
}

function asked(sender: string, target: string, senderMac: string = Learn.mac, operation = 1): Buffer {
  const message = { operation, senderMac, sender, targetMac: NO_MAC, target };
  return ethernet(BROADCAST, senderMac, ETHERTYPE.arp, arp(message));
}
const solicited = (source: string, mac: string = Learn.mac, target = 'fd00:1::4'): Buffer =>
  ipFrame('33:33:ff:00:00:04', mac, neighbour(135, { source, destination: 'ff02::1:ff00:4', target }));
const advertised = (source: string, target: string): Buffer =>
  ipFrame(
    '33:33:00:00:00:01',
    Learn.mac,
    neighbour(136, { source, destination: 'ff02::1', target, mac: Learn.mac }),
  );
function dhcp(
  to: string,
  destination: string,
  type: number,
  ports: readonly [number, number] = [67, 68],
): Buffer {
  const data = dhcpReply(type, '10.1.1.240', Learn.mac);
  const payload = udpBetween('10.1.1.20', destination, data, ports);
  return ipFrame(to, Web.mac, datagram('10.1.1.20', destination, { protocol: PROTOCOL.udp, payload }));
}
const bound = { evidence: 'dhcp', address: '10.1.1.240', mac: Learn.mac, ifindex: 0 } as const;
const remoteAck = ipFrame(
  Learn.mac,
  VM_MAC,
  datagram('10.1.1.4', '10.1.1.240', {
    payload: udpBetween('10.1.1.4', '10.1.1.240', dhcpReply(5, '10.1.1.240', Learn.mac), [67, 68]),
  }),
);

const cases: Case[] = [
  {
    what: 'ARP from a new address',
    frame: asked('10.1.1.210', '10.1.1.4'),
    expected: { evidence: 'arp', address: '10.1.1.210', mac: Learn.mac },
  },
  {
    what: 'ARP that announces a new address',
    frame: asked('10.1.1.211', '10.1.1.211'),
    expected: { evidence: 'arp', address: '10.1.1.211', mac: Learn.mac },
  },
  {
    what: 'an ARP answer',
    frame: asked('10.1.1.212', '10.1.1.4', Learn.mac, 2),
    expected: { evidence: 'arp', address: '10.1.1.212', mac: Learn.mac },
  },
  {
    what: 'a learned address with another MAC',
    frame: asked('10.1.1.31', '10.1.1.31', SECOND_LEARNED_MAC),
    expected: { evidence: 'arp', address: '10.1.1.31', mac: SECOND_LEARNED_MAC },
  },
  {
    what: 'an address that was learned elsewhere',
    frame: asked('10.1.1.77', '10.1.1.77'),
    expected: { evidence: 'arp', address: '10.1.1.77', mac: Learn.mac },
  },
  { what: 'an ARP probe', frame: asked('0.0.0.0', '10.1.1.213') },
  { what: 'what is known already', frame: asked('10.1.1.31', '10.1.1.4') },
  { what: 'an address of policy', frame: asked('10.1.1.20', '10.1.1.20') },
  { what: 'the router’s address', frame: asked('10.1.1.1', '10.1.1.1') },
  { what: 'a group’s address', frame: asked('224.0.0.5', '10.1.1.4') },
  { what: 'a port that does not learn', frame: asked('10.1.1.214', '10.1.1.214', Web.mac), on: 'contosoWeb' },
  {
    what: 'a solicitation from a new address',
    frame: solicited('fd00:1::210'),
    expected: { evidence: 'nd', address: 'fd00:1::210', mac: Learn.mac },
  },
  {
    what: 'an advertisement of a new address',
    frame: advertised('fd00:1::211', 'fd00:1::211'),
    expected: { evidence: 'nd', address: 'fd00:1::211', mac: Learn.mac },
  },
  { what: 'duplicate address detection', frame: solicited('::', Learn.mac, 'fd00:1::212') },
  { what: 'an address of the link only', frame: advertised('fe80::1', 'fe80::1') },
  { what: 'an advertisement of the router’s address', frame: advertised('fe80::1', 'fd00:1::1') },
  { what: 'a known address by ND', frame: solicited('fd00:1::31') },
  {
    what: 'a DHCP ack to the port that learns',
    frame: dhcp(Learn.mac, '10.1.1.240', 5),
    on: 'contosoWeb',
    expected: bound,
  },
  {
    what: 'a DHCP ack to all',
    frame: dhcp(BROADCAST, '255.255.255.255', 5),
    on: 'contosoWeb',
    expected: bound,
  },
  {
    what: 'a DHCP ack from another host',
    frame: fromHost({ inner: remoteAck }),
    place: 'provider',
    on: 'provider',
    expected: bound,
  },
  { what: 'a DHCP offer', frame: dhcp(Learn.mac, '10.1.1.240', 2), on: 'contosoWeb' },
  {
    what: 'what is not from a DHCP server',
    frame: dhcp(Learn.mac, '10.1.1.240', 5, [1067, 68]),
    on: 'contosoWeb',
  },
  {
    what: 'a DHCP ack to a port that does not learn',
    frame: dhcp(VM_PORTS.Db.mac, '10.1.1.21', 5),
    on: 'contosoWeb',
  },
  {
    what: 'a DHCP ack by the router',
    frame: dhcp(routerMac, '10.1.2.20', 5),
    on: 'contosoWeb',
  },
];

t.test('each piece of evidence is told once, with where it was seen; anything else is not', async (t) => {
  const expected = cases.flatMap(({ expected: event, on = 'contosoLearn' }) =>
    event === undefined
      ? []
      : [{ domain: contoso.handle, vsid: contoso.vsids.first, ifindex: dataPlane.ifindex(on), ...event }],
  );
  for (const { place = 'port', on = 'contosoLearn', frame } of cases) dataPlane.run(place, frame, { on });
  // Events come in order: with this one, all of them are here.
  const last = '10.1.1.250';
  dataPlane.run('port', asked(last, '10.1.1.4'), { on: 'contosoLearn' });
  await until('the last event', 10_000, () => events.some(({ address }) => address === last));
  t.same(events.slice(0, -1), expected);
});

t.test('an address that is known stays in sight while it is used, and only there', async (t) => {
  const { handle } = contoso;
  const seen = learned.lastSeen(handle, '10.1.1.31');
  t.ok(seen !== undefined, 'by its ARP');
  t.equal(learned.lastSeen(handle, '10.1.1.20'), undefined, 'an address of policy');
  t.equal(learned.lastSeen(2, '10.1.1.31'), undefined, 'in the other domain');
  t.equal(learned.lastSeen(handle, '10.1.1.32'), undefined, 'not yet');
  const packet = ipFrame(VM_MAC, SECOND_LEARNED_MAC, datagram('10.1.1.32', '10.1.1.4'));
  t.equal(dataPlane.run('port', packet, { on: 'contosoLearn' }).verdict, 'redirect');
  t.ok(learned.lastSeen(handle, '10.1.1.32') !== undefined, 'by a packet');
});
