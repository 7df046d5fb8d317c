/**
 * What a hostile or broken host can put on the provider network: each frame is dropped under its own reason, counted for
 * the domain that it claims to be of, and nothing of it reaches the internet or another tenant.
 */
import t from 'tap';
import { Capture } from '../lab/capture.ts';
import { dropsBetween, dropsOf } from '../lab/drop-counters.ts';
import { PROVIDER_NIC } from '../lab/gateway-node.ts';
import { Lab } from '../lab/lab.ts';
import type { Namespace } from '../lab/namespace.ts';
import { echoRequest, type FrameFields, nvgreFrame, udp } from '../lab/nvgre-frame.ts';
import { RawLink } from '../lab/raw-link.ts';
import {
  buildTopology,
  CONTOSO,
  FABRIKAM,
  GATEWAY_ADDRESS,
  HOST_ADDRESSES,
  provisionTenants,
} from '../lab/topology.ts';
import { until } from '../lab/until.ts';

const INTERNET = '198.51.100.1';
/** Nobody has it: a frame from there is from a host that policy does not know. */
const STRANGER = '192.168.1.66';
const [HOST] = HOST_ADDRESSES;

async function macOf(namespace: Namespace, nic: string): Promise<string> {
  const [link] = JSON.parse(await namespace.ip('-json', 'link', 'show', 'dev', nic)) as { address: string }[];
  return link?.address ?? '';
}

t.test('hostile frames on the provider network', { timeout: 120_000 }, async (t) => {
  const lab = await Lab.create(`host${process.pid}`);
  t.teardown(() => lab.close());
  const { fabric, gateway, contoso, internet } = await buildTopology(lab);
  await gateway.start();
  await provisionTenants(gateway.api);
  // A machine of the attacker's own on the provider network, free to lie about every address.
  const attacker = await lab.namespace('evil');
  await fabric.attach(attacker, 'pa', { wireFrames: false });
  const raw = await RawLink.open(attacker, 'pa');
  const capture = await Capture.start(internet.namespace, 'lan0', 'udp port 6666 or net 10.0.0.0/8');

  const [vm] = CONTOSO.vms;
  const [foreign] = FABRIKAM.vms;
  if (vm === undefined || foreign === undefined) throw new Error('the lab has no VMs');
  const good: FrameFields = {
    destinationMac: await macOf(gateway.namespace, PROVIDER_NIC),
    sourceMac: await macOf(attacker, 'pa'),
    from: HOST,
    to: GATEWAY_ADDRESS,
    vsid: CONTOSO.gatewayVsid,
    innerDestinationMac: CONTOSO.gatewayMac,
    innerSourceMac: vm.mac,
    inner: udp(vm.ip, INTERNET, 1000, 6666, 'hostile'),
  };
  const cut = (bytes: number): Buffer => nvgreFrame(good).subarray(0, bytes);
  const badChecksum = nvgreFrame(good);
  badChecksum.writeUInt16BE(badChecksum.readUInt16BE(24) ^ 1, 24);
  const options = nvgreFrame(good);
  options[14] = 0x46;

  const cases: { what: string; frame: Buffer; reason: string; domain?: string }[] = [
    { what: 'an unknown VSID', frame: nvgreFrame({ ...good, vsid: 7777 }), reason: 'vsid-unknown' },
    { what: 'a reserved VSID (0)', frame: nvgreFrame({ ...good, vsid: 0 }), reason: 'vsid-reserved' },
    { what: 'a reserved VSID (0xFFF)', frame: nvgreFrame({ ...good, vsid: 0xfff }), reason: 'vsid-reserved' },
    {
      what: 'a reserved VSID (0xFFFFFF)',
      frame: nvgreFrame({ ...good, vsid: 0xffffff }),
      reason: 'vsid-reserved',
    },
    { what: 'a GRE checksum', frame: nvgreFrame({ ...good, greFlags: 0xa000 }), reason: 'gre-flags' },
    { what: 'a GRE sequence number', frame: nvgreFrame({ ...good, greFlags: 0x3000 }), reason: 'gre-flags' },
    { what: 'no GRE key', frame: nvgreFrame({ ...good, greFlags: 0x0000 }), reason: 'gre-flags' },
    { what: 'GRE version 1', frame: nvgreFrame({ ...good, greFlags: 0x2001 }), reason: 'gre-flags' },
    {
      what: 'GRE that is not Ethernet',
      frame: nvgreFrame({ ...good, greProtocol: 0x0800 }),
      reason: 'gre-protocol',
    },
    { what: 'a first fragment', frame: nvgreFrame({ ...good, fragment: 0x2000 }), reason: 'outer-fragment' },
    { what: 'a later fragment', frame: nvgreFrame({ ...good, fragment: 0x0010 }), reason: 'outer-fragment' },
    { what: 'a wrong outer checksum', frame: badChecksum, reason: 'outer-checksum' },
    { what: 'an outer header with options', frame: options, reason: 'outer-options' },
    {
      what: 'an inner VLAN tag',
      frame: nvgreFrame({ ...good, innerVlan: 5 }),
      reason: 'inner-vlan',
      domain: CONTOSO.rdid,
    },
    {
      what: 'a provider address that is not the domain’s',
      frame: nvgreFrame({ ...good, from: STRANGER }),
      reason: 'source-provider-address',
      domain: CONTOSO.rdid,
    },
    {
      what: 'the VSID of another domain',
      frame: nvgreFrame({ ...good, vsid: FABRIKAM.vsid }),
      reason: 'inner-destination-foreign',
      domain: FABRIKAM.rdid,
    },
    {
      what: 'a destination MAC that is nobody’s port',
      frame: nvgreFrame({ ...good, innerDestinationMac: '02:00:00:99:99:99' }),
      reason: 'inner-destination-unknown',
      domain: CONTOSO.rdid,
    },
    {
      what: 'a spoofed inner source address',
      frame: nvgreFrame({ ...good, inner: udp('10.1.1.99', INTERNET, 1000, 6666, 'hostile') }),
      reason: 'inner-source-address',
      domain: CONTOSO.rdid,
    },
    {
      what: 'the address of a VM that is on the other host',
      frame: nvgreFrame({ ...good, inner: udp(CONTOSO.vms[1]?.ip ?? '', INTERNET, 1000, 6666, 'hostile') }),
      reason: 'inner-source-address',
      domain: CONTOSO.rdid,
    },
    {
      what: 'a spoofed inner source MAC',
      frame: nvgreFrame({ ...good, innerSourceMac: foreign.mac }),
      reason: 'inner-source-mac',
      domain: CONTOSO.rdid,
    },
    {
      what: 'an inner packet larger than the inner MTU',
      frame: nvgreFrame({ ...good, inner: udp(vm.ip, INTERNET, 1000, 6666, 'x'.repeat(1459 - 28)) }),
      reason: 'inner-too-big',
      domain: CONTOSO.rdid,
    },
  ];
  // The provider NIC must take a frame that is too large for the tenant.
  for (const [namespace, nic] of [[attacker, 'pa']] as const)
    await namespace.ip('link', 'set', nic, 'mtu', '1600');
  await fabric.namespace.ipBatch(
    (JSON.parse(await fabric.namespace.ip('-json', 'link', 'show')) as { ifname: string }[])
      .filter(({ ifname }) => ifname !== 'lo')
      .map(({ ifname }) => `link set ${ifname} mtu 1600`),
  );

  for (const { what, frame, reason, domain } of cases) {
    await t.test(`a frame with ${what} is dropped as ${reason}`, async (t) => {
      const before = await dropsOf(gateway, domain);
      await raw.send(frame);
      const grown = await until('the drop is counted', 5_000, async () => {
        const now = dropsBetween(before, await dropsOf(gateway, domain));
        return Object.keys(now).length > 0 && now;
      });
      t.same(grown, { [reason]: 1 });
    });
  }

  await t.test('a frame cut at every byte is dropped, and each cut is counted', async (t) => {
    const reasons = ['outer-truncated', 'inner-truncated', 'inner-malformed'];
    const total = async (): Promise<number> => {
      const all = [await dropsOf(gateway, undefined), await dropsOf(gateway, CONTOSO.rdid)];
      return all.flatMap((part) => reasons.map((reason) => part[reason] ?? 0)).reduce((a, b) => a + b);
    };
    const before = await total();
    const length = nvgreFrame(good).length;
    for (let bytes = 15; bytes < length; bytes++) await raw.send(cut(bytes));
    await until('all cuts are counted', 5_000, async () => (await total()) - before >= length - 15);
    t.equal((await total()) - before, length - 15);
  });

  await t.test('the samples tell the operator what was dropped', async (t) => {
    const frame = nvgreFrame({ ...good, vsid: 9999 });
    const sample = await until('a sample has arrived', 5_000, async () => {
      await raw.send(frame); // again each time, for only one drop in 10 ms is sampled
      const { recentDrops } = (await gateway.api.get('/v1/status')) as { recentDrops: { head: string }[] };
      return recentDrops.findLast(({ head }) => head.includes('2000655800270f00'));
    });
    t.match(sample, { reason: 'vsid-unknown', interface: PROVIDER_NIC, length: frame.length });
  });

  await t.test('nothing of it all has reached the internet, and good frames still do', async (t) => {
    const [contosoVm] = contoso;
    await until(
      'the VM reaches the internet',
      10_000,
      async () => (await contosoVm.ping(INTERNET, 1)).received === 1,
    );
    t.same(await capture.stop().then(() => capture.decode('', ['ip.src', 'ip.dst', 'udp.dstport'])), []);
    const again = await Capture.start(internet.namespace, 'lan0', 'icmp');
    await raw.send(nvgreFrame({ ...good, inner: echoRequest(vm.ip, INTERNET, 7, 7) }));
    await until('the good frame arrives', 5_000, async () => {
      const counters = (await gateway.api.get(`/v1/routing-domains/${CONTOSO.rdid}/counters`)) as {
        encapsulated: { packets: number };
      };
      return counters.encapsulated.packets >= 2;
    });
    await again.stop();
    const seen = await again.decode('icmp.type == 8', ['ip.src']);
    t.same(seen[0], [CONTOSO.externalAddress], 'under the tenant’s public address');
  });
});
