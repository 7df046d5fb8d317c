// What the data plane puts before or into a packet is written to the last byte. The kernel gives stale memory in two
// places: the headroom that a header comes to lie in (most kernels clear it, none promises to), and the stack that it is
// built on. Both are filled with a pattern by a program that then hands over by a tail call, which keeps stack and
// headroom; a byte that is never written would show the pattern.
import t from 'tap';
import type { Place } from '../../src/encap/core.ts';
import { encodeNvgre } from '../../src/encap/nvgre.ts';
import { HnvError } from '../../src/errors.ts';
import { BpfObject } from '../../src/linux/bpf-object.ts';
import { DataPlane, LINK_MACS } from './data-plane.ts';
import { compileFixture } from './fixtures/compile.ts';
import { arp, ETHERTYPE, ethernet, ipv4, ipv4Frame, pattern } from './packets.ts';
import { PreparedRuns } from './prepared-run.ts';
import { contoso, fabrikam, tenantFrame } from './two-domains.ts';

const PATTERNS = [0x00, 0x55, 0xff];

const dataPlane = DataPlane.open(t);
const prepared = new PreparedRuns(t, dataPlane);

const peer = '02:ee:00:00:00:01';
const toTenant = (length: number): Buffer =>
  ipv4Frame(LINK_MACS.contosoPort, contoso.gatewayMac, {
    source: '198.51.100.7',
    destination: '10.1.1.4',
    payload: pattern(length),
  });

const packets: [string, Place, Uint8Array][] = [
  ...[0, 1, 33, 1400].map((length): [string, Place, Uint8Array] => [
    `encapsulation of ${length} bytes`,
    'port',
    toTenant(length),
  ]),
  ['decapsulation', 'provider', encodeNvgre(tenantFrame(LINK_MACS.provider))],
  [
    'decapsulation with congestion',
    'provider',
    encodeNvgre(
      tenantFrame(LINK_MACS.provider, {
        outer: { ...tenantFrame('').outer, tos: 3 },
        inner: ipv4({ tos: 1 }),
      }),
    ),
  ],
  [
    'delivery from the uplink',
    'uplink',
    ipv4Frame(LINK_MACS.uplink, peer, { destination: contoso.external }),
  ],
  [
    'delivery from another context',
    'context',
    ipv4Frame(LINK_MACS.contosoOut, peer, { source: contoso.external, destination: fabrikam.external }),
  ],
  [
    'ARP answer',
    'uplink',
    ethernet(
      'ff:ff:ff:ff:ff:ff',
      peer,
      ETHERTYPE.arp,
      arp({
        operation: 1,
        senderMac: peer,
        sender: '203.0.113.1',
        targetMac: '00:00:00:00:00:00',
        target: contoso.external,
      }),
    ),
  ],
];

t.test('no byte of a packet depends on what was in memory before', async (t) => {
  for (const [what, place, packet] of packets) {
    const clean = dataPlane.run(place, packet);
    t.equal(clean.verdict, 'redirect', what);
    for (const poison of PATTERNS) {
      const { verdict, frame } = prepared.run(place, packet, { poison });
      t.equal(verdict, 'redirect', `${what} after 0x${poison.toString(16)}`);
      t.same(frame, clean.frame, `${what} after 0x${poison.toString(16)}: the same frame`);
    }
  }
});

t.test('the pattern does reach the stack of the program that is handed over to', async (t) => {
  const object = BpfObject.open(compileFixture(t, 'encap-stack'));
  t.teardown(() => object.close());
  try {
    object.load();
  } catch (error) {
    if (!(error instanceof HnvError)) throw error;
    t.match(error.message, /invalid read from stack/);
    t.comment('this kernel’s verifier refuses to read what was not written, so there is nothing to reach');
    return;
  }
  const program = prepared.programBefore(object.program('test_stack'));
  for (const poison of PATTERNS) t.equal(dataPlane.returnOf(program, toTenant(0), [poison]), poison);
});
