/** Who is told when an address gets another MAC. */
import t from 'tap';
import type { PortAttachment } from '../../src/encap/entries.ts';
import { Announcements } from '../../src/host/announcements.ts';
import { announcementFrame } from '../../src/host/neighbour-frames.ts';
import type { DomainPlan, PortPlan, RecordPlan } from '../../src/policy/plan.ts';

const rdid = '11111111-0000-0000-0000-00000000000a';
const oldMac = '02:00:00:00:00:0a';
const newMac = '02:00:00:00:00:0b';

function port(name: string, vsid: number, mac: string, more: Partial<PortPlan> = {}): PortPlan {
  return {
    ...{ interface: name, vsid, mac, addresses: [], learns: false, isGateway: false, learnedMacs: [] },
    providerAddress: '192.0.2.1',
    ...more,
  };
}

function record(address: string, vsid: number, mac: string, isLocal: boolean): RecordPlan {
  const providerAddress = isLocal ? '192.0.2.1' : '192.0.2.2';
  return { address, vsid, mac, providerAddress, isLocal, isDynamic: true };
}

function plan(ports: PortPlan[], records: RecordPlan[]): DomainPlan {
  const empty = { subnets: [], sources: [], wildcards: [], routes: [], pending: [] };
  return { rdid, handle: 1, ...empty, records, ports, siteConnections: [] };
}

/** tap0 and tap1 in VSID 5001, tap2 in 5002, tap3 without interface. */
const ports = [
  port('tap0', 5001, '02:00:00:00:01:00'),
  port('tap1', 5001, '02:00:00:00:01:01', { learnedMacs: [newMac] }),
  port('tap2', 5002, '02:00:00:00:01:02'),
  port('tap3', 5001, '02:00:00:00:01:03'),
];
const attached = new Map<string, PortAttachment>(
  ['tap0', 'tap1', 'tap2'].map((name, index) => [
    name,
    {
      ifindex: 10 + index,
      isPeer: false,
      mtu: 1500,
      tunnel: { ifindex: 2, mtu: 1600, mac: '02:00:00:00:00:01' },
    },
  ]),
);

function setUp() {
  const sent: { ifindex: number; frame: string }[] = [];
  const announcements = new Announcements((ifindex, frame) => {
    sent.push({ ifindex, frame: Buffer.from(frame).toString('hex') });
  });
  const apply = (records: RecordPlan[], of = ports) =>
    announcements.apply(plan(of, records), { ports: attached });
  return { sent, announcements, apply };
}

const frameOf = (address: string): string => Buffer.from(announcementFrame(address, newMac)).toString('hex');

t.test(
  'an address that another node has with a new MAC is announced to all ports of its virtual subnet',
  async (t) => {
    const { sent, apply } = setUp();
    apply([record('10.0.0.9', 5001, oldMac, false)]);
    t.same(sent, [], 'what is new is no change');
    apply([record('10.0.0.9', 5001, newMac, false)]);
    t.same(sent, [
      { ifindex: 10, frame: frameOf('10.0.0.9') },
      { ifindex: 11, frame: frameOf('10.0.0.9') },
    ]);
    apply([record('10.0.0.9', 5001, newMac, false)]);
    t.equal(sent.length, 2, 'once');
  },
);

t.test('the port that has the address is not told', async (t) => {
  const { sent, apply } = setUp();
  apply([record('2001:db8::9', 5001, oldMac, false)]);
  apply([record('2001:db8::9', 5001, newMac, true)]);
  t.same(sent, [{ ifindex: 10, frame: frameOf('2001:db8::9') }]);
});

t.test('a record that moves to another provider address with its MAC is announced to nobody', async (t) => {
  const { sent, apply } = setUp();
  apply([record('10.0.0.9', 5001, oldMac, true)]);
  apply([record('10.0.0.9', 5001, oldMac, false)]);
  t.same(sent, []);
});

t.test('virtual subnets without a port here, and domains that have gone, are nobody’s concern', async (t) => {
  const { sent, announcements, apply } = setUp();
  apply([record('10.2.0.9', 5003, oldMac, false)]);
  apply([record('10.2.0.9', 5003, newMac, false)]);
  apply([record('10.0.0.9', 5001, oldMac, false)]);
  announcements.forget(rdid);
  apply([record('10.0.0.9', 5001, newMac, false)]);
  t.same(sent, []);
});
