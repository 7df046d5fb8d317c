/** The lab's Open vSwitch hosts behave as HNV hosts: isolation, addresses in common, the key on the wire. */
import t from 'tap';
import { Capture, keyParts } from '../lab/capture.ts';
import { ROUTER_MAC, tunnelKey } from '../lab/hnv-flows.ts';
import { Lab } from '../lab/lab.ts';
import { PROVIDER_NIC } from '../lab/ovs-host.ts';
import { buildHosts, CONTOSO, FABRIKAM, TENANTS, tenantPolicy } from '../lab/topology.ts';
import { until } from '../lab/until.ts';
import { startWebSite, type WebAnswer } from '../lab/web-site.ts';

t.test('two hosts with two tenants of the same addresses', async (t) => {
  const lab = await Lab.create(`lh${process.pid}`);
  t.teardown(() => lab.close());
  const { fabric, hosts, contoso, fabrikam } = await buildHosts(lab);

  // The first packet between two hosts may be spent on the provider network's ARP.
  for (const [one, two] of [contoso, fabrikam]) {
    await until(
      `${one.name} reaches ${two.name}`,
      10_000,
      async () => (await one.ping(two.ip, 1)).received === 1,
    );
  }

  await t.test('VMs of a virtual subnet reach each other across hosts with the TTL unchanged', async (t) => {
    const result = await contoso[0].ping(contoso[1].ip);
    t.same(result, { sent: 3, received: 3, ttls: [64, 64, 64] });
  });

  await t.test('frames on the wire carry the VSID in the key and keep the inner addresses', async (t) => {
    const capture = await Capture.start(hosts[0].namespace, PROVIDER_NIC, 'ip proto 47');
    await contoso[0].ping(contoso[1].ip, 1);
    await fabrikam[0].ping(fabrikam[1].ip, 1);
    await capture.stop();
    const rows = await capture.decode('icmp.type == 8', [
      'gre.flags_and_version',
      'gre.proto',
      'gre.key',
      'ip.src',
      'ip.dst',
      'eth.src',
      'eth.dst',
    ]);
    t.equal(rows.length, 2);
    for (const [index, tenant] of TENANTS.entries()) {
      const [flags, protocol, key, source, destination, fromMac, toMac] = rows[index] ?? [];
      t.equal(Number(flags), 0x2000);
      t.equal(Number(protocol), 0x6558);
      t.same(keyParts(key ?? ''), { vsid: tenant.vsid, flowId: 0 });
      t.equal(source, '192.168.1.10,10.1.1.11');
      t.equal(destination, '192.168.1.11,10.1.1.12');
      t.equal(fromMac, `${hosts[0].mac},${tenant.vms[0]?.mac}`);
      t.equal(toMac, `${hosts[1].mac},${tenant.vms[1]?.mac}`);
    }
  });

  await t.test('VMs with the same address answer only their own tenant', async (t) => {
    await startWebSite(contoso[1].namespace, 'contoso2', ['10.1.1.12:80']);
    const own = await contoso[0].fetch('http://10.1.1.12/');
    t.same(JSON.parse(own.body), { server: 'contoso2', yourAddress: '10.1.1.11' } satisfies WebAnswer);
    const other = await fabrikam[0].fetch('http://10.1.1.12/');
    t.equal(
      other.status,
      0,
      "Fabrikam's VM of that address has no web server, and Contoso's is out of reach",
    );
    t.match(other.error, /Couldn't connect|refused/, 'it was answered with a reset, not with silence');
  });

  await t.test('a full-size packet fits, one byte more does not', async (t) => {
    const send = (size: number) =>
      contoso[0].namespace.run([
        'ping',
        '-n',
        '-c',
        '1',
        '-W',
        '1',
        '-M',
        'do',
        '-s',
        `${size}`,
        contoso[1].ip,
      ]);
    t.equal((await send(1458 - 28)).code, 0);
    t.not((await send(1458 - 27)).code, 0);
  });

  await t.test(
    'a packet to another virtual subnet is routed: TTL less one, its VSID and its MAC',
    async (t) => {
      const other = await hosts[1].addVm({
        name: 'contoso3',
        ip: '10.1.2.21',
        prefixLength: 24,
        mac: '02:00:00:50:03:21',
        vsid: 5003,
        gateway: '10.1.2.1',
      });
      const policy = tenantPolicy(CONTOSO);
      policy.subnets.push({ vsid: 5003, prefix: '10.1.2.0/24' });
      policy.records.push({ ip: other.ip, mac: other.spec.mac, vsid: 5003, pa: hosts[1].providerAddress });
      for (const host of hosts) await host.setPolicy([policy, tenantPolicy(FABRIKAM)]);
      const capture = await Capture.start(fabric.namespace, 'pn0', 'ip proto 47');
      const result = await contoso[0].ping(other.ip, 2);
      t.same(result, { sent: 2, received: 2, ttls: [63, 63] });
      t.same((await contoso[1].ping(other.ip, 1)).ttls, [63], 'also when both VMs are on one host');
      t.equal((await fabrikam[0].ping(other.ip, 1)).received, 0, "another tenant's subnet is nowhere");
      await capture.stop();
      const [row] = await capture.decode('icmp.type == 8', ['gre.key', 'eth.dst', 'ip.ttl']);
      t.equal(Number(row?.[0]), Number(tunnelKey(5003)));
      t.equal(row?.[1]?.split(',')[1], other.spec.mac);
      t.equal(row?.[2]?.split(',')[1], '63');
    },
  );

  await t.test('ARP is answered from policy, and only for what is in it', async (t) => {
    const neighbour = async (address: string) => {
      await contoso[0].ping(address, 1);
      return contoso[0].namespace.ip('neigh', 'show', address);
    };
    t.match(await neighbour('10.1.1.1'), ROUTER_MAC);
    t.match(await neighbour('10.1.1.12'), CONTOSO.vms[1]?.mac ?? '');
    t.notMatch(await neighbour('10.1.1.99'), /lladdr/);
  });
});
