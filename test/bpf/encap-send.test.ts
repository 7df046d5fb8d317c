// Frames on real links: what user space sends out of a port, and the tag of a link that stands for a VLAN.
import t from 'tap';
import { inNetns } from '../../src/linux/netns.ts';
import { attachTc } from '../../src/linux/tc.ts';
import { testRun } from '../../src/linux/test-run.ts';
import { DataPlane, type Link, skbOf, VLAN } from './data-plane.ts';
import { FarEnd } from './far-end.ts';
import { arp, BROADCAST, ETHERTYPE, ethernet, NO_MAC } from './packets.ts';
import { VM_MAC } from './two-domains.ts';

const dataPlane = DataPlane.open(t);
const farEnd = new FarEnd(t, dataPlane, []);
const announcement = ethernet(
  BROADCAST,
  VM_MAC,
  ETHERTYPE.arp,
  arp({ operation: 1, senderMac: VM_MAC, sender: '10.1.1.4', targetMac: NO_MAC, target: '10.1.1.4' }),
);

/** What hnv_send returns for the announcement. */
function send(ifindex: number): number {
  const context = skbOf(dataPlane.ifindex('spare'), { control: [ifindex] });
  const program = dataPlane.object.program('hnv_send');
  return inNetns(dataPlane.namespace, () => testRun(program, { data: announcement, context })).retval;
}

t.test('a frame goes out of the port that is named, byte for byte, and nowhere else', async (t) => {
  for (const link of ['contosoWeb', 'contosoDb', 'fabrikamWeb'] satisfies Link[]) {
    t.equal(send(dataPlane.ifindex(link)), 0);
    t.same(farEnd.take(1), [{ link, isFar: true, mark: 0, vlan: 0, frame: announcement }]);
  }
});

t.test('a port that is gone is an error', async (t) => {
  t.ok(send(0x7fff) < 0);
  t.same(farEnd.take(0), []);
});

t.test('what leaves by a link that stands for a VLAN has its tag', async (t) => {
  inNetns(dataPlane.namespace, () =>
    attachTc(dataPlane.ifindex('tagged'), 'egress', dataPlane.object.program('hnv_tag')),
  );
  t.equal(send(dataPlane.ifindex('tagged')), 0);
  t.same(farEnd.take(1), [{ link: 'tagged', isFar: true, mark: 0, vlan: VLAN, frame: announcement }]);
});
