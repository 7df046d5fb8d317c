/** The lab's VRRP routers agree on a master over a plain bridge, and another one follows when it goes. */
import t from 'tap';
import { Lab } from '../lab/lab.ts';
import type { Namespace } from '../lab/namespace.ts';
import { neighbours } from '../lab/neighbours.ts';
import { until } from '../lab/until.ts';
import { ping } from '../lab/vm.ts';
import { VrrpRouter } from '../lab/vrrp.ts';

const MACS = ['02:00:00:00:00:11', '02:00:00:00:00:12', '02:00:00:00:00:13'];

t.test('VRRP on a bridge', { timeout: 120_000 }, async (t) => {
  const lab = await Lab.create(`lv${process.pid}`);
  t.teardown(() => lab.close());
  const segment = await lab.namespace('segment');
  const members: Namespace[] = [];
  for (const [index, mac] of MACS.entries()) {
    const member = await lab.namespace(`vm${index + 1}`);
    await lab.veth(member, 'eth0', segment, `port${index}`);
    await member.ipBatch([
      `link set eth0 address ${mac}`,
      `addr add 10.1.1.1${index + 1}/24 dev eth0`,
      `addr add fd00:1:1::1${index + 1}/64 dev eth0 nodad`,
    ]);
    members.push(member);
  }
  await lab.bridge(
    segment,
    'br0',
    MACS.map((_, index) => `port${index}`),
  );
  const [one, two, watcher] = members;
  if (!one || !two || !watcher) throw new Error('three members were made');

  const cases = [
    { what: 'IPv4', address: '10.1.1.100/24', routerId: 51, macs: MACS },
    { what: 'IPv6', address: 'fd00:1:1::100/64', routerId: 52, macs: MACS },
    {
      what: 'IPv4 with a virtual MAC',
      address: '10.1.1.101/24',
      routerId: 53,
      virtualMac: true,
      macs: ['00:00:5e:00:01:35', '00:00:5e:00:01:35'],
    },
  ];
  for (const { what, macs, ...options } of cases) {
    await t.test(`the virtual address moves to the next master: ${what}`, async (t) => {
      const [address = ''] = options.address.split('/');
      const seenMac = async () => {
        await until(
          'the virtual address answers',
          5_000,
          async () => (await ping(watcher, address, 1)).received === 1,
        );
        return (await neighbours(watcher, 'eth0')).find((entry) => entry.address === address)?.mac;
      };
      const first = await VrrpRouter.start(one, 'eth0', { ...options, priority: 150 });
      await first.becomesMaster();
      const second = await VrrpRouter.start(two, 'eth0', { ...options, priority: 100 });
      t.equal(await seenMac(), macs[0]);
      t.notOk(await second.isMaster(), 'one master is enough');
      await first.stop();
      await second.becomesMaster(3_000);
      t.notOk(await first.isMaster());
      await until('the watcher has heard of the move', 5_000, async () => (await seenMac()) === macs[1]);
      await second.stop();
    });
  }
});
