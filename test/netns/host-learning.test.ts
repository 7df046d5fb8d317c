/** Addresses that VMs show by ARP and neighbour discovery: learned, told to the other nodes, limited, and forgotten. */
import t, { type Test } from 'tap';
import { familyOf } from '../lab/address.ts';
import { announce } from '../lab/announce.ts';
import { ask, startEcho } from '../lab/echo.ts';
import { extraMachine } from '../lab/extra-machine.ts';
import { portPath } from '../lab/host-node.ts';
import { Lab } from '../lab/lab.ts';
import { learnedAt, untilForgotten, untilLearned } from '../lab/learned.ts';
import { Pinger } from '../lab/pinger.ts';
import { ThreeHosts } from '../lab/three-hosts.ts';
import { VM_NIC, type Vm } from '../lab/vm.ts';
import { recordPath, THREE_SUBNETS } from '../lab/vm-network.ts';

const NETWORK = THREE_SUBNETS;
const { rdid } = NETWORK;
const AGE_SECONDS = 2;
/** Default of `learning.addressesPerPort`. */
const LIMIT = 16;

t.test('addresses that VMs show', { timeout: 180_000 }, async (t) => {
  const lab = await Lab.create(`hl${process.pid}`);
  t.teardown(() => lab.close());
  const all = await ThreeHosts.build(lab, { learning: { ageSeconds: AGE_SECONDS } });
  await all.start();
  const { nodes } = all;

  const addLearner = (number: number, host: number): Promise<Vm> =>
    all.addVm(host, { ...extraMachine(NETWORK, 1, number, host, 4).spec, learn: true });
  const one = await addLearner(61, 1);
  const two = await addLearner(62, 2);
  const placeOf = (vm: Vm) => {
    const host = all.hosts.find(({ vms }) => vms.includes(vm));
    return { mac: vm.spec.mac, pa: host?.providerAddress ?? '' };
  };

  /** What was shown before has been judged when what this VM shows now is learned. */
  let next = 200;
  const afterAll = async (vm: Vm) => {
    const address = `10.1.1.${next++}`;
    await announce(vm, address);
    await untilLearned(nodes, rdid, address, placeOf(vm));
    await vm.namespace.ip('addr', 'del', `${address}/24`, 'dev', VM_NIC);
  };

  const reachedFromAll = async (t: Test, address: string) => {
    await all.tellOvs();
    const from = [1, 2, 3].flatMap((host) => [all.vm(1, host), all.vm(2, host)]);
    await Promise.all(
      from.map(async (vm) =>
        t.equal((await vm.ping(address, 2)).received, 2, `${vm.name} reaches ${address}`),
      ),
    );
  };

  await t.test('an address that a VM announces is reached from all hosts', async (t) => {
    for (const [vm, addresses] of [
      [one, ['10.1.1.71', 'fd00:1:1::71']],
      [two, ['10.1.1.72', 'fd00:1:1::72']],
    ] as const) {
      for (const address of addresses) {
        await announce(vm, address);
        await untilLearned(nodes, rdid, address, placeOf(vm));
        await reachedFromAll(t, address);
      }
    }
  });

  await t.test('an address that a VM only uses is reached too', async (t) => {
    for (const [vm, address, peer] of [
      [one, '10.1.1.73', all.vm(1, 2).ip],
      [two, 'fd00:1:1::73', all.vm(1, 1).ip6],
    ] as const) {
      await addAddress(vm, address);
      // It asks for the peer's MAC from the new address.
      await vm.namespace.ip('neigh', 'flush', 'dev', VM_NIC);
      await vm.namespace.run(['ping', '-n', '-c', '1', '-W', '1', '-I', address, peer]);
      await untilLearned(nodes, rdid, address, placeOf(vm));
      await reachedFromAll(t, address);
    }
  });

  await t.test('an address that is gone is forgotten, one that is there stays, however silent', async (t) => {
    await one.namespace.ip('addr', 'del', '10.1.1.71/24', 'dev', VM_NIC);
    await two.namespace.ip('addr', 'del', 'fd00:1:1::72/64', 'dev', VM_NIC);
    await untilForgotten(nodes, rdid, '10.1.1.71', (AGE_SECONDS + 5) * 1_000);
    await untilForgotten(nodes, rdid, 'fd00:1:1::72', (AGE_SECONDS + 5) * 1_000);
    await untilLearned(nodes, rdid, '10.1.1.72', placeOf(two));
    await untilLearned(nodes, rdid, 'fd00:1:1::71', placeOf(one));
    t.equal((await all.vm(1, 1).ping('10.1.1.71', 1)).received, 0);
    t.equal((await all.vm(1, 1).ping('10.1.1.72', 1)).received, 1);
    t.equal((await all.vm(1, 2).ping('fd00:1:1::71', 1)).received, 1);
  });

  await t.test('traffic alone keeps an address', async (t) => {
    const address = '10.1.1.74';
    await announce(one, address);
    await untilLearned(nodes, rdid, address, placeOf(one));
    // No ARP either way: what it hears and asks for is fixed, and it answers nobody who asks.
    const peer = all.vm(1, 2);
    await one.namespace.ip(
      ...['neigh', 'replace', peer.ip, 'lladdr', peer.spec.mac, 'dev', VM_NIC, 'nud', 'permanent'],
    );
    await one.namespace.runChecked(['sysctl', '-qw', 'net.ipv4.conf.all.arp_ignore=8']);
    const pinger = await Pinger.answered(peer.namespace, address);
    const begin = Date.now();
    await pinger.answerAfter(begin + (AGE_SECONDS + 2) * 1_000);
    const { sent, received } = await pinger.stop();
    t.ok(sent - received <= 1, `${received} of ${sent} were answered`);
    await untilForgotten(nodes, rdid, address, (AGE_SECONDS + 5) * 1_000);
    await one.namespace.runChecked(['sysctl', '-qw', 'net.ipv4.conf.all.arp_ignore=0']);
    await one.namespace.ip('neigh', 'del', peer.ip, 'dev', VM_NIC);
    await one.namespace.ip('addr', 'del', `${address}/24`, 'dev', VM_NIC);
  });

  await t.test(`a port has at most ${LIMIT} learned addresses`, async (t) => {
    const greedy = await addLearner(63, 2);
    const addresses = Array.from({ length: LIMIT + 1 }, (_, index) => `10.1.1.${101 + index}`);
    const last = addresses[LIMIT] ?? '';
    await Promise.all(addresses.slice(0, LIMIT).map((address) => announce(greedy, address)));
    await Promise.all(
      addresses.slice(0, LIMIT).map((address) => untilLearned(nodes, rdid, address, placeOf(greedy))),
    );
    await announce(greedy, last);
    await afterAll(two);
    const learned = await learnedAt(nodes[0], rdid);
    t.notOk(learned.some(({ customerAddress }) => customerAddress === last));
    t.equal(learned.filter(({ macAddress }) => macAddress === greedy.spec.mac).length, LIMIT);
    await nodes[1].process.waitFor(/not learned: the port has 16 learned addresses/);
    t.equal((await all.vm(1, 1).ping(addresses[0] ?? '', 1)).received, 1);
    t.equal((await all.vm(1, 1).ping(greedy.ip, 1)).received, 1);
    t.equal((await all.vm(1, 1).ping(two.ip, 1)).received, 1);

    await nodes[1].api.delete(portPath(greedy));
    await Promise.all(addresses.map((address) => untilForgotten(nodes, rdid, address)));
  });

  await t.test('what policy says is not up for learning', async (t) => {
    const owners = [all.vm(1, 1), all.vm(1, 2), all.vm(1, 3)];
    const claimed = owners.flatMap((owner) => owner.addresses);
    for (const vm of [one, ...owners])
      await startEcho(
        vm.namespace,
        vm.name,
        (vm === one ? ['[::]'] : [vm.ip, `[${vm.ip6}]`]).map((address) => `udp:${address}:7`),
      );
    await Promise.all(claimed.map((address) => announce(one, address)));
    await afterAll(one);
    for (const node of nodes)
      for (const owner of owners)
        for (const address of owner.addresses)
          t.match(await node.api.get(recordPath(rdid, address)), {
            type: 'static',
            macAddress: owner.spec.mac,
            ...{ providerAddress: placeOf(owner).pa },
          });
    for (const asker of [all.vm(2, 1), all.vm(2, 2), two]) {
      const answers = owners.flatMap((owner) =>
        ([4, 6] as const).map(async (family) => {
          const to = family === 4 ? owner.ip : `[${owner.ip6}]`;
          const options = { from: family === 4 ? asker.ip : asker.ip6 };
          // The first datagram to a host may be spent on the way there.
          const [first] = await ask(asker.namespace, `udp:${to}:7`, options);
          const [answer] = first ? [first] : await ask(asker.namespace, `udp:${to}:7`, options);
          t.equal(answer?.server, owner.name, `${asker.name} asks ${to}`);
        }),
      );
      await Promise.all(answers);
    }
    await dropAddresses(one, claimed);
  });

  await t.test('an address outside of the subnet is not learned, nor is the router’s', async (t) => {
    const wrong = ['10.1.2.99', '10.9.9.9', 'fd00:1:2::99', '10.1.1.1', 'fd00:1:1::1'];
    await Promise.all(wrong.map((address) => announce(one, address)));
    await afterAll(one);
    for (const node of nodes) {
      const learned = (await learnedAt(node, rdid)).map(({ customerAddress }) => customerAddress);
      t.same(
        learned.filter((address) => wrong.includes(address)),
        [],
      );
    }
    t.equal((await all.vm(1, 1).ping(all.vm(2, 2).ip, 1)).received, 1, 'the router routes');
    t.equal((await all.vm(1, 1).ping('10.1.1.1', 1)).received, 1);
    await dropAddresses(one, wrong);
    t.equal((await one.ping(all.vm(2, 2).ip, 1)).received, 1);
  });

  await t.test('a node that was down hears of what was learned meanwhile', async (t) => {
    const address = '10.1.1.75';
    await nodes[1].kill('SIGKILL');
    await announce(one, address);
    await untilLearned([nodes[0]], rdid, address, placeOf(one));
    t.equal((await all.vm(1, 1).ping(address, 1)).received, 1);
    await nodes[1].start();
    await untilLearned(nodes, rdid, address, placeOf(one), 15_000);
    t.equal((await all.vm(1, 2).ping(address, 2)).received, 2);
  });

  await t.test('traffic to learned addresses goes on while the node that learned them is down', async (t) => {
    const address = '10.1.1.75';
    const pingers = await Promise.all(
      [all.vm(1, 2), all.vm(2, 1)].map((vm) => Pinger.answered(vm.namespace, address)),
    );
    await nodes[0].restart('SIGKILL');
    const ready = Date.now();
    await untilLearned(nodes, rdid, address, placeOf(one));
    for (const pinger of pingers) {
      await pinger.answerAfter(ready + 500);
      const { sent, received, longestGap } = await pinger.stop();
      t.ok(longestGap < 200, `${received} of ${sent} answered, longest gap ${longestGap} ms`);
    }
  });
});

/** Gives a VM an address, which it can use at once. */
async function addAddress(vm: Vm, address: string): Promise<void> {
  const words = familyOf(address) === 4 ? [`${address}/24`] : [`${address}/64`, 'nodad'];
  await vm.namespace.ip('addr', 'add', ...words, 'dev', VM_NIC);
}

async function dropAddresses(vm: Vm, addresses: readonly string[]): Promise<void> {
  await vm.namespace.ipBatch(
    addresses.map((address) => `addr del ${address}/${familyOf(address) === 4 ? 24 : 64} dev ${VM_NIC}`),
  );
}
