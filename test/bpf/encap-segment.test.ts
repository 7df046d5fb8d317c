// Networks without NAT, with the programs attached: which context, or which VLAN of the NIC, really gets a frame.
import t from 'tap';
import { domainEntries } from '../../src/encap/entries.ts';
import { inNetns } from '../../src/linux/netns.ts';
import { attachTc } from '../../src/linux/tc.ts';
import type { ForwardingPlan } from '../../src/policy/plan.ts';
import { DataPlane, type Link } from './data-plane.ts';
import { FarEnd } from './far-end.ts';
import { laterFragment, ROUTER } from './packet-fixtures/external.ts';
import { datagram } from './packet-fixtures/fixture.ts';
import {
  arp,
  BROADCAST,
  ETHERTYPE,
  ethernet,
  icmpv6,
  ipFrame,
  ipv6,
  NO_MAC,
  neighbour,
  PROTOCOL,
} from './packets.ts';
import { PreparedRuns } from './prepared-run.ts';
import { contoso, type Domain, fabrikam, taggedForwardingOf, VLANS } from './two-domains.ts';

type Test = Parameters<typeof DataPlane.open>[0];
/** A frame on its way in: on the link, with that tag. */
type Arrival = readonly [on: Link, frame: Buffer, vlan?: number];
/** Where it comes out: at the far end of the link, with that tag. */
type Departure = readonly [at: Link, frame: Buffer, vlan?: number];

const OUTSIDE = '198.51.100.7';
const OUTSIDE6 = '2001:db8::7';
const { mac: ours } = contoso.station;
const { mac: theirs } = fabrikam.station;
const [own, own6] = contoso.station.addresses;
const [other, other6] = fabrikam.station.addresses;

function setUp(t: Test, inVlans = false) {
  const dataPlane = DataPlane.open(t, inVlans);
  const farEnd = new FarEnd(t, dataPlane, []);
  const inject = new PreparedRuns(t, dataPlane).programBefore(farEnd.injector);
  inNetns(dataPlane.namespace, () => {
    attachTc(dataPlane.ifindex('uplink'), 'ingress', dataPlane.object.program('hnv_uplink'));
    for (const link of ['contosoFwd', 'fabrikamFwd'] as const)
      attachTc(dataPlane.ifindex(link), 'ingress', dataPlane.object.program('hnv_segment'));
  });
  /** What comes of the frames, in their order. */
  const send = (arrivals: readonly Arrival[], count: number): Departure[] => {
    for (const [on, frame, vlan = 0] of arrivals)
      dataPlane.returnOf(inject, frame, [0, 0, vlan, dataPlane.ifindex(on)]);
    return farEnd.take(count).map(({ link, frame, vlan }) => [link, frame, vlan]);
  };
  const join = ({ handle }: Domain, forwarding: ForwardingPlan | undefined): void => {
    const plan = dataPlane.plans.find((one) => one.handle === handle);
    if (plan === undefined) throw new Error(`no domain ${handle}`);
    const { forwarding: _, ...rest } = plan;
    const changed = { ...rest, ...(forwarding && { forwarding }) };
    dataPlane.tables.apply(handle, domainEntries(changed, dataPlane.attachments(handle)));
  };
  return { dataPlane, send, join };
}

const arpFrom = (mac: string, sender: string, target: string, to = BROADCAST): Buffer =>
  ethernet(to, mac, ETHERTYPE.arp, arp({ operation: 1, senderMac: mac, sender, targetMac: NO_MAC, target }));
const solicitation = (mac: string, source: string, target: string): Buffer =>
  ipFrame('33:33:ff:00:00:51', mac, neighbour(135, { source, destination: 'ff02::1:ff00:51', target, mac }));
const advertToAll = (mac: string, target: string): Buffer =>
  ipFrame('33:33:00:00:00:01', mac, neighbour(136, { source: target, destination: 'ff02::1', target, mac }));
const query = ipFrame(
  '33:33:00:00:00:01',
  ROUTER,
  ipv6({
    ...{ source: 'fe80::1', destination: 'ff02::1', hopLimit: 1, protocol: 0 },
    payload: Buffer.concat([
      Buffer.of(PROTOCOL.icmpv6, 0, 5, 2, 0, 0, 1, 0),
      icmpv6('fe80::1', 'ff02::1', [130, 0, 0], Buffer.alloc(20)),
    ]),
  }),
);

t.test('of VLANs with the same addresses each leads to its own context alone, without the tag', async (t) => {
  const node = setUp(t, true);
  for (const [vlan, link, mac] of [
    [VLANS.contoso, 'contosoFwd', ours],
    [VLANS.fabrikam, 'fabrikamFwd', theirs],
  ] as const) {
    const frames = [
      ipFrame(mac, ROUTER, datagram(OUTSIDE, '10.1.1.4')),
      ipFrame(mac, ROUTER, datagram(OUTSIDE6, 'fd00:1::4')),
      ipFrame(mac, ROUTER, datagram(OUTSIDE, own)),
      ipFrame(mac, ROUTER, laterFragment(OUTSIDE, '10.1.1.4')),
      arpFrom(ROUTER, '203.0.113.1', own),
      arpFrom(ROUTER, '203.0.113.1', '203.0.113.1'),
      arpFrom(ROUTER, '203.0.113.1', own, mac),
      solicitation(ROUTER, 'fe80::1', own6),
      advertToAll(ROUTER, 'fe80::1'),
      query,
    ];
    t.same(
      node.send(
        frames.map((frame) => ['uplink', frame, vlan]),
        frames.length,
      ),
      frames.map((frame) => [link, frame, 0]),
      link,
    );
  }
  const sentinel = ipFrame(ours, ROUTER, datagram(OUTSIDE, own));
  const before = node.dataPlane.stats(contoso.handle);
  const nowhere: Arrival[] = [
    ['uplink', ipFrame(theirs, ROUTER, datagram(OUTSIDE, own)), VLANS.contoso],
    ['uplink', sentinel],
    ['uplink', sentinel, 31],
    ['uplink', arpFrom(ROUTER, '203.0.113.1', own)],
    ['uplink', arpFrom(ROUTER, '203.0.113.1', own), 31],
    ['uplink', solicitation(ROUTER, 'fe80::1', own6)],
    ['uplink', ipFrame(BROADCAST, ROUTER, datagram(OUTSIDE, '255.255.255.255')), VLANS.contoso],
    ['uplink', ipFrame('01:00:5e:00:00:05', ROUTER, datagram(OUTSIDE, '224.0.0.5')), VLANS.contoso],
    ['uplink', ipFrame('33:33:00:00:00:05', ROUTER, datagram(OUTSIDE6, 'ff02::5')), VLANS.contoso],
  ];
  t.same(
    node.send([...nowhere, ['uplink', sentinel, VLANS.contoso]], 1),
    [['contosoFwd', sentinel, 0]],
    'nothing else does',
  );
  t.same(node.dataPlane.stats(contoso.handle).drops, before.drops, 'broadcasts are nobody’s losses');
});

t.test('what a context sends into its VLAN has the tag, and stays out of the other one', async (t) => {
  const node = setUp(t, true);
  const frames = (mac: string, neighbours: string): Buffer[] => [
    ipFrame(ROUTER, mac, datagram('10.1.1.4', OUTSIDE)),
    ipFrame(ROUTER, mac, datagram('fd00:1::4', OUTSIDE6)),
    // Neighbours on this node are none in another VLAN.
    ipFrame(neighbours, mac, datagram('10.1.1.4', own)),
    arpFrom(mac, own, other),
    arpFrom(mac, own, contoso.external),
    advertToAll(mac, own6),
  ];
  for (const [vlan, link, mac, neighbours] of [
    [VLANS.contoso, 'contosoFwd', ours, theirs],
    [VLANS.fabrikam, 'fabrikamFwd', theirs, ours],
  ] as const) {
    const sent = frames(mac, neighbours);
    t.same(
      node.send(
        sent.map((frame) => [link, frame]),
        sent.length,
      ),
      sent.map((frame) => ['uplink', frame, vlan]),
      link,
    );
  }
});

t.test('a VLAN that has gone to another domain stays there when the old one has given it up', async (t) => {
  const node = setUp(t, true);
  node.join(fabrikam, { ...taggedForwardingOf('fabrikam'), vlanId: VLANS.contoso });
  node.join(contoso, undefined);
  const frame = arpFrom(ROUTER, '203.0.113.1', own);
  t.same(node.send([['uplink', frame, VLANS.contoso]], 1), [['fabrikamFwd', frame, 0]]);
  t.equal(node.dataPlane.map('segment_ports').entries().length, 1);
});

t.test(
  'on the untagged network contexts reach each other on the node, and nobody else hears it',
  async (t) => {
    const node = setUp(t);
    for (const [link, far, mac, to, addresses, targets, tenants] of [
      ['contosoFwd', 'fabrikamFwd', ours, theirs, [own, own6], [other, other6], ['10.1.1.4', '10.1.2.9']],
      ['fabrikamFwd', 'contosoFwd', theirs, ours, [other, other6], [own, own6], ['10.1.2.9', '10.1.1.4']],
    ] as const) {
      const near = [
        arpFrom(mac, addresses[0], targets[0]),
        arpFrom(mac, addresses[0], targets[0], to),
        solicitation(mac, addresses[1], targets[1]),
        ipFrame(to, mac, datagram(tenants[0], tenants[1])),
        ipFrame(to, mac, datagram(addresses[0], targets[0])),
      ];
      const out = [
        arpFrom(mac, addresses[0], '203.0.113.1'),
        arpFrom(mac, addresses[0], addresses[0]),
        advertToAll(mac, addresses[1]),
        ipFrame(ROUTER, mac, datagram(tenants[0], OUTSIDE)),
      ];
      t.same(
        node.send(
          [...near, ...out].map((frame) => [link, frame]),
          near.length + out.length,
        ),
        [...near.map((frame) => [far, frame, 0]), ...out.map((frame) => ['uplink', frame, 0])],
        link,
      );
    }
  },
);

t.test('on the untagged network a context gets what is for it alone', async (t) => {
  const { send } = setUp(t);
  const inwards: [Link, Buffer][] = [
    ['contosoFwd', arpFrom(ROUTER, '203.0.113.1', own)],
    ['fabrikamFwd', arpFrom(ROUTER, '203.0.113.1', other)],
    ['contosoFwd', solicitation(ROUTER, 'fe80::1', own6)],
    ['fabrikamFwd', solicitation(ROUTER, 'fe80::1', other6)],
    ['contosoFwd', ipFrame(ours, ROUTER, datagram(OUTSIDE, '10.1.1.4'))],
    ['fabrikamFwd', ipFrame(theirs, ROUTER, datagram(OUTSIDE, '10.1.2.9'))],
  ];
  const nowhere = [
    ipFrame(ours, ROUTER, datagram(OUTSIDE, '10.1.2.9')),
    ipFrame(theirs, ROUTER, datagram(OUTSIDE, '10.1.1.4')),
    arpFrom(ROUTER, '203.0.113.1', '203.0.113.77'),
    advertToAll(ROUTER, 'fe80::1'),
    query,
  ];
  t.same(
    send(
      [...nowhere, ...inwards.map(([, frame]) => frame)].map((frame) => ['uplink', frame]),
      inwards.length,
    ),
    inwards.map(([link, frame]) => [link, frame, 0]),
  );
});
