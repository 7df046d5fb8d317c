/**
 * Between virtual subnets a host is the distributed router: the `.1` of every subnet, on every host. The way to a VM of
 * another subnet, errors that the `.1` tells of, and customer routes whose next hop is a VM that routes.
 */
import t, { type Test } from 'tap';
import { Capture } from '../lab/capture.ts';
import { ask, startEcho } from '../lab/echo.ts';
import { extraMachine } from '../lab/extra-machine.ts';
import { ROUTER_MAC } from '../lab/hnv-flows.ts';
import { Lab } from '../lab/lab.ts';
import { PROVIDER_NIC } from '../lab/node-process.ts';
import { putReady, ThreeHosts } from '../lab/three-hosts.ts';
import { trafficDuring } from '../lab/traffic.ts';
import { serveTransfer, Transfer } from '../lab/transfer.ts';
import { VM_NIC, type Vm } from '../lab/vm.ts';
import { THREE_SUBNETS, tenantPolicyOf, vmNetwork } from '../lab/vm-network.ts';

/** Addresses behind the VMs that route, of no subnet and of no record. */
const OUTSIDE = ['203.0.113.1', '2001:db8:203::1'] as const;
const SPECIAL = ['203.0.113.129', '2001:db8:203:8000::1'] as const;
/** A service that one of the VMs that route sends on to a VM of the network. */
const SERVICE = ['192.0.2.80', '2001:db8:2::80'] as const;
const NOWHERE = ['198.51.100.1', '2001:db8:bad::1'] as const;

const TRANSFER_BYTES = 20_000_000;
/** Bytes a second, more than there is. */
const FULL_SPEED = 10_000_000_000;

/** The three subnets and one that has only VMs that route (seed 001: a gateway is in a subnet of its own). */
function routedNetwork(family: 4 | 6) {
  const { rdid, subnets } = vmNetwork('contoso', THREE_SUBNETS.rdid, 5001);
  const routers = { vsid: 5009, prefix: '10.1.9.0/24', prefix6: 'fd00:1:9::/64', isGatewaySubnet: true };
  const network = { name: 'contoso', rdid, subnets: [...subnets, routers] };
  /** One behind Open vSwitch, the `.2` as of a gateway, one on a node. */
  const gateway = extraMachine(network, 4, 2, 3, family);
  const second = extraMachine(network, 4, 3, 1, family);
  return { network: { ...network, records: [...gateway.records, ...second.records] }, gateway, second };
}

for (const family of [4, 6] as const) {
  t.test(`the distributed router over IPv${family} provider addresses`, { timeout: 120_000 }, async (t) => {
    const lab = await Lab.create(`hr${family}p${process.pid}`);
    t.teardown(() => lab.close());
    const { network, gateway, second } = routedNetwork(family);
    const hosts = await ThreeHosts.build(lab, { providerFamily: family, networks: [network] });
    const [node] = hosts.nodes;
    const routers = [await hosts.ovs.addVm(gateway.spec), await node.addVm(second.spec)] as const;
    for (const [index, vm] of routers.entries()) await becomeRouter(vm, `router${index + 1}`);
    await hosts.start();
    const from = hosts.vm(1, 1);
    const places: [string, Vm][] = [
      ['the same host', hosts.vm(2, 1)],
      ['another node', hosts.vm(2, 2)],
      ['an Open vSwitch host', hosts.vm(2, 3)],
    ];
    for (const [, vm] of places) for (const address of vm.addresses) await from.ping(address, 1);

    const wireDuring = async (filter: string, work: () => Promise<unknown>): Promise<Capture> => {
      const capture = await Capture.start(node.namespace, PROVIDER_NIC, filter);
      await work();
      await capture.stop();
      return capture;
    };

    await t.test('a packet to another subnet has the router’s MAC and one less TTL, once', async (t) => {
      const captures = await Promise.all(
        places.map(([, vm]) => Capture.start(vm.namespace, VM_NIC, 'icmp or icmp6')),
      );
      const wire = await wireDuring('ip proto 47 or ip6 proto 47', async () => {
        for (const [place, vm] of places) {
          for (const address of vm.addresses)
            t.match(await from.ping(address, 2), { received: 2, ttls: [63, 63] }, `${place}: ${address}`);
        }
      });
      for (const [index, [place, vm]] of places.entries()) {
        const capture = captures[index];
        await capture?.stop();
        const fields = ['eth.src', 'eth.dst', 'ip.ttl', 'ipv6.hlim'];
        const rows = await capture?.decode('icmp.type == 8 || icmpv6.type == 128', fields);
        const macs = [ROUTER_MAC, vm.spec.mac];
        const [v4, v6] = [
          [...macs, '63', ''],
          [...macs, '', '63'],
        ];
        t.same(rows, [v4, v4, v6, v6], place);
      }
      const frames = await wire.tunnels('icmp.type == 8 || icmpv6.type == 128');
      t.equal(frames.length, 8, 'nothing is on the wire for the same host');
      for (const { vsid, inner } of frames) {
        const to = places.find(([, vm]) => vm.addresses.includes(inner.destination ?? ''))?.[1];
        t.equal(vsid, to?.spec.vsid, 'the VSID is the destination’s');
        t.match(inner, { sourceMac: ROUTER_MAC, destinationMac: to?.spec.mac, ttl: 63 });
      }
    });

    await t.test('the `.1` of each subnet answers pings, without the wire', async (t) => {
      const { gateway: own, gateway6: own6 } = from.spec;
      const { gateway: other, gateway6: other6 } = hosts.vm(2, 2).spec;
      const wire = await wireDuring('ip proto 47 or ip6 proto 47', async () => {
        for (const address of [own, own6 ?? '', other, other6 ?? '']) {
          t.match(await from.ping(address, 2), { received: 2, ttls: [64, 64] }, address);
        }
      });
      t.same(await wire.tunnels('icmp || icmpv6.type == 128 || icmpv6.type == 129'), []);
    });

    await t.test('traceroute shows the `.1` of the sender’s subnet', async (t) => {
      const { gateway: router, gateway6: router6 } = from.spec;
      for (const [, vm] of places) {
        for (const [index, first] of [router, router6].entries()) {
          for (const method of ['udp', 'icmp'] as const) {
            const address = vm.addresses[index] ?? '';
            const hops = await from.traceroute(address, { method });
            t.same(hops, [{ address: first }, { address }], `${method} ${address}`);
          }
        }
      }
      const inSubnet = hosts.vm(1, 2).ip;
      t.same(await from.traceroute(inSubnet), [{ address: inSubnet }], 'inside a subnet there is none');
    });

    await t.test('what has no way, no record or no port is told so by the `.1`', async (t) => {
      const errors = await Capture.start(from.namespace, VM_NIC, 'icmp or icmp6');
      const said = async (address: string) => {
        const { stdout } = await from.namespace.run(['ping', '-n', '-c', '1', '-W', '1', address]);
        return /^From (\S+) icmp_seq=1 (.*)$/m.exec(stdout)?.slice(1);
      };
      const { gateway: router, gateway6: router6 } = from.spec;
      t.same(await said(NOWHERE[0]), [router, 'Destination Net Unreachable']);
      t.same(await said(NOWHERE[1]), [router6, 'Destination unreachable: No route']);
      t.same(await said('10.1.2.99'), [router, 'Destination Host Unreachable']);
      t.same(await said('fd00:1:2::99'), [router6, 'Destination unreachable: Address unreachable']);
      // UDP to a `.1` ends there with a port unreachable, whatever the TTL.
      for (const address of ['10.1.1.1', '10.1.2.1', 'fd00:1:1::1', 'fd00:1:2::1'])
        t.same(await from.traceroute(address), [{ address }], address);
      // Their senders leave the checksums of these to the NIC, and the errors quote them.
      for (const endpoint of NOWHERE.map((address, index) =>
        index ? `tcp:[${address}]:7` : `tcp:${address}:7`,
      ))
        t.same(await ask(from.namespace, endpoint, { timeoutMs: 300 }), [null]);
      await errors.stop();
      const isError = 'icmp.type == 3 || icmp.type == 11 || icmpv6.type < 128';
      const statuses = await decodeChecked(lab, errors.file, isError);
      t.ok(statuses.length >= 10, `${statuses.length} errors`);
      t.same(
        statuses.filter((row) => row.includes('0')),
        [],
        'no checksum is bad',
      );
      const quoting = 'icmp.type == 3 && tcp || icmpv6.type == 1 && tcp';
      t.equal((await errors.decode(quoting, ['frame.number'])).length, 2, 'TCP gets its errors too');
    });

    await t.test('customer routes', async (t) => {
      const setRoute = async (id: string, destinationPrefix: string, nextHop: string, metric = 0) => {
        const body = { virtualSubnetId: gateway.spec.vsid, destinationPrefix, nextHop, metric };
        await Promise.all(hosts.nodes.map((each) => putReady(each.api, routePath(id), body)));
      };
      const removeRoute = async (id: string) => {
        await Promise.all(hosts.nodes.map((each) => each.api.delete(`${routePath(id)}?wait=10s`)));
      };
      const routePath = (id: string) => `/v1/routing-domains/${network.rdid}/customer-routes/${id}`;
      const answering = async (t: Test, addresses: readonly string[], expected: string, asker = from) => {
        for (const address of addresses) {
          const endpoint = address.includes(':') ? `udp:[${address}]:7000` : `udp:${address}:7000`;
          const [answer] = await ask(asker.namespace, endpoint);
          t.match(answer, { server: expected }, `${asker.name} ${address}`);
        }
      };
      const [first, other] = routers;

      await t.test('a default route leads to the `.2` of a gateway', async (t) => {
        await setRoute('default', '0.0.0.0/0', first.ip, 10);
        await setRoute('default6', '::/0', first.ip6, 10);
        const prefixes = ['0.0.0.0/0', '::/0'];
        const routes = prefixes.map((prefix, index) => ({ prefix, nextHop: first.addresses[index] ?? '' }));
        await hosts.ovs.setPolicy([{ ...tenantPolicyOf(network, family), routes }]);
        for (const asker of [from, hosts.vm(3, 2), hosts.vm(1, 3)])
          await answering(t, OUTSIDE, 'router1', asker);
        const { gateway: router, gateway6: router6 } = from.spec;
        for (const [index, hop] of [router, router6].entries()) {
          const hops = await from.traceroute(OUTSIDE[index] ?? '');
          t.same(hops, [{ address: hop }, { address: OUTSIDE[index] }]);
        }
      });

      await t.test('a better metric takes a prefix over, and gives it back', async (t) => {
        await setRoute('better', '0.0.0.0/0', other.ip, 5);
        await setRoute('better6', '::/0', other.ip6, 5);
        await answering(t, OUTSIDE, 'router2');
        await answering(t, OUTSIDE, 'router2', hosts.vm(3, 2));
        await removeRoute('better');
        await removeRoute('better6');
        await answering(t, OUTSIDE, 'router1');
      });

      await t.test('the longest prefix wins, whatever the metrics', async (t) => {
        await setRoute('longer', '203.0.113.128/25', other.ip, 50);
        await setRoute('longer6', '2001:db8:203:8000::/49', other.ip6, 50);
        await answering(t, OUTSIDE, 'router1');
        await answering(t, SPECIAL, 'router2');
        await answering(t, SPECIAL, 'router2', hosts.vm(3, 2));
      });

      await t.test(
        'a VM that forwards out of one tunnel into another keeps super-packets whole',
        async (t) => {
          const [client, server] = [hosts.vm(3, 2), hosts.vm(2, 2)];
          await balance(other, server);
          await setRoute('service', `${SERVICE[0]}/32`, other.ip);
          await setRoute('service6', `${SERVICE[1]}/128`, other.ip6);
          for (const [index, address] of SERVICE.entries()) {
            const serving = await serveTransfer(
              server.namespace,
              server.addresses[index] ?? '',
              8000,
              TRANSFER_BYTES,
            );
            const { received } = await trafficDuring(node.namespace, PROVIDER_NIC, async () => {
              const transfer = await Transfer.start(client.namespace, address, 8000, FULL_SPEED);
              t.match(await transfer.finished(), { bytes: TRANSFER_BYTES, intact: true }, address);
            });
            await serving.end();
            t.ok(received.bytes > TRANSFER_BYTES, `${received.bytes} bytes came to the VM that forwards`);
            t.ok(received.bytes / received.packets > 10_000, `${received.packets} packets`);
          }
        },
      );
    });
  });
}

/** Makes a VM forward, and answer by itself for what is behind it. */
async function becomeRouter(vm: Vm, name: string): Promise<void> {
  const addresses = [...OUTSIDE, ...SPECIAL];
  await vm.namespace.runChecked([
    ...['sysctl', '-qw', 'net.ipv4.conf.all.forwarding=1', 'net.ipv6.conf.all.forwarding=1'],
  ]);
  await vm.namespace.ipBatch(addresses.map((address) => `addr add ${address} dev lo`));
  await startEcho(
    vm.namespace,
    name,
    addresses.map((address) => (address.includes(':') ? `udp:[${address}]:7000` : `udp:${address}:7000`)),
  );
}

/** Lets a VM send what comes for the service on to another one, in its own name. */
async function balance(router: Vm, server: Vm): Promise<void> {
  const rules = (['ip', 'ip6'] as const).flatMap((words, index) => [
    `add table ${words} balance`,
    `add chain ${words} balance in { type nat hook prerouting priority dstnat; }`,
    `add chain ${words} balance out { type nat hook postrouting priority srcnat; }`,
    `add rule ${words} balance in ${words} daddr ${SERVICE[index]} dnat to ${server.addresses[index]}`,
    `add rule ${words} balance out ${words} daddr ${server.addresses[index]} snat to ${router.addresses[index]}`,
  ]);
  await router.namespace.runChecked(['nft', '-f', '-'], { input: `${rules.join('\n')}\n` });
}

/** Checksum states of the frames that pass the display filter: `0` is bad, `1` good. */
async function decodeChecked(lab: Lab, file: string, filter: string): Promise<string[][]> {
  const fields = ['ip', 'icmp', 'icmpv6'].flatMap((name) => ['-e', `${name}.checksum.status`]);
  const args = ['-n', '-r', file, '-o', 'ip.check_checksum:TRUE', '-Y', filter, '-T', 'fields'];
  const { stdout } = await lab.runChecked('tshark', [...args, '-E', 'occurrence=f', ...fields]);
  return stdout
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => line.split('\t'));
}
