/** docs/first-host.md is true: its commands, typed on a host, at its VM and at one behind Open vSwitch, answer what it says. */
import t from 'tap';
import { Fabric } from '../lab/fabric.ts';
import { Lab } from '../lab/lab.ts';
import { Machine } from '../lab/machine.ts';
import { OvsHost } from '../lab/ovs-host.ts';
import { typePage } from '../lab/type-page.ts';
import { Vm, type VmSpec } from '../lab/vm.ts';

/** What the page says of the two VMs and of the hosts that they run on. */
const web: VmSpec = {
  ...{ name: 'tap0', tap: true, vsid: 5001, mac: '02:00:00:00:01:11' },
  ...{ ip: '10.1.1.11', prefixLength: 24, gateway: '10.1.1.1', ip6: 'fd00:1:1::11', gateway6: 'fd00:1:1::1' },
};
const sql: VmSpec = {
  ...{ name: 'sql1', vsid: 5002, mac: '02:00:00:00:02:12' },
  ...{ ip: '10.1.2.12', prefixLength: 24, gateway: '10.1.2.1', ip6: 'fd00:1:2::12', gateway6: 'fd00:1:2::1' },
};
const hosts = { own: '192.168.1.10', other: '192.168.1.11' };

t.test('a new user follows docs/first-host.md', { timeout: 120_000 }, async (t) => {
  const lab = await Lab.create(`doch${process.pid}`);
  t.teardown(() => lab.close());
  const fabric = await Fabric.create(lab);
  const namespace = await lab.namespace('host');
  await fabric.attach(namespace, 'eth0', { wireFrames: false });
  await namespace.ip('addr', 'add', `${hosts.own}/24`, 'dev', 'eth0');
  const vm = await Vm.create(lab, web, namespace);
  await vm.settled();
  const other = await OvsHost.create(fabric, 'other', `${hosts.other}/24`);
  const far = await other.addVm(sql);
  const recordsOf = ({ ip, ip6 = '', mac, vsid }: VmSpec, pa: string) =>
    [ip, ip6].map((address) => ({ ip: address, mac, vsid, pa }));
  await other.setPolicy([
    {
      subnets: [
        { vsid: 5001, prefix: '10.1.1.0/24' },
        { vsid: 5001, prefix: 'fd00:1:1::/64' },
        { vsid: 5002, prefix: '10.1.2.0/24' },
        { vsid: 5002, prefix: 'fd00:1:2::/64' },
      ],
      records: [...recordsOf(web, hosts.own), ...recordsOf(sql, hosts.other)],
      routes: [],
    },
  ]);
  const machine = await Machine.create(namespace);
  await typePage(t, 'first-host.md', {
    host: () => machine.shell(),
    web: () => vm.namespace.shell(),
    sql: () => far.namespace.shell(),
  });
});
