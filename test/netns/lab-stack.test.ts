/** What the lab reads from Linux stacks, against stacks of known behaviour: two segments with a Linux router between. */
import t from 'tap';
import { Lab } from '../lab/lab.ts';
import { addUniqueAddress, arping, neighbours, settled } from '../lab/neighbours.ts';
import { traceroute } from '../lab/traceroute.ts';

t.test('a Linux router between two segments', { timeout: 60_000 }, async (t) => {
  const lab = await Lab.create(`ls${process.pid}`);
  t.teardown(() => lab.close());
  const router = await lab.namespace('router');
  const forwarding = ['net.ipv4.ip_forward=1', 'net.ipv6.conf.all.forwarding=1'];
  await router.runChecked(['sysctl', '-qw', ...forwarding]);
  const join = async (name: string, number: number) => {
    const member = await lab.namespace(name);
    await lab.veth(member, 'eth0', router, `lan${number}`);
    await router.ipBatch([
      `link set lan${number} address 02:00:00:00:0${number}:01`,
      `addr add 10.1.${number}.1/24 dev lan${number}`,
      `addr add fd00:1:${number}::1/64 dev lan${number} nodad`,
    ]);
    await member.ipBatch([
      `addr add 10.1.${number}.11/24 dev eth0`,
      `addr add fd00:1:${number}::11/64 dev eth0 nodad`,
      `route add default via 10.1.${number}.1`,
      `route add default via fd00:1:${number}::1`,
    ]);
    await Promise.all([settled(member, 'eth0'), settled(router, `lan${number}`)]);
    return member;
  };
  const one = await join('one', 1);
  await join('two', 2);

  await t.test('traceroute tells router and destination, by UDP and ICMP, IPv4 and IPv6', async (t) => {
    for (const method of ['udp', 'icmp'] as const) {
      const way4 = await traceroute(one, '10.1.2.11', { method });
      t.same(way4, [{ address: '10.1.1.1' }, { address: '10.1.2.11' }]);
      const way6 = await traceroute(one, 'fd00:1:2::11', { method });
      t.same(way6, [{ address: 'fd00:1:1::1' }, { address: 'fd00:1:2::11' }]);
    }
  });

  await t.test('traceroute tells silence and refusal', async (t) => {
    t.same(await traceroute(one, '10.1.2.99', { maxHops: 2 }), [{ address: '10.1.1.1' }, {}]);
    await router.ip('route', 'add', 'prohibit', '10.8.0.0/16');
    t.same(await traceroute(one, '10.8.0.1'), [{ address: '10.1.1.1', refusal: '!X' }]);
  });

  await t.test('an IPv6 address that the neighbour has is not unique, another one is', async (t) => {
    t.notOk(await addUniqueAddress(one, 'eth0', 'fd00:1:1::1/64'));
    t.ok(await addUniqueAddress(one, 'eth0', 'fd00:1:1::12/64'));
  });

  await t.test('ARP and the neighbour table tell MACs and who is a router', async (t) => {
    t.same(await arping(one, 'eth0', '10.1.1.1'), ['02:00:00:00:01:01']);
    t.same(await arping(one, 'eth0', '10.1.1.1', { mode: 'probe' }), ['02:00:00:00:01:01']);
    t.same(await arping(one, 'eth0', '10.1.1.99'), []);
    const known = await neighbours(one, 'eth0');
    t.match(
      known.find(({ address }) => address === 'fd00:1:1::1'),
      { mac: '02:00:00:00:01:01', isRouter: true },
    );
    t.match(
      known.find(({ address }) => address === '10.1.1.1'),
      { mac: '02:00:00:00:01:01', isRouter: false },
    );
  });
});
