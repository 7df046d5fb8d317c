/** What the routers of the uplink are told: out of plans, as lines of bgpd, and by few commands when one domain changes. */
import t from 'tap';
import { configChanges } from '../../src/forwarding/config-changes.ts';
import { type Announcement, allOf, announcementsOf } from '../../src/forwarding/uplink-announcements.ts';
import { uplinkConfig } from '../../src/forwarding/uplink-config.ts';
import type { ForwardingPlan, NatPlan } from '../../src/policy/plan.ts';

const NAT = {
  externalAddresses: [
    { address: '198.51.100.7' },
    { address: '2001:db8::7' },
    { address: '198.51.100.9', portStart: 1024, portEnd: 2047 },
  ],
  prefixes: [{ external: '2001:db8:7::/64', internal: 'fd00::/64' }],
} as unknown as NatPlan;
const FORWARDING: ForwardingPlan = {
  ...{ uplink: 'wan0', mac: '02:00:00:00:00:01', addresses: ['192.0.2.50/24', '192.0.2.51/24'], routes: [] },
  advertise: ['10.1.0.0/16', 'fd00:1::/64'],
};
const VIA = '192.0.2.50/24';
const PEER = { address: '192.0.2.1', name: '192.0.2.1', asn: 65_001, holdTimeSeconds: 90 };
const FAR = { ...PEER, address: '203.0.113.1', name: '203.0.113.1' };
const PEER6 = { ...PEER, address: '2001:db8::1', name: '2001:db8::1', password: 'a-key' };
const PLAN = {
  ...{ asn: 65_002, routerId: '192.0.2.2', gracefulRestartSeconds: 30 },
  peers: [PEER, FAR, PEER6],
};

t.test('what of a domain is announced', async (t) => {
  t.strictSame(announcementsOf({ nat: NAT, forwarding: FORWARDING }, 'wan0'), [
    { prefix: '198.51.100.7/32' },
    { prefix: '2001:db8::7/128' },
    { prefix: '198.51.100.9/32' },
    { prefix: '2001:db8:7::/64' },
    // Of the other family, the context has no address to go to.
    { prefix: '10.1.0.0/16', via: VIA },
  ]);
  t.strictSame(announcementsOf({ forwarding: { ...FORWARDING, vlanId: 7 } }, 'wan0'), [], 'a VLAN');
  t.strictSame(announcementsOf({ forwarding: FORWARDING }, 'wan1'), [], 'another interface');
  t.strictSame(announcementsOf({}, 'wan0'), []);
});

t.test('an address that several domains share is announced once, while one of them has it', async (t) => {
  const [shared, own] = [{ prefix: '198.51.100.9/32' }, { prefix: '198.51.100.7/32' }];
  t.strictSame(allOf([[shared], [own, shared]]), [shared, own]);
  t.strictSame(allOf([[], [shared]]), [shared]);
  t.strictSame(allOf([]), []);
});

const config = (announcements: readonly Announcement[], plan = PLAN) => uplinkConfig(plan, announcements);

t.test('each session has its family, learns nothing, and is told of next hops that it can use', async (t) => {
  const lines = config([{ prefix: '198.51.100.7/32' }, { prefix: '10.1.0.0/16', via: VIA }]);
  for (const line of [
    'route-map nothing deny 1',
    'route-map via-192.0.2.50 permit 1',
    ' set ip next-hop 192.0.2.50',
    '  network 198.51.100.7/32',
    '  network 10.1.0.0/16 route-map via-192.0.2.50',
    ' neighbor 2001:db8::1 password a-key',
    'ip prefix-list useless-203.0.113.1 permit 10.1.0.0/16',
  ])
    t.equal(lines.filter((one) => one === line).length, 1, line);
  for (const { address } of PLAN.peers)
    t.ok(lines.includes(`  neighbor ${address} route-map nothing in`), address);
  t.notOk(lines.some((line) => line.includes('update-source')));
  t.notOk(lines.some((line) => line.includes('useless-192.0.2.1 ')));
  t.ok(lines.indexOf('  network 198.51.100.7/32') < lines.indexOf('  neighbor 192.0.2.1 activate'));
  for (const resolving of [
    { ...FAR, multihop: 3 },
    { ...FAR, asn: PLAN.asn },
  ])
    t.notOk(
      config([{ prefix: '10.1.0.0/16', via: VIA }], { ...PLAN, peers: [resolving] }).some((line) =>
        line.includes('useless'),
      ),
    );
});

t.test('a change of one announcement among many is one command', async (t) => {
  const many = Array.from({ length: 1000 }, (_, n) => ({ prefix: `203.0.${n >> 8}.${n & 255}/32` }));
  const router = ['router bgp 65002', 'address-family ipv4 unicast'];
  const changes = (have: readonly Announcement[], want: readonly Announcement[]) =>
    configChanges(config(have), config(want));
  t.strictSame(changes(many, many.toReversed()), []);
  t.strictSame(changes(many, many.slice(1)), [...router, 'no network 203.0.0.0/32']);
  t.strictSame(changes(many.slice(1), many), [...router, 'network 203.0.0.0/32']);
  const by = (via: string) => [...many, { prefix: '10.1.0.0/16', via }];
  const other = changes(by(VIA), by('192.0.2.60/24'));
  t.ok(other.includes('network 10.1.0.0/16 route-map via-192.0.2.60'));
  t.notOk(
    other.some((line) => line.startsWith('no network')),
    'another next hop takes the place of the first',
  );
});
