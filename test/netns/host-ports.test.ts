/** Ports of a host come and go as interfaces do, change their subnet, and outlive the program that serves them. */
import { setTimeout as delay } from 'node:timers/promises';
import t, { type Test } from 'tap';
import { extraMachine } from '../lab/extra-machine.ts';
import { portPath, portResource } from '../lab/host-node.ts';
import { kernelObjects } from '../lab/kernel-objects.ts';
import { Lab } from '../lab/lab.ts';
import { putReady, ThreeHosts } from '../lab/three-hosts.ts';
import { until } from '../lab/until.ts';
import { hostSideUp, ping, VM_NIC, type Vm } from '../lab/vm.ts';
import { recordPath, THREE_SUBNETS } from '../lab/vm-network.ts';

/** One ping each so many seconds. */
const PING_INTERVAL = 0.01;
const PINGS = 500;

t.test('ports of a host', { timeout: 120_000 }, async (t) => {
  const lab = await Lab.create(`hp${process.pid}`);
  t.teardown(() => lab.close());
  const late = extraMachine(THREE_SUBNETS, 1, 41, 1, 4);
  const moving = extraMachine(THREE_SUBNETS, 1, 42, 1, 4);
  const tapped = extraMachine(THREE_SUBNETS, 1, 43, 1, 4);
  const records = [late, moving, tapped].flatMap((each) => each.records);
  const network = { ...THREE_SUBNETS, subnets: THREE_SUBNETS.subnets.slice(0, 2), records };
  const hosts = await ThreeHosts.build(lab, { networks: [network] });
  const [node] = hosts.nodes;
  await hosts.start();
  const one = hosts.vm(1, 1);
  const remote = hosts.vm(1, 2);
  const foreign = hosts.vm(1, 3);

  const stateOf = async (path: string): Promise<{ state: string; reason?: string }> => {
    const found = (await node.api.get(path)) as { status: { state: string; reason?: string } };
    return found.status;
  };
  const isReady = (path: string) =>
    until(`${path} is ready`, 5_000, async () => (await stateOf(path)).state === 'ready');
  const reaches = async (t: Test, vm: Vm, ttl = 64) => {
    for (const to of [one, remote, foreign])
      for (const address of to.addresses)
        t.match(await vm.ping(address, 2), { received: 2, ttls: [ttl, ttl] }, `${vm.name} to ${address}`);
  };

  await t.test('a port without a VSID passes packets unmodified', async (t) => {
    const outside = await lab.namespace('outside');
    await lab.veth(outside, 'eth0', node.namespace, 'outside');
    await outside.ip('addr', 'add', '172.31.0.2/24', 'dev', 'eth0');
    await node.namespace.ip('addr', 'add', '172.31.0.1/24', 'dev', 'outside');
    const path = '/v1/ports/outside';
    const hostAnswers = async () => (await ping(outside, '172.31.0.1', 2)).received;
    t.equal(await hostAnswers(), 2);
    await putReady(node.api, path, {});
    t.equal(await hostAnswers(), 2);
    const body = { virtualSubnetId: one.spec.vsid, macAddress: '02:00:00:00:00:77', customerAddresses: [] };
    await putReady(node.api, path, body);
    t.equal(await hostAnswers(), 0, 'a port with a VSID reaches the host no more');
    await putReady(node.api, path, {});
    t.equal(await hostAnswers(), 2);
    await node.api.delete(path);
    t.equal(await hostAnswers(), 2);
  });

  await t.test('an interface that appears later, goes and comes back is a port each time', async (t) => {
    const { spec } = late;
    const resource = {
      ...{ virtualSubnetId: spec.vsid, macAddress: spec.mac },
      customerAddresses: [spec.ip, spec.ip6],
    };
    const path = `/v1/ports/${spec.name}`;
    await node.api.put(path, resource);
    t.match(await stateOf(path), { state: 'pending', reason: `The port waits for interface ${spec.name}.` });
    const vm = await node.addVm(spec);
    await isReady(path);
    await reaches(t, vm);
    await node.namespace.ip('link', 'del', spec.name);
    await until('the port waits', 5_000, async () => (await stateOf(path)).state === 'pending');
    t.match(await one.ping(spec.ip, 1), { received: 0 });
    await plugAgain(vm);
    await isReady(path);
    await reaches(t, vm);
  });

  await t.test('a tap is a port too', async (t) => {
    const vm = await node.addVm({ ...tapped.spec, tap: true });
    await putReady(node.api, portPath(vm), portResource(vm));
    await reaches(t, vm);
    t.same(await vm.arping(remote.ip), [remote.spec.mac]);
    t.match(await hosts.vm(2, 3).ping(vm.ip6, 2), { received: 2, ttls: [63, 63] });
  });

  await t.test('a port moves to another virtual subnet', async (t) => {
    const vm = await node.addVm(moving.spec);
    await putReady(node.api, portPath(vm), portResource(vm));
    await reaches(t, vm);
    const { spec } = extraMachine(THREE_SUBNETS, 2, 42, 1, 4);
    for (const each of hosts.nodes)
      for (const address of vm.addresses) await each.api.delete(recordPath(network.rdid, address));
    for (const each of hosts.nodes)
      for (const address of [spec.ip, spec.ip6])
        await putReady(each.api, recordPath(network.rdid, address), {
          ...{ customerAddress: address, virtualSubnetId: spec.vsid, macAddress: moving.spec.mac },
          ...{ providerAddress: node.providerAddress, type: 'static' },
        });
    await putReady(node.api, portPath(vm), {
      ...{ virtualSubnetId: spec.vsid, macAddress: moving.spec.mac },
      customerAddresses: [spec.ip, spec.ip6],
    });
    t.match(await vm.ping(one.ip, 1), { received: 0 }, 'the old addresses are guarded now');
    await vm.namespace.ipBatch([
      `addr flush dev ${VM_NIC} scope global`,
      `addr add ${spec.ip}/24 dev ${VM_NIC}`,
      `addr add ${spec.ip6}/64 dev ${VM_NIC} nodad`,
      `route replace default via ${spec.gateway}`,
      `route replace default via ${spec.gateway6}`,
    ]);
    for (const to of [one, remote])
      for (const address of to.addresses)
        t.match(await vm.ping(address, 2), { received: 2, ttls: [63, 63] }, address);
    for (const to of [hosts.vm(2, 1), hosts.vm(2, 2)])
      for (const address of to.addresses)
        t.match(await vm.ping(address, 2), { received: 2, ttls: [64, 64] }, address);
  });

  await t.test('a killed program and its successor lose no packet and remake nothing', async (t) => {
    const before = await kernelObjects(node);
    const targets = [...remote.addresses, ...foreign.addresses, ...hosts.vm(2, 1).addresses];
    const pings = await Promise.all(
      // So many, and no end by hand: the last answer may come late.
      targets.map((address) =>
        one.namespace.spawn(['ping', '-n', '-q', '-i', `${PING_INTERVAL}`, '-c', `${PINGS}`, address]),
      ),
    );
    let haveEnded = false;
    void pings[0]?.exited.then(() => {
      haveEnded = true;
    });
    await node.kill('SIGKILL');
    await delay(300);
    await node.start();
    await isReady(portPath(one));
    t.notOk(haveEnded, 'the pings are going on');
    for (const [index, each] of pings.entries()) {
      await each.exited;
      const [, sent, received] = lastCounts(each.lines);
      t.strictSame([sent, received], [`${PINGS}`, `${PINGS}`], `${targets[index]}`);
    }
    t.same(await kernelObjects(node), before);
  });

  /** Gives a VM a NIC again, as when it starts anew. */
  async function plugAgain({ spec, namespace }: Vm): Promise<void> {
    const { name, mac, mtu = 1458, ip, ip6, gateway, gateway6 } = spec;
    await namespace.ip(
      ...['link', 'add', VM_NIC, 'address', mac, 'mtu', `${mtu}`, 'type', 'veth'],
      ...['peer', 'name', name, 'netns', node.namespace.name],
    );
    await node.namespace.ip(...hostSideUp(name));
    await namespace.ipBatch([
      `link set ${VM_NIC} up`,
      `addr add ${ip}/24 dev ${VM_NIC}`,
      `addr add ${ip6}/64 dev ${VM_NIC} nodad`,
      `route add default via ${gateway}`,
      `route add default via ${gateway6}`,
    ]);
  }
});

function lastCounts(lines: readonly string[]): RegExpExecArray {
  const match = /(\d+) packets transmitted, (\d+) received/.exec(lines.join('\n'));
  if (match === null) throw new Error(`ping said: ${lines.join('\n')}`);
  return match;
}
