/** docs/first-tenant.md is true: its commands, typed on a gateway, at a VM behind Open vSwitch and in the internet, answer what it says. */
import t from 'tap';
import { Fabric } from '../lab/fabric.ts';
import { Internet } from '../lab/internet.ts';
import { Lab } from '../lab/lab.ts';
import { Machine } from '../lab/machine.ts';
import { OvsHost } from '../lab/ovs-host.ts';
import { typePage } from '../lab/type-page.ts';
import { startWebSite } from '../lab/web-site.ts';

/** What the page says of the tenant's machine and of its host, where the cloud's own software has set it up. */
const web1 = { ip: '10.1.1.11', mac: '02:00:00:50:01:11', vsid: 5001, pa: '192.168.1.10' };
const gateway = { ip: '10.254.254.2', mac: '02:00:00:50:fe:02', vsid: 5002, pa: '192.168.1.20' };

t.test('a new user follows docs/first-tenant.md', { timeout: 120_000 }, async (t) => {
  const lab = await Lab.create(`doc${process.pid}`);
  t.teardown(() => lab.close());
  const fabric = await Fabric.create(lab);
  const namespace = await lab.namespace('gw');
  await fabric.attach(namespace, 'eth0', { wireFrames: false });
  await namespace.ip('addr', 'add', `${gateway.pa}/24`, 'dev', 'eth0');
  const internet = await Internet.create(lab, namespace, 'eth1');
  const host = await OvsHost.create(fabric, 'host', `${web1.pa}/24`);
  const vm = await host.addVm({ ...web1, name: 'web1', prefixLength: 24, gateway: '10.1.1.1' });
  await host.setPolicy([
    {
      subnets: [
        { vsid: web1.vsid, prefix: '10.1.1.0/24' },
        { vsid: gateway.vsid, prefix: '10.254.254.0/29' },
      ],
      records: [web1, gateway],
      routes: [{ prefix: '0.0.0.0/0', nextHop: gateway.ip }],
    },
  ]);
  await startWebSite(vm.namespace, 'web1', [`${web1.ip}:80`]);
  const machine = await Machine.create(namespace);
  await typePage(t, 'first-tenant.md', {
    gateway: () => machine.shell(),
    web1: () => vm.namespace.shell(),
    internet: () => internet.namespace.shell(),
  });
});
