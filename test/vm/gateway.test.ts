/**
 * The gateway under a stock kernel, beside what only such a kernel has: a host that tunnels with the kernel's own GRE device, a
 * corporate network on the kernel's own 802.1Q device, and IPsec with the kernel's ESP, to sites with strongSwan and with Libreswan.
 */
import t, { type Test } from 'tap';
import type { SiteConnectionLive } from '../../src/api/operations.ts';
import { Capture } from '../lab/capture.ts';
import { ask, startEcho } from '../lab/echo.ts';
import { Fabric } from '../lab/fabric.ts';
import { GatewayNode, PROVIDER_NIC, UPLINK_NIC } from '../lab/gateway-node.ts';
import { FAR_ADDRESS, INTERNET_ADDRESS, Internet } from '../lab/internet.ts';
import { Lab } from '../lab/lab.ts';
import { LibreswanSite, type LibreswanTunnel } from '../lab/libreswan-site.ts';
import { Site } from '../lab/site.ts';
import { SiteDomain, whileCapturing } from '../lab/site-domains.ts';
import { CONTOSO, GATEWAY_ADDRESS, HOST_ADDRESSES, MAPPED_PORT, provisionDomain } from '../lab/topology.ts';
import { serveTransfer, Transfer } from '../lab/transfer.ts';
import { until } from '../lab/until.ts';
import { FLOW_ID, startGretapVm } from './gretap-host.ts';

const TRANSFER_BYTES = 300_000;
const VM_SUBNET = '10.1.1.0/24';
const EXTERNAL = CONTOSO.externalAddress;
const VLAN = 100;
const [CORPORATE, CORPORATE_GATEWAY] = ['172.20.0.1', '172.20.0.2'];
const KEY = 'a key of this tenant and its sites';
const [HOST] = HOST_ADDRESSES;
/** Everything takes its time in a machine that is emulated. */
const PATIENCE = 40_000;
const ECHO = ['tcp:0.0.0.0:7'];

/** A site, whatever is in its router. */
type OnPremises = Site | LibreswanSite;

t.test('a gateway under a stock kernel', async (t) => {
  const lab = await Lab.create(`sk${process.pid}`);
  t.teardown(() => lab.close());
  const fabric = await Fabric.create(lab);
  const gateway = await GatewayNode.create(fabric, 'gw', `${GATEWAY_ADDRESS}/24`);
  const internet = await Internet.create(lab, gateway.namespace, UPLINK_NIC);
  const { ip = '', mac = '' } = CONTOSO.vms[0] ?? {};
  const vm = await startGretapVm(
    fabric,
    `${HOST}/24`,
    { name: 'contoso1', ip, mac, prefixLength: 24, vsid: CONTOSO.vsid, gateway: '10.1.1.1' },
    { mac: CONTOSO.gatewayMac, vsid: CONTOSO.gatewayVsid, providerAddress: GATEWAY_ADDRESS },
  );
  await gateway.start();
  const { api } = gateway;
  const domain = new SiteDomain(gateway, CONTOSO, [vm]);
  await api.put(`/v1/provider-addresses/${GATEWAY_ADDRESS}`, { interface: PROVIDER_NIC, prefixLength: 24 });
  await provisionDomain(CONTOSO, (path, body) => api.put(path, body));
  await api.put(`${domain.base}/nat?wait=60s`, {
    externalAddresses: [{ ipAddress: EXTERNAL }],
    staticMappings: [
      {
        ...{ protocol: 'tcp', externalIpAddress: EXTERNAL, externalPort: MAPPED_PORT },
        ...{ internalIpAddress: vm.ip, internalPort: 80 },
      },
    ],
  });

  await t.test('NVGRE with the kernel’s own GRE device', async (t) => {
    const capture = await Capture.start(fabric.namespace, 'pn0', 'ip proto 47');

    await t.test('the VM reaches the internet under its public address', async (t) => {
      t.match(await vm.ping(INTERNET_ADDRESS), { received: 3 });
      const { body } = await vm.fetch(`http://${FAR_ADDRESS}/`);
      t.same(JSON.parse(body), { server: 'internet', yourAddress: EXTERNAL });
    });

    await t.test('the internet reaches the VM under the mapped port, and every byte arrives', async (t) => {
      await serveTransfer(vm.namespace, vm.ip, 80, TRANSFER_BYTES);
      const transfer = await Transfer.start(internet.namespace, EXTERNAL, MAPPED_PORT, 1e9);
      t.match(await transfer.finished(), { bytes: TRANSFER_BYTES, intact: true });
    });

    await t.test('both sides write the same header: a key, no checksum, no sequence number', async (t) => {
      await capture.stop();
      const frames = await capture.tunnels();
      const of = (source: string) => frames.filter((frame) => frame.outer.source === source);
      for (const [sent, vsid] of [
        [of(HOST), CONTOSO.gatewayVsid],
        [of(GATEWAY_ADDRESS), CONTOSO.vsid],
      ] as const) {
        t.ok(sent.length > 10, `${sent.length} frames`);
        t.same([...new Set(sent.map(({ flags }) => flags))], [0x2000]);
        t.same([...new Set(sent.map(({ protocol }) => protocol))], [0x6558]);
        t.same([...new Set(sent.map((frame) => frame.vsid))], [vsid]);
      }
      t.same([...new Set(of(HOST).map(({ flowId }) => flowId))], [FLOW_ID], 'the kernel has its own way');
    });
  });

  await t.test('forwarding to a VLAN of the kernel’s own 802.1Q', async (t) => {
    const corporate = await lab.namespace('corp');
    const vlan = `link add link ${Internet.nic} name eth0 netns ${corporate.name} up type vlan id ${VLAN}`;
    await internet.namespace.ip(...vlan.split(' '));
    await corporate.ipBatch([
      `addr add ${CORPORATE}/24 dev eth0`,
      `route add ${VM_SUBNET} via ${CORPORATE_GATEWAY}`,
    ]);
    await api.put(`${domain.base}/forwarding?wait=60s`, {
      ...{ vlanId: VLAN, addresses: [`${CORPORATE_GATEWAY}/24`], advertise: [VM_SUBNET] },
    });
    t.match(await vm.ping(CORPORATE), { received: 3 });
    const transfer = await Transfer.start(corporate, vm.ip, 80, 1e9);
    t.match(await transfer.finished(), { bytes: TRANSFER_BYTES, intact: true });
  });

  await t.test('IPsec with the kernel’s ESP', async (t) => {
    const outside = internet.namespace;
    const remotePrefixes = [VM_SUBNET];
    const office = await Site.create(lab, outside, {
      ...{ name: 'office', addresses: ['192.0.2.10'], subnets: ['192.168.50.0/24'], remotePrefixes },
    });
    const branch = await LibreswanSite.create(lab, outside, {
      ...{ name: 'branch', addresses: ['192.0.2.20'], subnets: ['192.168.60.0/24'], remotePrefixes },
    });
    const sites: OnPremises[] = [office, branch];
    await Promise.all([
      startEcho(vm.namespace, vm.name, ECHO),
      ...sites.map(({ host, spec }) => startEcho(host, spec.name, ECHO)),
    ]);
    const ofBranch: LibreswanTunnel = {
      ...{ name: 'cloud', key: KEY, localId: '@branch', remoteId: EXTERNAL, remoteAddress: EXTERNAL },
      ...{ local: '192.168.60.0/24', remote: VM_SUBNET, begins: true },
    };
    const putConnection = ({ address, spec }: OnPremises, initiate: 'start' | 'never') =>
      api.put(`${domain.base}/site-connections/${spec.name}?wait=60s`, {
        destination: address,
        authentication: { method: 'psk', preSharedKey: KEY, remoteId: spec.name },
        subnets: spec.subnets.map((prefix) => ({ prefix })),
        localSubnets: [VM_SUBNET],
        initiate,
      });
    const connected = ({ spec }: OnPremises, passes: (live: SiteConnectionLive) => boolean = () => true) =>
      domain.reaches(spec.name, 'connected', (live) => live.carries && passes(live), PATIENCE);
    const reachEachOther = async (t: Test, site: OnPremises) => {
      const { host, spec } = site;
      t.match(
        await ask(host, `tcp:${vm.ip}:7`),
        [{ server: vm.name, address: site.hostAddress() }],
        `${spec.name} reaches the VM`,
      );
      t.match(
        await ask(vm.namespace, `tcp:${site.hostAddress()}:7`),
        [{ server: spec.name, address: vm.ip }],
        `the VM reaches ${spec.name}`,
      );
    };

    await t.test('tunnels that the gateway begins, and that Libreswan begins, come up', async (t) => {
      await office.setTunnels([
        {
          ...{ name: 'cloud', key: KEY, localId: 'office', remoteId: EXTERNAL, remoteAddress: EXTERNAL },
          ...{ local: office.spec.subnets, remote: remotePrefixes },
        },
      ]);
      await putConnection(office, 'start');
      await putConnection(branch, 'never');
      await branch.start([ofBranch]);
      for (const [site, initiator] of [
        [office, true],
        [branch, false],
      ] as const) {
        const { engine, ikeSas } = await connected(site);
        t.equal(engine, 'kernel');
        t.match(ikeSas, [{ initiator, remoteId: site.spec.name, childSas: [{ encapsulated: false }] }]);
      }
    });

    await t.test('each side reaches the other, and only ESP is to be seen outside', async (t) => {
      const { capture, inTheClear } = await whileCapturing({ gateway }, async () => {
        for (const site of sites) await reachEachOther(t, site);
      });
      t.same(inTheClear, []);
      const ways = (await capture.decode('esp && !udp', ['ip.src', 'ip.dst'])).map((way) => way.join(' to '));
      const wanted = sites.flatMap(({ address }) => [
        `${EXTERNAL} to ${address}`,
        `${address} to ${EXTERNAL}`,
      ]);
      t.same([...new Set(ways)].sort(), wanted.sort());
    });

    await t.test('Libreswan makes new keys, for ESP and for IKE', async (t) => {
      const before = spisOf(await connected(branch));
      await branch.rekey('ipsec', 'cloud');
      const { ikeSas } = await connected(branch, (live) => {
        const now = spisOf(live);
        return now.length === 1 && now[0] !== before[0];
      });
      t.equal(ikeSas.length, 1);
      await reachEachOther(t, branch);
      await branch.rekey('ike', 'cloud');
      await until('the IKE SA has new keys', PATIENCE, () =>
        branch.log.some((line) => /initiator rekeyed IKE SA/.test(line)),
      );
      await reachEachOther(t, branch);
    });

    await t.test('Libreswan was killed, and begins again', async (t) => {
      const before = spisOf(await connected(branch));
      await branch.kill();
      await branch.start([ofBranch]);
      await connected(branch, (live) => spisOf(live).some((spi) => !before.includes(spi)));
      await reachEachOther(t, branch);
    });

    await t.test('when the gateway is killed, the tunnels stay', async (t) => {
      await gateway.kill('SIGKILL');
      for (const site of sites) await reachEachOther(t, site);
    });
  });
});

/** The ESP SAs of a connection, each by its two SPIs. */
function spisOf(live: SiteConnectionLive): string[] {
  return live.ikeSas.flatMap(({ childSas }) => childSas).map(({ spiIn, spiOut }) => `${spiIn} ${spiOut}`);
}
