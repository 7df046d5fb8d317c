// Every reason of the catalogue, provoked: a packet that is dropped under just that reason, charged to the right domain.
import t from 'tap';
import type { Place } from '../../src/encap/core.ts';
import { dropReasons } from '../../src/encap/drop-reasons.ts';
import { encodeNvgre, type Ipv4Packet, type NvgreFrame } from '../../src/encap/nvgre.ts';
import { DataPlane, INNER_MTU, LINK_MACS, type RunOptions } from './data-plane.ts';
import {
  arp,
  ETHERTYPE,
  ethernet,
  GRE,
  INNER,
  ipv4,
  ipv4Frame,
  OUTER,
  patched,
  pattern,
  withChecksum,
  word,
} from './packets.ts';
import { contoso, FOREIGN_PA, fabrikam, tenantFrame, VM_MAC } from './two-domains.ts';

const dataPlane = DataPlane.open(t);

const nvgre = (changes: Partial<NvgreFrame> = {}): Uint8Array =>
  encodeNvgre(tenantFrame(LINK_MACS.provider, changes));
const toTenant = (fields: Partial<Ipv4Packet> = {}): Buffer =>
  ipv4Frame(LINK_MACS.contosoPort, contoso.gatewayMac, {
    source: '198.51.100.7',
    destination: '10.1.1.4',
    ...fields,
  });
const toOutside = (fields: Partial<Ipv4Packet> = {}): Buffer =>
  ipv4Frame(LINK_MACS.contosoOut, contoso.gatewayMac, { source: contoso.external, ...fields });
const arpFrame = (to: string): Buffer =>
  ethernet(
    to,
    contoso.gatewayMac,
    ETHERTYPE.arp,
    arp({
      operation: 1,
      senderMac: contoso.gatewayMac,
      sender: '10.254.254.2',
      targetMac: '00:00:00:00:00:00',
      target: '10.254.254.1',
    }),
  );

interface Case {
  reason: string;
  place: Place;
  /** Who is charged; 0 when no domain can be. */
  domain: number;
  frame: Uint8Array;
  options?: RunOptions;
}

const { handle } = contoso;
/** A test run can say that a packet is a super-packet, but not of which kind: the kernel moves no headers of such. */
const OF_NO_KIND = { gsoSize: 1000, gsoSegments: 2 };

const cases: Case[] = [
  { reason: 'outer-truncated', place: 'provider', domain: 0, frame: nvgre().subarray(0, GRE.key) },
  {
    reason: 'outer-options',
    place: 'provider',
    domain: 0,
    frame: patched(nvgre(), OUTER.ip, Buffer.of(0x46)),
  },
  {
    reason: 'outer-checksum',
    place: 'provider',
    domain: 0,
    frame: patched(nvgre(), OUTER.checksum, word(0xdead)),
  },
  {
    reason: 'outer-fragment',
    place: 'provider',
    domain: 0,
    frame: withChecksum(patched(nvgre(), OUTER.fragment, word(0x2000))),
  },
  { reason: 'gre-flags', place: 'provider', domain: 0, frame: patched(nvgre(), GRE.flags, word(0xa000)) },
  {
    reason: 'gre-protocol',
    place: 'provider',
    domain: 0,
    frame: patched(nvgre(), GRE.protocol, word(0x0800)),
  },
  {
    reason: 'vsid-reserved',
    place: 'provider',
    domain: 0,
    frame: patched(nvgre(), GRE.key, Buffer.of(0, 0x0f, 0xff)),
  },
  { reason: 'vsid-unknown', place: 'provider', domain: 0, frame: nvgre({ vsid: 7777 }) },
  {
    reason: 'source-provider-address',
    place: 'provider',
    domain: handle,
    frame: nvgre({ outer: { ...tenantFrame('').outer, source: FOREIGN_PA } }),
  },
  {
    reason: 'inner-truncated',
    place: 'provider',
    domain: handle,
    frame: withChecksum(patched(nvgre().subarray(0, INNER.ip), OUTER.totalLength, word(INNER.ip - OUTER.ip))),
  },
  {
    reason: 'inner-vlan',
    place: 'provider',
    domain: handle,
    frame: patched(nvgre(), INNER.etherType, word(0x8100)),
  },
  {
    reason: 'inner-ethertype',
    place: 'provider',
    domain: handle,
    frame: patched(nvgre(), INNER.etherType, word(0x0806)),
  },
  {
    reason: 'inner-malformed',
    place: 'provider',
    domain: handle,
    frame: patched(nvgre(), INNER.ip, Buffer.of(0x44)),
  },
  {
    reason: 'inner-destination-unknown',
    place: 'provider',
    domain: handle,
    frame: nvgre({ innerEthernet: { destination: '02:00:00:00:77:77', source: VM_MAC } }),
  },
  {
    reason: 'inner-destination-foreign',
    place: 'provider',
    domain: handle,
    frame: nvgre({ innerEthernet: { destination: fabrikam.gatewayMac, source: VM_MAC } }),
  },
  {
    reason: 'inner-source-address',
    place: 'provider',
    domain: handle,
    frame: nvgre({ inner: ipv4({ source: '10.1.1.5' }) }),
  },
  {
    reason: 'inner-source-mac',
    place: 'provider',
    domain: handle,
    frame: nvgre({ innerEthernet: { destination: contoso.gatewayMac, source: '00:15:5d:00:00:05' } }),
  },
  {
    reason: 'inner-too-big',
    place: 'provider',
    domain: handle,
    frame: nvgre({ inner: ipv4({ payload: pattern(INNER_MTU - 20 + 1) }) }),
  },
  {
    reason: 'ecn',
    place: 'provider',
    domain: handle,
    frame: nvgre({ outer: { ...tenantFrame('').outer, tos: 3 } }),
  },
  { reason: 'decap-failed', place: 'provider', domain: handle, frame: nvgre(), options: OF_NO_KIND },
  { reason: 'port-unknown', place: 'port', domain: 0, frame: toTenant(), options: { on: 'spare' } },
  { reason: 'port-unknown', place: 'context', domain: 0, frame: toOutside(), options: { on: 'spare' } },
  { reason: 'port-ethertype', place: 'port', domain: handle, frame: arpFrame(LINK_MACS.contosoPort) },
  {
    reason: 'port-malformed',
    place: 'port',
    domain: handle,
    frame: patched(toTenant(), OUTER.ip, Buffer.of(0x65)),
  },
  {
    reason: 'port-malformed',
    place: 'port',
    domain: handle,
    frame: patched(toTenant(), OUTER.ip, Buffer.of(0x44)),
  },
  { reason: 'port-malformed', place: 'port', domain: handle, frame: toTenant().subarray(0, 60) },
  {
    reason: 'port-malformed',
    place: 'port',
    domain: handle,
    frame: patched(toTenant(), OUTER.totalLength, word(19)),
  },
  { reason: 'ttl-exceeded', place: 'port', domain: handle, frame: toTenant({ ttl: 1 }) },
  { reason: 'ttl-exceeded', place: 'port', domain: handle, frame: toTenant({ ttl: 0 }) },
  {
    reason: 'too-big',
    place: 'port',
    domain: handle,
    frame: toTenant({ payload: pattern(INNER_MTU - 20 + 1) }),
  },
  { reason: 'no-route', place: 'port', domain: handle, frame: toTenant({ destination: '192.0.2.1' }) },
  { reason: 'no-record', place: 'port', domain: handle, frame: toTenant({ destination: '10.1.1.99' }) },
  { reason: 'encap-failed', place: 'port', domain: handle, frame: toTenant(), options: OF_NO_KIND },
  { reason: 'external-ethertype', place: 'context', domain: handle, frame: arpFrame(LINK_MACS.contosoOut) },
  {
    reason: 'external-malformed',
    place: 'context',
    domain: handle,
    frame: patched(toOutside(), OUTER.ip, Buffer.of(0x65)),
  },
  { reason: 'untranslated', place: 'context', domain: handle, frame: toOutside({ source: '10.1.1.4' }) },
];

t.test('a packet is dropped under the one reason that fits it', async (t) => {
  for (const { reason, place, domain, frame, options } of cases) {
    const outcome = dataPlane.run(place, frame, options);
    t.same(outcome.drop, { reason, domain }, `${reason} at the ${place}`);
  }
});

t.test('the same packets without the flaw go their way', async (t) => {
  t.equal(dataPlane.run('provider', nvgre()).verdict, 'redirect');
  t.equal(dataPlane.run('port', toTenant()).verdict, 'redirect');
  t.equal(dataPlane.run('context', toOutside()).verdict, 'redirect');
});

t.test('every reason of the catalogue has a packet here', async (t) => {
  const provoked = new Set(cases.map(({ reason }) => reason));
  t.same(
    dropReasons.map(({ name }) => name).filter((name) => !provoked.has(name)),
    [],
  );
});
