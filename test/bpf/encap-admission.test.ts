// What the provider side lets in: every way in which a frame can be wrong, and what is not the data plane's business.
import t from 'tap';
import { encodeProviderKey } from '../../src/encap/layout.generated.ts';
import { decodeNvgre, encodeNvgre, type NvgreFrame } from '../../src/encap/nvgre.ts';
import { HnvError } from '../../src/errors.ts';
import { addressBytes } from '../../src/policy/address.ts';
import { routerMac } from '../../src/policy/router.ts';
import { DataPlane, INNER_MTU, LINK_MACS } from './data-plane.ts';
import {
  arp,
  cutAndAdjusted,
  ETHERNET,
  ETHERTYPE,
  ethernet,
  GRE,
  INNER,
  ipv4,
  ipv4Frame,
  OUTER,
  PROTOCOL,
  patched,
  pattern,
  withChecksum,
  word,
} from './packets.ts';
import { PreparedRuns } from './prepared-run.ts';
import {
  BRANCH_MAC,
  contoso,
  FOREIGN_PA,
  fabrikam,
  GATEWAY_PA,
  HOST_PA,
  SHARED_PA,
  tenantFrame,
  VM_MAC,
  WILDCARD_MAC,
  WILDCARD_PA,
} from './two-domains.ts';

const dataPlane = DataPlane.open(t);
const prepared = new PreparedRuns(t, dataPlane);

const nvgre = (changes: Partial<NvgreFrame> = {}): Uint8Array =>
  encodeNvgre(tenantFrame(LINK_MACS.provider, changes));
const outerFrom = (source: string): NvgreFrame['outer'] => ({ ...tenantFrame('').outer, source });
const innerFrom = (source: string, destination = contoso.gatewayMac): NvgreFrame['innerEthernet'] => ({
  destination,
  source,
});

/** The reason that a frame is dropped under, `undefined` when it is not dropped. */
function reasonFor(frame: Uint8Array): string | undefined {
  return dataPlane.run('provider', frame).drop?.reason;
}

/** The reason for which the codec refuses the frame. */
function refusalOf(frame: Uint8Array): string | undefined {
  try {
    decodeNvgre(frame);
  } catch (error) {
    if (error instanceof HnvError) return error.rule;
    throw error;
  }
  return undefined;
}

t.test(
  'a frame cut at any byte is dropped, also when the outer header names the length that is left',
  async (t) => {
    const whole = nvgre();
    t.equal(
      prepared.run('provider', whole, { length: whole.length }).verdict,
      'redirect',
      'the whole frame goes in',
    );
    for (let length = ETHERNET; length < whole.length; length++) {
      // The cut bytes stay behind the end in memory: whoever reads too far finds a good frame there.
      const cut = prepared.run('provider', whole, { length });
      t.same(cut.drop, { reason: 'outer-truncated', domain: 0 }, `${length} bytes, total length as it was`);

      const adjusted = Buffer.concat([cutAndAdjusted(whole, length), whole.subarray(length)]);
      const expected =
        length < INNER.destinationMac
          ? { reason: 'outer-truncated', domain: 0 }
          : {
              reason: length < INNER.ip + 20 ? 'inner-truncated' : 'inner-malformed',
              domain: contoso.handle,
            };
      t.same(
        prepared.run('provider', adjusted, { length }).drop,
        expected,
        `${length} bytes, total length adjusted`,
      );
      t.equal(refusalOf(cutAndAdjusted(whole, length)), expected.reason, `${length} bytes: the codec agrees`);
    }
  },
);

t.test('bytes behind the outer packet do not make up for what its total length leaves out', async (t) => {
  const whole = nvgre();
  for (let total = 0; total < whole.length - ETHERNET; total++) {
    const frame = withChecksum(patched(whole, OUTER.totalLength, word(total)));
    t.equal(dataPlane.run('provider', frame).verdict, 'drop', `total length ${total}`);
  }
});

t.test(
  'padding behind the outer packet is let in; the inner total length still says where the packet ends',
  async (t) => {
    const { verdict, frame } = dataPlane.run('provider', Buffer.concat([nvgre(), pattern(20)]));
    t.equal(verdict, 'redirect');
    t.equal(frame.readUInt16BE(16), frame.length - ETHERNET - 20, 'the inner total length is as it was');
  },
);

t.test('any flipped bit of the GRE flags is refused', async (t) => {
  for (let bit = 0; bit < 16; bit++) {
    const frame = patched(nvgre(), GRE.flags, word(0x2000 ^ (1 << bit)));
    t.equal(reasonFor(frame), 'gre-flags', `bit ${bit}`);
    t.equal(refusalOf(frame), 'gre-flags', `bit ${bit}: the codec agrees`);
  }
});

t.test('any flipped bit of the GRE protocol is refused', async (t) => {
  for (let bit = 0; bit < 16; bit++)
    t.equal(
      reasonFor(patched(nvgre(), GRE.protocol, word(0x6558 ^ (1 << bit)))),
      'gre-protocol',
      `bit ${bit}`,
    );
});

t.test(
  'any flipped bit of the outer header is noticed, or makes it a packet for somebody else',
  async (t) => {
    for (let bit = 0; bit < 160; bit++) {
      const at = OUTER.ip + (bit >> 3);
      const frame = nvgre();
      const { verdict } = dataPlane.run(
        'provider',
        patched(frame, at, Buffer.of((frame[at] ?? 0) ^ (1 << (bit & 7)))),
      );
      const elsewhere = at === OUTER.protocol || at >= OUTER.destination;
      t.equal(verdict, elsewhere ? 'pass' : 'drop', `bit ${bit & 7} of byte ${at}`);
    }
  },
);

t.test('a VSID is reserved, unknown, or known', async (t) => {
  const rows: [number, string | undefined][] = [
    [0, 'vsid-reserved'],
    [0xfff, 'vsid-reserved'],
    [0x1000, 'vsid-unknown'],
    [contoso.vsids.first - 1, 'vsid-unknown'],
    [contoso.vsids.gateway, undefined],
    [0xfffffe, 'vsid-unknown'],
    [0xffffff, 'vsid-reserved'],
  ];
  for (const [vsid, reason] of rows) {
    const key = Buffer.alloc(4);
    key.writeUInt32BE(vsid * 256 + 0x5a);
    t.equal(reasonFor(patched(nvgre(), GRE.key, key)), reason, `VSID 0x${vsid.toString(16)}`);
  }
});

t.test('a sender may use any VSID of the domain, and any FlowID', async (t) => {
  for (const vsid of Object.values(contoso.vsids))
    t.equal(dataPlane.run('provider', nvgre({ vsid })).verdict, 'redirect', `VSID ${vsid}`);
  for (const flowId of [0, 1, 255])
    t.equal(dataPlane.run('provider', nvgre({ flowId })).verdict, 'redirect', `FlowID ${flowId}`);
});

t.test(
  'outer fragments are dropped, first, middle and last; DF and the evil bit are not fragments',
  async (t) => {
    const rows: [number, string | undefined][] = [
      [0x2000, 'outer-fragment'],
      [0x2001, 'outer-fragment'],
      [0x0001, 'outer-fragment'],
      [0x1fff, 'outer-fragment'],
      [0x0000, undefined],
      [0x4000, undefined],
      [0x8000, undefined],
    ];
    for (const [fragment, reason] of rows)
      t.equal(
        reasonFor(withChecksum(patched(nvgre(), OUTER.fragment, word(fragment)))),
        reason,
        `0x${fragment.toString(16)}`,
      );
  },
);

t.test(
  'an outer header of another length or version is dropped before anything behind it is believed',
  async (t) => {
    for (const first of [0x46, 0x4f, 0x44, 0x40, 0x65, 0x05])
      t.equal(
        reasonFor(patched(nvgre(), OUTER.ip, Buffer.of(first))),
        'outer-options',
        `version and length 0x${first.toString(16)}`,
      );
  },
);

t.test(
  'inner frames with VLAN tags, ARP, anything but IP, and what only says that it is IPv6 are dropped',
  async (t) => {
    const rows: [number, string][] = [
      [ETHERTYPE.vlan, 'inner-vlan'],
      [ETHERTYPE.providerVlan, 'inner-vlan'],
      [ETHERTYPE.ipv6, 'inner-malformed'],
      [ETHERTYPE.arp, 'inner-ethertype'],
      [0x88cc, 'inner-ethertype'],
      [0x0000, 'inner-ethertype'],
      [0xffff, 'inner-ethertype'],
    ];
    for (const [etherType, reason] of rows)
      t.equal(
        reasonFor(patched(nvgre(), INNER.etherType, word(etherType))),
        reason,
        `0x${etherType.toString(16)}`,
      );
  },
);

t.test('an inner IP header that cannot be is dropped', async (t) => {
  const whole = nvgre();
  const total = whole.length - INNER.ip;
  const rows: [string, number, Buffer][] = [
    ['version 6', INNER.ip, Buffer.of(0x65)],
    ['header of 16 bytes', INNER.ip, Buffer.of(0x44)],
    ['header longer than the packet', INNER.ip, Buffer.of(0x4f)],
    ['total length 0', INNER.ip + 2, word(0)],
    ['total length less than the header', INNER.ip + 2, word(19)],
    ['total length one more than there is', INNER.ip + 2, word(total + 1)],
    ['total length 65535', INNER.ip + 2, word(0xffff)],
  ];
  for (const [what, at, bytes] of rows) {
    t.equal(reasonFor(patched(whole, at, bytes)), 'inner-malformed', what);
    t.equal(refusalOf(patched(whole, at, bytes)), 'inner-malformed', `${what}: the codec agrees`);
  }
  t.equal(
    reasonFor(patched(whole, INNER.ip + 2, word(total - 1))),
    undefined,
    'one less than there is: padding',
  );
});

t.test('the VSID of a domain opens no port of another domain', async (t) => {
  const { first, gateway } = fabrikam.vsids;
  for (const vsid of [first, gateway])
    t.same(
      dataPlane.run('provider', nvgre({ vsid, outer: outerFrom(SHARED_PA) })).drop,
      { reason: 'inner-destination-foreign', domain: fabrikam.handle },
      `Contoso's gateway by VSID ${vsid}, from a host of both`,
    );
  t.same(
    dataPlane.run('provider', nvgre({ vsid: gateway })).drop,
    { reason: 'source-provider-address', domain: fabrikam.handle },
    'from a host that has nobody of Fabrikam',
  );
  t.equal(
    dataPlane.run(
      'provider',
      nvgre({
        vsid: gateway,
        outer: outerFrom(FOREIGN_PA),
        innerEthernet: innerFrom(VM_MAC, fabrikam.gatewayMac),
      }),
    ).counted[0]?.domain,
    fabrikam.handle,
    'Fabrikam’s own VM, of the same address and MAC, is let in',
  );
});

t.test('a frame is taken from hosts of the domain only, never from this node itself', async (t) => {
  for (const source of [FOREIGN_PA, GATEWAY_PA, '192.168.4.99', '0.0.0.0', '255.255.255.255'])
    t.same(
      dataPlane.run('provider', nvgre({ outer: outerFrom(source) })).drop,
      { reason: 'source-provider-address', domain: contoso.handle },
      source,
    );
});

t.test(
  'an inner source address is taken from where its record is, with its MAC or the router’s',
  async (t) => {
    const rows: [string, Partial<NvgreFrame>, string | undefined][] = [
      ['own MAC', {}, undefined],
      ['router’s MAC', { innerEthernet: innerFrom(routerMac) }, undefined],
      ['MAC of another VM', { innerEthernet: innerFrom(BRANCH_MAC) }, 'inner-source-mac'],
      ['MAC with one bit flipped', { innerEthernet: innerFrom('00:15:5d:00:00:05') }, 'inner-source-mac'],
      ['address of a VM elsewhere', { inner: ipv4({ source: '10.1.2.9' }) }, 'inner-source-address'],
      ['address without record', { inner: ipv4({ source: '10.1.1.5' }) }, 'inner-source-address'],
      ['outside address', { inner: ipv4({ source: '198.51.100.7' }) }, 'inner-source-address'],
      ['the gateway’s own address', { inner: ipv4({ source: '10.254.254.2' }) }, 'inner-source-address'],
      [
        'right address from another host of the domain',
        { outer: outerFrom(SHARED_PA) },
        'inner-source-address',
      ],
    ];
    for (const [what, changes, reason] of rows) t.equal(reasonFor(nvgre(changes)), reason, what);
  },
);

t.test(
  'a wildcard gateway may send from any address without a record, from its place, with its MAC or the router’s',
  async (t) => {
    const outside = ipv4({ source: '198.51.100.99', destination: '203.0.113.77' });
    const innerEthernet = innerFrom(WILDCARD_MAC);
    const outer = outerFrom(WILDCARD_PA);
    const rows: [string, Partial<NvgreFrame>, string | undefined][] = [
      ['outside address', { outer, innerEthernet, inner: outside }, undefined],
      [
        'address of a subnet without record',
        { outer, innerEthernet, inner: ipv4({ source: '10.1.1.5' }) },
        undefined,
      ],
      ['address of a VM', { outer, innerEthernet, inner: ipv4() }, 'inner-source-address'],
      ['another MAC', { outer, innerEthernet: innerFrom(VM_MAC), inner: outside }, 'inner-source-address'],
      [
        'the router’s MAC: it came from another subnet',
        { outer, innerEthernet: innerFrom(routerMac), inner: outside },
        undefined,
      ],
      ['another host', { outer: outerFrom(HOST_PA), innerEthernet, inner: outside }, 'inner-source-address'],
    ];
    for (const [what, changes, reason] of rows) t.equal(reasonFor(nvgre(changes)), reason, what);
    t.same(
      dataPlane.run(
        'provider',
        nvgre({
          outer: outerFrom(SHARED_PA),
          vsid: fabrikam.vsids.gateway,
          innerEthernet: innerFrom(WILDCARD_MAC, fabrikam.gatewayMac),
          inner: outside,
        }),
      ).drop,
      { reason: 'inner-source-address', domain: fabrikam.handle },
      'Contoso’s wildcard is nothing in Fabrikam',
    );
  },
);

t.test('an inner destination MAC is a port of the domain, of another, or of nobody', async (t) => {
  const rows: [string, string | undefined][] = [
    [contoso.gatewayMac, undefined],
    [fabrikam.gatewayMac, 'inner-destination-foreign'],
    [VM_MAC, 'inner-destination-unknown'],
    [routerMac, 'inner-destination-unknown'],
    ['ff:ff:ff:ff:ff:ff', 'inner-source-address'],
    ['00:00:00:00:00:00', 'inner-destination-unknown'],
  ];
  for (const [destination, reason] of rows)
    t.equal(reasonFor(nvgre({ innerEthernet: innerFrom(VM_MAC, destination) })), reason, destination);
});

t.test('an inner packet of just the MTU is let in, one more byte is too big', async (t) => {
  const ofLength = (length: number): Uint8Array => nvgre({ inner: ipv4({ payload: pattern(length - 20) }) });
  t.equal(reasonFor(ofLength(INNER_MTU)), undefined);
  t.equal(reasonFor(ofLength(INNER_MTU + 1)), 'inner-too-big');
});

t.test('what is not NVGRE for this node passes to the kernel, byte for byte, with its mark', async (t) => {
  const { provider } = LINK_MACS;
  const peer = '02:bb:00:00:00:11';
  const toUs = { source: HOST_PA, destination: GATEWAY_PA };
  const gre = { protocol: PROTOCOL.gre, payload: pattern(30) };
  const rows: [string, Buffer][] = [
    ['UDP to the provider address', ipv4Frame(provider, peer, toUs)],
    [
      'TCP with options to the provider address',
      ipv4Frame(provider, peer, { ...toUs, protocol: 6, options: pattern(8) }),
    ],
    [
      'GRE to another address',
      ipv4Frame(provider, peer, { ...gre, source: HOST_PA, destination: '192.168.4.2' }),
    ],
    ['GRE with options to another address', ipv4Frame(provider, peer, { ...gre, options: pattern(4) })],
    ['NVGRE to another MAC', patched(nvgre(), 0, Buffer.of(0x02, 0x77))],
    ['NVGRE to a group MAC', patched(nvgre(), 0, Buffer.of(0x01))],
    [
      'ARP',
      ethernet(
        provider,
        peer,
        ETHERTYPE.arp,
        arp({ operation: 1, senderMac: peer, sender: HOST_PA, targetMac: provider, target: GATEWAY_PA }),
      ),
    ],
    ['IPv6', ethernet(provider, peer, ETHERTYPE.ipv6, Buffer.concat([Buffer.of(0x60), pattern(60)]))],
    ['NVGRE behind a VLAN tag', patched(nvgre(), 12, word(ETHERTYPE.vlan))],
  ];
  for (const [what, frame] of rows) {
    const outcome = dataPlane.run('provider', frame, { mark: 0x77 });
    t.equal(outcome.verdict, 'pass', what);
    t.same(outcome.frame, frame, `${what}: unchanged`);
    t.equal(outcome.mark, 0x77, `${what}: mark kept`);
    t.same(outcome.counted, [], `${what}: not counted`);
  }
});

t.test('a provider address that is taken away takes no more tunnels', async (t) => {
  const providers = dataPlane.map('providers');
  const key = encodeProviderKey({ address: addressBytes(GATEWAY_PA) });
  const value = providers.lookup(key);
  if (value === undefined) throw new Error('no provider address');
  providers.delete(key);
  t.equal(dataPlane.run('provider', nvgre()).verdict, 'pass');
  providers.update(key, value);
  t.equal(dataPlane.run('provider', nvgre()).verdict, 'redirect');
});
