/** DHCP across hosts: the server is a VM on node 1, the client a VM on node 2 that has no address before. */
import { requestLease, serveDhcp } from '../../../test/lab/dhcp.ts';
import { untilLearned } from '../../../test/lab/learned.ts';
import { VM_NIC, type Vm, type VmSpec } from '../../../test/lab/vm.ts';
import { secondsText } from '../narration.ts';
import type { Row } from '../table.ts';
import type { HostsStage } from './stage.ts';

const CLIENT = {
  name: 'contoso-dhcp',
  vsid: 5001,
  mac: '02:00:00:01:01:64',
  ip: '10.1.1.100',
  prefixLength: 24,
  gateway: '10.1.1.1',
  dhcp: true,
} as const satisfies VmSpec;

const MASK = '255.255.255.0';

export async function leaseAddress({ all }: HostsStage): Promise<Row[]> {
  const rdid = all.networks[0]?.rdid ?? '';
  const server = all.vm(1, 1);
  const host = all.nodes[1];
  // The MAC is known to all, its address to nobody: it is to be learned.
  const station = {
    customerAddress: '0.0.0.0',
    virtualSubnetId: CLIENT.vsid,
    macAddress: CLIENT.mac,
    providerAddress: host.providerAddress,
    type: 'l2only',
  };
  const path = `/v1/routing-domains/${rdid}/lookup-records/${CLIENT.name}`;
  await Promise.all(all.nodes.map((node) => node.api.put(path, station)));
  const client = await all.addVm(2, CLIENT);
  const { ip, mac, gateway: router } = CLIENT;
  const range = { first: ip, last: '10.1.1.110', mask: MASK, router, fixed: [{ mac, ip }] };
  await serveDhcp(server.namespace, VM_NIC, range);

  const asked = performance.now();
  const lease = await requestLease(client.namespace, VM_NIC);
  const leased = performance.now();
  const rows: Row[] = [
    {
      what: 'A VM on node 2 asks a DHCP server in a VM on node 1',
      seen: lease
        ? `${lease.ip} from ${lease.server}, after ${secondsText(leased - asked)}`
        : 'nobody answers',
      ok: lease?.ip === ip && lease.server === server.ip,
    },
  ];
  if (lease === undefined) return rows;
  await untilLearned(all.nodes, rdid, ip, { mac, pa: host.providerAddress });
  rows.push({
    what: 'Its address is learned, and told to the other node',
    seen: `dynamic record in both stores, ${secondsText(performance.now() - leased)} after the lease`,
    ok: true,
  });
  rows.push(await reachRow(client, [all.vm(1, 1), all.vm(2, 1), all.vm(1, 2), all.vm(2, 2)]));
  return rows;
}

/** The VMs of hnvgw nodes, in its own subnet and in another. */
async function reachRow(client: Vm, vms: readonly Vm[]): Promise<Row> {
  const pings = await Promise.all(vms.map(async (vm) => ({ vm, ...(await vm.ping(client.ip, 1)) })));
  const right = pings.filter(({ vm, ttls }) => ttls[0] === (vm.spec.vsid === client.spec.vsid ? 64 : 63));
  return {
    what: 'VMs of both nodes and two subnets reach it',
    seen: `${right.length} of ${vms.length}`,
    ok: right.length === vms.length,
  };
}
