/** The lab of three hosts: VM networks that have everything in common are built, started and kept apart by their RDIDs. */
import t from 'tap';
import { ask, startEcho } from '../lab/echo.ts';
import { Lab } from '../lab/lab.ts';
import { ThreeHosts } from '../lab/three-hosts.ts';
import { equalNetworks } from '../lab/vm-network.ts';

t.test('three VM networks with equal addresses on three hosts', { timeout: 180_000 }, async (t) => {
  const lab = await Lab.create(`lt${process.pid}`);
  t.teardown(() => lab.close());
  const networks = equalNetworks();
  const all = await ThreeHosts.build(lab, { networks, providerFamily: 6 });
  await all.start();

  t.same(
    all.hosts.map((host) => host.vms.length),
    [9, 9, 9],
  );
  t.equal(new Set(all.vms.map(({ spec }) => `${spec.ip} ${spec.ip6} ${spec.mac}`)).size, 9);
  t.equal(new Set(all.vms.map(({ spec }) => spec.vsid)).size, 9);

  for (const host of [1, 2, 3]) {
    await t.test(`who answers is of the asker’s own VM network: host ${host}`, async (t) => {
      const servers = networks.map((network) => all.vm(2, host, network));
      await Promise.all(
        servers.map((vm) => startEcho(vm.namespace, vm.name, [`udp:${vm.ip}:7`, `tcp:[${vm.ip6}]:7`])),
      );
      const answers = networks.map(async (network, index) => {
        const server = servers[index];
        for (const from of [1, 2, 3].map((each) => all.vm(1, each, network))) {
          for (const endpoint of [`udp:${server?.ip}:7`, `tcp:[${server?.ip6}]:7`]) {
            // The first datagram between two hosts may be spent on the provider network's neighbour discovery.
            const [first] = await ask(from.namespace, endpoint, { timeoutMs: 1_000 });
            const [answer] = first ? [first] : await ask(from.namespace, endpoint);
            t.equal(answer?.server, server?.name, `${from.name} asks ${endpoint}`);
          }
        }
      });
      await Promise.all(answers);
    });
  }
});
