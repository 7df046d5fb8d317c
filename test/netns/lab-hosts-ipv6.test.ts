/**
 * Two of the lab's Open vSwitch hosts in one VM network with IPv6, over provider addresses of each family: neighbour
 * discovery, the distributed router, customer routes, groups, a VM that moves.
 */
import t from 'tap';
import { Capture } from '../lab/capture.ts';
import { Fabric } from '../lab/fabric.ts';
import { ROUTER_MAC, type TenantPolicy } from '../lab/hnv-flows.ts';
import { Lab } from '../lab/lab.ts';
import { OvsHost, PROVIDER_NIC } from '../lab/ovs-host.ts';
import { serveTransfer, Transfer } from '../lab/transfer.ts';
import { until } from '../lab/until.ts';
import type { Vm } from '../lab/vm.ts';
import { moveVm } from '../lab/vm-host.ts';
import {
  machinesOf,
  providerAddress,
  providerPrefixLength,
  THREE_SUBNETS,
  tenantPolicyOf,
} from '../lab/vm-network.ts';

const TRANSFER_BYTES = 24_000_000;
const TRANSFER_RATE = 6_000_000;

for (const family of [4, 6] as const) {
  t.test(`two hosts with IPv${family} provider addresses`, { timeout: 120_000 }, async (t) => {
    const lab = await Lab.create(`l${family}h${process.pid}`);
    t.teardown(() => lab.close());
    const fabric = await Fabric.create(lab);
    const makeHost = async (index: number) => {
      const address = `${providerAddress(family, index)}/${providerPrefixLength(family)}`;
      const host = await OvsHost.create(fabric, `h${index + 1}`, address);
      const machines = machinesOf(THREE_SUBNETS, family).filter((machine) => machine.host === index);
      await host.addVms(machines.map(({ spec }) => spec));
      return host;
    };
    const [h1, h2] = await Promise.all([makeHost(0), makeHost(1)]);
    const hosts = [h1, h2];
    const vms = hosts.flatMap((host) => host.vms);
    const vm = (name: string): Vm => {
      const found = vms.find((each) => each.name === `contoso-${name}`);
      if (!found) throw new Error(`there is no VM ${name}`);
      return found;
    };
    const everything = tenantPolicyOf(THREE_SUBNETS, family);
    const policy: TenantPolicy = {
      ...everything,
      records: everything.records.filter(({ pa }) => hosts.some((host) => host.providerAddress === pa)),
    };
    const setPolicy = async (next: TenantPolicy) => {
      for (const host of hosts) await host.setPolicy([next]);
    };
    await setPolicy(policy);
    // The first packet between two hosts may be spent on the provider network's neighbour discovery.
    await until('the hosts know each other', 10_000, async () => {
      return (await vm('s1h1').ping(vm('s1h2').ip, 1)).received === 1;
    });

    await t.test(
      'every VM reaches every other one by both families, TTL less one between subnets',
      async (t) => {
        const capture = await Capture.start(h1.namespace, PROVIDER_NIC, 'ip proto 47 or ip6 proto 47');
        const wrong: string[] = [];
        await Promise.all(
          vms.map(async (from) => {
            for (const to of vms.filter((each) => each !== from)) {
              for (const [index, address] of to.addresses.entries()) {
                const { ttls } = await from.ping(address, 1);
                const want = from.spec.vsid === to.spec.vsid ? 64 : 63;
                if (ttls[0] !== want) wrong.push(`${from.name} to ${address} (${index}): ${ttls[0]}`);
              }
            }
          }),
        );
        t.same(wrong, []);
        await capture.stop();
        const frames = await capture.tunnels('icmp.type == 8 || icmpv6.type == 128');
        const pairs = frames.map(({ outer, inner, vsid, flags, protocol }) => {
          const to = vms.find(({ addresses }) => addresses.includes(inner.destination ?? ''));
          t.equal(vsid, to?.spec.vsid);
          t.equal(inner.destinationMac, to?.spec.mac);
          t.same({ flags, protocol }, { flags: 0x2000, protocol: 0x6558 });
          return `${outer.family} ${inner.family} ${inner.source} ${inner.destination}`;
        });
        // 3 VMs to 3, both ways, both families.
        t.equal(new Set(pairs).size, 36);
        t.same(new Set(frames.map(({ outer }) => outer.family)), new Set([family]));
      },
    );

    await t.test(
      'neighbours are answered from policy, the router as a router, unknown ones not at all',
      async (t) => {
        const one = vm('s1h1');
        const router = one.spec.gateway6 ?? '';
        await one.ping(router, 1);
        await one.ping('fd00:1:1::99', 1);
        const known = new Map((await one.neighbours()).map((entry) => [entry.address, entry]));
        t.match(known.get(router), { mac: ROUTER_MAC, isRouter: true });
        t.match(known.get(vm('s1h2').ip6), { mac: vm('s1h2').spec.mac, isRouter: false });
        t.equal(known.get('fd00:1:1::99')?.mac, undefined);
        t.same(await one.arping(vm('s1h2').ip), [vm('s1h2').spec.mac]);
        t.same(await one.arping(one.ip, { mode: 'probe' }), [], 'nobody has its own address');
        t.same(await one.arping(vm('s1h2').ip, { mode: 'probe' }), [vm('s1h2').spec.mac]);
      },
    );

    await t.test('a broadcast is one copy on the wire, and reaches its virtual subnet alone', async (t) => {
      const wire = await Capture.start(h1.namespace, PROVIDER_NIC, 'ip proto 47 or ip6 proto 47');
      const at = async (name: string) => Capture.start(vm(name).namespace, 'eth0', 'udp port 6767');
      const captures = await Promise.all(['s1h2', 's2h1', 's2h2'].map(at));
      await vm('s1h1').namespace.ip('route', 'replace', '255.255.255.255', 'dev', 'eth0');
      // Any program that broadcasts would do.
      const send = `const s = require('node:dgram').createSocket('udp4');
        s.bind(() => { s.setBroadcast(true); s.send('x', 6767, '255.255.255.255', () => s.close()); });`;
      await vm('s1h1').namespace.runChecked([process.execPath, '-e', send]);
      await until('the broadcast is on the wire', 5_000, async () => {
        return (await vm('s1h1').ping(vm('s1h2').ip, 1)).received === 1;
      });
      for (const capture of [wire, ...captures]) await capture.stop();
      const copies = await wire.tunnels('udp.dstport == 6767');
      t.match(copies, [{ vsid: vm('s1h1').spec.vsid, inner: { destinationMac: 'ff:ff:ff:ff:ff:ff' } }]);
      t.equal(copies.length, 1);
      const counts = await Promise.all(captures.map((each) => each.frames('udp', ['ip.src'])));
      t.same(
        counts.map((frames) => frames.length),
        [1, 0, 0],
      );
    });

    await t.test(
      'what is behind a VM that routes is reached by a customer route, the longest prefix',
      async (t) => {
        const router = vm('s3h2');
        await router.namespace.ipBatch(['addr add 172.16.5.1/32 dev lo', 'addr add fd00:5::1/128 dev lo']);
        await setPolicy({
          ...policy,
          routes: [
            { prefix: '172.16.0.0/16', nextHop: vm('s3h1').ip },
            { prefix: '172.16.5.0/24', nextHop: router.ip },
            { prefix: '::/0', nextHop: vm('s3h1').ip6 },
            { prefix: 'fd00:5::/64', nextHop: router.ip6 },
          ],
        });
        for (const from of [vm('s1h1'), vm('s2h2'), vm('s3h1')]) {
          t.equal((await from.ping('172.16.5.1', 1)).received, 1, `${from.name}, IPv4`);
          t.equal((await from.ping('fd00:5::1', 1)).received, 1, `${from.name}, IPv6`);
        }
      },
    );

    await t.test('a VM that moves keeps its connections', async (t) => {
      const moving = vm('s2h1');
      const client = vm('s1h1');
      await serveTransfer(moving.namespace, moving.ip6, 8000, TRANSFER_BYTES);
      const transfer = await Transfer.start(client.namespace, moving.ip6, 8000, TRANSFER_RATE);
      await until('the transfer runs', 10_000, () => transfer.received > TRANSFER_BYTES / 8);
      await moveVm(moving, h1, h2);
      const records = policy.records.map((record) =>
        record.mac === moving.spec.mac ? { ...record, pa: h2.providerAddress } : record,
      );
      await setPolicy({ ...policy, records });
      t.match(await transfer.finished(), { bytes: TRANSFER_BYTES, intact: true });
      t.equal((await client.ping(moving.ip)).received, 3);
    });
  });
}
