/**
 * Two hosts with provider links of their own (VLAN and MAC), a group and a provider route: what is changed by hand of
 * links, routes, memberships and ports is found and mended, and VMs talk again.
 */
import t from 'tap';
import { OWNER } from '../../src/encap/core.ts';
import { providerLink } from '../../src/gateway/names.ts';
import { BpfMap } from '../../src/linux/bpf-map.ts';
import { ifindexOf } from '../../src/linux/links.ts';
import { inNetns } from '../../src/linux/netns.ts';
import { writeSysctl } from '../../src/linux/sysctl.ts';
import { detachTc } from '../../src/linux/tc.ts';
import { generationDirectory, mapEntries } from '../lab/data-plane-maps.ts';
import { DriftWatch } from '../lab/drift-watch.ts';
import { Fabric } from '../lab/fabric.ts';
import { HostNode } from '../lab/host-node.ts';
import { Lab } from '../lab/lab.ts';
import { PROVIDER_NIC } from '../lab/node-process.ts';
import { placedSpec, placeVms } from '../lab/placed-vms.ts';
import { putReady } from '../lab/three-hosts.ts';
import { until } from '../lab/until.ts';
import { innerMtu } from '../lab/vm.ts';
import { providerAddress, vmNetwork } from '../lab/vm-network.ts';

const NETWORK = vmNetwork('red', '11111111-1111-1111-1111-111111111111', 5001);
const GROUP = '239.77.0.1';

t.test('a host that is changed by hand', { timeout: 120_000 }, async (t) => {
  const lab = await Lab.create(`drh${process.pid}`);
  t.teardown(() => lab.close());
  const fabric = await Fabric.create(lab);
  const nodes = [await HostNode.create(fabric, 'h1', []), await HostNode.create(fabric, 'h2', [])] as const;
  const [node, peer] = nodes;
  const addresses = [providerAddress(4, 0), providerAddress(4, 1)] as const;
  const provider = { interface: PROVIDER_NIC, prefixLength: 24, vlanId: 100 };
  const vms = await placeVms(
    nodes.map((each, index) => ({
      ...{ network: NETWORK, node: each, providerAddress: addresses[index] ?? '' },
      spec: placedSpec(NETWORK, 1, 11 + index, innerMtu(4)),
    })),
    new Map(nodes.map((each, index) => [each, [[`/v1/provider-addresses/${addresses[index]}`, provider]]])),
  );
  const [vm, other] = vms;
  if (vm === undefined || other === undefined) throw new Error('VMs are missing');
  for (const each of nodes)
    await putReady(each.api, `/v1/routing-domains/${NETWORK.rdid}/virtual-subnets/5001`, {
      addressPrefixes: ['10.1.1.0/24', 'fd00:1:1::/64'],
      providerMulticastAddress: GROUP,
    });
  await putReady(node.api, '/v1/provider-routes/far', {
    ...{ interface: PROVIDER_NIC, destinationPrefix: '192.168.99.0/24', nextHop: addresses[1], metric: 7 },
  });
  const link = providerLink(node.instance, addresses[0]);
  const works = (): Promise<true> =>
    until('VMs talk', 10_000, async () => (await vm.ping(other.ip, 1)).received === 1 || undefined);
  await works();
  const before = mapEntries(node.instance);
  const drift = await DriftWatch.start(node);
  t.teardown(() => drift.close());
  const ip = (...args: string[]): Promise<string> => node.namespace.ip(...args);

  await t.test('links, routes, memberships, ports and maps, all at once', async (t) => {
    await ip('link', 'set', link, 'address', '02:66:66:66:66:66');
    await ip('link', 'set', link, 'mtu', '1400');
    await ip('addr', 'add', '192.0.2.5/32', 'dev', link);
    await ip('addr', 'del', `${GROUP}/32`, 'dev', link);
    await ip('route', 'del', '192.168.99.0/24', 'proto', '234');
    await ip('route', 'add', '192.168.98.0/24', 'via', addresses[1], 'proto', '234');
    inNetns(node.namespace.name, () => {
      detachTc(ifindexOf(link) ?? 0, 'egress', OWNER);
      detachTc(ifindexOf(PROVIDER_NIC) ?? 0, 'ingress', OWNER);
      writeSysctl(`net/ipv4/conf/${link}/arp_ignore`, '0');
      writeSysctl(`net/ipv6/conf/${vm.name}/disable_ipv6`, '0');
    });
    await node.namespace.run(['tc', 'filter', 'del', 'dev', vm.name, 'ingress']);
    const vlans = BpfMap.openPinned(`${generationDirectory(node.instance)}/maps/vlans`);
    for (const [key] of vlans?.entries() ?? []) vlans?.delete(key);
    vlans?.close();
    const { reasons, ms } = await drift.mended(
      ...[
        /had the MAC 02:66/,
        /had the MTU 1400/,
        /had the address 192\.0\.2\.5\/32/,
        /group 239\.77\.0\.1 was not/,
      ],
      ...[/provider route far was missing/, /route of protocol 234 was there: 192\.168\.98/],
      ...[/the program tag was missing/, /pa0: the program provider was missing/, /arp_ignore was 0/],
      ...[/an entry of the map vlans was missing/, /its program was missing/, /IPv6 of the host was on/],
    );
    t.comment(`mended after ${ms} ms: ${reasons.join(' ')}`);
    await works();
    t.same(mapEntries(node.instance), before);
    t.match(await ip('route', 'show', 'proto', '234'), /192\.168\.99\.0\/24/);
    t.notMatch(await ip('route', 'show', 'proto', '234'), /192\.168\.98\.0/);
    t.match(await ip('addr', 'show', 'dev', link), /239\.77\.0\.1/);
  });

  await t.test('a provider link that is deleted', async () => {
    await ip('link', 'del', link);
    await drift.mended(/the link .* was missing/);
    await works();
  });

  await t.test('a change of the operator’s is followed, and is no drift', async (t) => {
    await peer.kill();
    const nic = '172.16.0.9';
    await ip('addr', 'add', `${nic}/24`, 'dev', PROVIDER_NIC);
    await putReady(node.api, `/v1/provider-addresses/${nic}`, { interface: PROVIDER_NIC, prefixLength: 24 });
    await ip('addr', 'del', `${nic}/24`, 'dev', PROVIDER_NIC);
    const state = async (): Promise<string> => {
      const read = await node.api.get(`/v1/provider-addresses/${nic}`);
      return (read as { status: { state: string } }).status.state;
    };
    await until('its absence is noticed', 20_000, async () => (await state()) === 'failed');
    await ip('addr', 'add', `${nic}/24`, 'dev', PROVIDER_NIC);
    await until('its return is noticed', 40_000, async () => (await state()) === 'ready');
    t.same(drift.take(), []);
  });
});
