// Between the contexts and the uplink: only translated packets out, only to the owner in, ARP for owned addresses.
import t from 'tap';
import { domainEntries } from '../../src/encap/entries.ts';
import { encodeExternalKey, encodePortAddressKey, encodeSorter } from '../../src/encap/layout.generated.ts';
import type { Ipv4Packet } from '../../src/encap/nvgre.ts';
import { addressBytes, macBytes } from '../../src/policy/address.ts';
import { routerMac } from '../../src/policy/router.ts';
import { CONTEXT_MACS, DataPlane, LINK_MACS } from './data-plane.ts';
import { icmpPacket, laterFragment, udpPacket } from './packet-fixtures/external.ts';
import {
  type Arp,
  arp,
  ETHERNET,
  ETHERTYPE,
  ethernet,
  ipFrame,
  ipv4Frame,
  PROTOCOL,
  patched,
  pattern,
  tcp,
  word,
} from './packets.ts';
import { contoso, fabrikam, SHARED } from './two-domains.ts';

const dataPlane = DataPlane.open(t);
const ROUTER = '02:ee:00:00:00:01';
const NO_MAC = '00:00:00:00:00:00';
const BROADCAST = 'ff:ff:ff:ff:ff:ff';

/** What arrived with other MACs, for the context from the node's router. */
function handedTo(mac: string, frame: Buffer): Buffer {
  return Buffer.concat([macBytes(mac), macBytes(routerMac), frame.subarray(12)]);
}

const fromOutside = (fields: Partial<Ipv4Packet>): Buffer =>
  ipv4Frame(LINK_MACS.uplink, ROUTER, { source: '198.51.100.7', ...fields });
const fromContoso = (fields: Partial<Ipv4Packet>): Buffer =>
  ipv4Frame(LINK_MACS.contosoOut, CONTEXT_MACS.contoso, fields);

t.test(
  'a packet for an owned address goes to its context, with the context’s MAC and nothing else changed',
  async (t) => {
    const kinds: [string, Partial<Ipv4Packet>][] = [
      ['UDP', {}],
      ['TCP', { protocol: PROTOCOL.tcp, payload: tcp(50_000, 80, pattern(1000)) }],
      ['fragment', { fragmentOffset: 3 }],
      ['options', { options: Buffer.of(1, 1, 1, 0) }],
      ['TTL 1: the context is the router that counts', { ttl: 1 }],
    ];
    for (const [name, domain] of Object.entries({ contoso, fabrikam })) {
      for (const [what, fields] of kinds) {
        const frame = fromOutside({ destination: domain.external, ...fields });
        const outcome = dataPlane.run('uplink', frame, { mark: 0x33 });
        t.equal(outcome.verdict, 'redirect', `${name}, ${what}`);
        t.same(
          outcome.frame,
          handedTo(CONTEXT_MACS[name as keyof typeof CONTEXT_MACS], frame),
          `${name}, ${what}: frame`,
        );
        t.equal(outcome.mark, 0, `${name}, ${what}: no mark`);
      }
    }
  },
);

t.test('what no context owns passes to the kernel, byte for byte', async (t) => {
  const owned = fromOutside({ destination: contoso.external });
  const rows: [string, Buffer][] = [
    ['another address', fromOutside({ destination: '203.0.113.11' })],
    ['a tenant’s address', fromOutside({ destination: '10.1.1.4' })],
    ['an owned address, but another MAC', patched(owned, 0, Buffer.of(0x02, 0x77))],
    ['an owned address, but a group MAC', patched(owned, 0, Buffer.from(macBytes(BROADCAST)))],
    [
      'IPv6',
      ethernet(LINK_MACS.uplink, ROUTER, ETHERTYPE.ipv6, Buffer.concat([Buffer.of(0x60), pattern(60)])),
    ],
    ['LLDP', ethernet('01:80:c2:00:00:0e', ROUTER, 0x88cc, pattern(60))],
    ['a VLAN tag', patched(owned, 12, word(ETHERTYPE.vlan))],
  ];
  for (const [what, frame] of rows) {
    const outcome = dataPlane.run('uplink', frame, { mark: 0x33 });
    t.equal(outcome.verdict, 'pass', what);
    t.same(outcome.frame, frame, `${what}: unchanged`);
    t.equal(outcome.mark, 0x33, `${what}: mark kept`);
  }
});

const question: Arp = {
  operation: 1,
  senderMac: ROUTER,
  sender: '203.0.113.1',
  targetMac: NO_MAC,
  target: contoso.external,
};
const arpFrame = (fields: Partial<Arp> = {}, to = BROADCAST): Buffer =>
  ethernet(to, ROUTER, ETHERTYPE.arp, arp({ ...question, ...fields }));
const answer = (to: string, target: string, sender: string): Buffer =>
  ethernet(
    to,
    LINK_MACS.uplink,
    ETHERTYPE.arp,
    arp({ operation: 2, senderMac: LINK_MACS.uplink, sender, targetMac: to, target }),
  );

t.test('ARP for an owned address is answered with the uplink’s MAC', async (t) => {
  const rows: [string, Buffer, Buffer][] = [
    ['broadcast request', arpFrame(), answer(ROUTER, '203.0.113.1', contoso.external)],
    ['request to our MAC', arpFrame({}, LINK_MACS.uplink), answer(ROUTER, '203.0.113.1', contoso.external)],
    [
      'for the other domain',
      arpFrame({ target: fabrikam.external }),
      answer(ROUTER, '203.0.113.1', fabrikam.external),
    ],
    ['probe (RFC 5227)', arpFrame({ sender: '0.0.0.0' }), answer(ROUTER, '0.0.0.0', contoso.external)],
    [
      'a target MAC that the asker believes in is ignored',
      arpFrame({ targetMac: '02:12:34:56:78:9a' }),
      answer(ROUTER, '203.0.113.1', contoso.external),
    ],
  ];
  for (const [what, frame, expected] of rows) {
    const outcome = dataPlane.run('uplink', frame);
    t.equal(outcome.verdict, 'redirect', what);
    t.same(outcome.frame, expected, `${what}: every field`);
  }
});

t.test(
  'an ARP answer is as long as its question: padding to the shortest Ethernet frame stays',
  async (t) => {
    const { verdict, frame } = dataPlane.run('uplink', Buffer.concat([arpFrame(), Buffer.alloc(18)]));
    t.equal(verdict, 'redirect');
    t.same(frame, Buffer.concat([answer(ROUTER, '203.0.113.1', contoso.external), Buffer.alloc(18)]));
  },
);

t.test('other ARP passes to the kernel, byte for byte', async (t) => {
  const rows: [string, Buffer][] = [
    ['an address that nobody owns', arpFrame({ target: '203.0.113.11' })],
    ['a tenant’s address', arpFrame({ target: '10.1.1.4' })],
    ['gratuitous, for an owned address', arpFrame({ sender: contoso.external })],
    ['an answer', arpFrame({ operation: 2 })],
    ['RARP’s operation', arpFrame({ operation: 3 })],
    ['operation 0', arpFrame({ operation: 0 })],
    ['not for Ethernet', patched(arpFrame(), ETHERNET, word(6))],
    ['not for IPv4', patched(arpFrame(), ETHERNET + 2, word(ETHERTYPE.ipv6))],
    ['MACs of 8 bytes', patched(arpFrame(), ETHERNET + 4, Buffer.of(8))],
    ['addresses of 16 bytes', patched(arpFrame(), ETHERNET + 5, Buffer.of(16))],
    ...Array.from({ length: 28 }, (_, length): [string, Buffer] => [
      `cut to ${length} bytes`,
      arpFrame().subarray(0, ETHERNET + length),
    ]).slice(1),
  ];
  for (const [what, frame] of rows) {
    const outcome = dataPlane.run('uplink', frame);
    t.equal(outcome.verdict, 'pass', what);
    t.same(outcome.frame, frame, `${what}: unchanged`);
  }
  t.equal(dataPlane.run('uplink', arpFrame(), { on: 'spare' }).verdict, 'pass', 'a link that is no uplink');
});

t.test('a translated packet goes to the uplink as it is', async (t) => {
  const frame = fromContoso({ source: contoso.external });
  const outcome = dataPlane.run('context', frame, { mark: 0x44 });
  t.equal(outcome.verdict, 'redirect');
  t.same(outcome.frame, frame);
  t.equal(outcome.mark, 0);
});

t.test('a packet that does not carry its own domain’s external address is dropped', async (t) => {
  const untranslated = { reason: 'untranslated', domain: contoso.handle };
  const rows: [string, Partial<Ipv4Packet>][] = [
    ['a tenant’s address', { source: '10.1.1.4' }],
    ['a tenant’s address, to a context of this node', { source: '10.1.1.4', destination: fabrikam.external }],
    ['the gateway’s address', { source: '10.254.254.2' }],
    ['another domain’s external address', { source: fabrikam.external }],
    ['an address of nobody', { source: '203.0.113.11' }],
    ['no address', { source: '0.0.0.0' }],
    ['fragment of a tenant’s packet', { source: '10.1.1.4', fragmentOffset: 10 }],
  ];
  for (const [what, fields] of rows)
    t.same(dataPlane.run('context', fromContoso(fields)).drop, untranslated, what);
});

t.test('a packet for a context of this node goes to it directly', async (t) => {
  const rows: [string, string, string][] = [
    ['the other domain', fabrikam.external, CONTEXT_MACS.fabrikam],
    ['the domain itself', contoso.external, CONTEXT_MACS.contoso],
  ];
  for (const [what, destination, mac] of rows) {
    const frame = fromContoso({ source: contoso.external, destination });
    const outcome = dataPlane.run('context', frame);
    t.equal(outcome.verdict, 'redirect', what);
    t.same(outcome.frame, handedTo(mac, frame), what);
  }
});

t.test('an ICMPv6 error into a translated prefix that quotes too little changes outside alone', async (t) => {
  const [outside, outer, inner] = ['2001:db8::7', '2001:db8:1:d550::1234', 'fd01:203:405:1::1234'];
  const quote = udpPacket(outer, outside, [53, 54]).subarray(0, 23);
  const error = (to: string): Buffer => icmpPacket(outside, to, [1, 0, 0], quote);
  const outcome = dataPlane.run('uplink', ipFrame(LINK_MACS.uplink, ROUTER, error(outer)));
  t.equal(outcome.verdict, 'redirect');
  t.same(outcome.frame, ipFrame(CONTEXT_MACS.contoso, routerMac, error(inner)));
});

t.test('without a block of an address, a context sends none of its later fragments', async (t) => {
  const frame = ipFrame(routerMac, CONTEXT_MACS.contoso, laterFragment(SHARED, '198.51.100.7'));
  t.equal(dataPlane.run('context', frame).verdict, 'redirect');
  const key = encodePortAddressKey({
    ifindex: dataPlane.ifindex('contosoOut'),
    address: addressBytes(SHARED),
  });
  t.ok(dataPlane.map('port_addresses').delete(key));
  t.same(dataPlane.run('context', frame).drop, { reason: 'untranslated', domain: contoso.handle });
});

t.test('a fragment that nobody is there to sort is dropped', async (t) => {
  const frame = ipFrame(LINK_MACS.uplink, ROUTER, laterFragment('198.51.100.7', SHARED));
  t.equal(dataPlane.run('uplink', frame).verdict, 'redirect');
  const key = Buffer.alloc(4);
  dataPlane.map('sorter').update(key, encodeSorter({ ifindex: 0 }));
  t.same(dataPlane.run('uplink', frame).drop, { reason: 'external-fragment', domain: 0 });
});

t.test('with external hairpinning, what is for an owned address goes to the uplink as well', async (t) => {
  const [plan] = dataPlane.plans;
  if (plan?.nat === undefined) throw new Error('Contoso has no NAT');
  const outside = { ...plan, nat: { ...plan.nat, hairpinning: 'external' as const } };
  dataPlane.tables.apply(plan.handle, domainEntries(outside, dataPlane.attachments(plan.handle)));
  for (const destination of [contoso.external, fabrikam.external, SHARED]) {
    const frame = ipFrame(routerMac, CONTEXT_MACS.contoso, udpPacket(SHARED, destination, [1024, 2500]));
    const outcome = dataPlane.run('context', frame);
    t.equal(outcome.verdict, 'redirect', destination);
    t.same(outcome.frame, frame, `${destination}: as it is`);
  }
  const untranslated = ipFrame(routerMac, CONTEXT_MACS.contoso, udpPacket('10.1.1.4', SHARED, [1024, 2500]));
  t.equal(dataPlane.run('context', untranslated).drop?.reason, 'untranslated');
});

t.test('an external address that is taken away neither sends nor receives', async (t) => {
  const externals = dataPlane.map('externals');
  const key = encodeExternalKey({ address: addressBytes(contoso.external) });
  t.ok(externals.delete(key));
  t.equal(dataPlane.run('uplink', fromOutside({ destination: contoso.external })).verdict, 'pass');
  t.equal(dataPlane.run('uplink', arpFrame()).verdict, 'pass');
  t.same(dataPlane.run('context', fromContoso({ source: contoso.external })).drop, {
    reason: 'untranslated',
    domain: contoso.handle,
  });
});
