/** What the demo plays on: the lab's standard topology and tenants, and one more VM that only Fabrikam has. */
import type { TenantPolicy } from '../../../test/lab/hnv-flows.ts';
import type { Lab } from '../../../test/lab/lab.ts';
import {
  buildHosts,
  CONTOSO,
  FABRIKAM,
  GATEWAY_ADDRESS,
  gatewayRecord,
  HOST_ADDRESSES,
  joinGateway,
  provisionTenants,
  type Tenant,
  type Topology,
  tenantPolicy,
} from '../../../test/lab/topology.ts';
import { ping, type Vm } from '../../../test/lab/vm.ts';
import { startWebSite } from '../../../test/lab/web-site.ts';
import type { Narration } from '../narration.ts';

/** A tenant as the demo speaks of it. */
export interface DemoTenant extends Tenant {
  title: string;
  /** VM 1 on host 1 and VM 2, which has a web site called after its VM, on host 2. */
  machines: [Vm, Vm];
}

export interface Stage extends Topology {
  lab: Lab;
  tenants: [DemoTenant, DemoTenant];
  /** Fabrikam's VM on host 2 with an address that Contoso has nowhere. */
  fabrikamOnly: Vm;
}

const FABRIKAM_ONLY = { ip: '10.1.1.13', mac: '02:00:00:60:01:13' };

/** Builds everything, and starts the gateway, which knows no tenant yet. */
export async function buildStage(lab: Lab, narration: Narration): Promise<Stage> {
  const [hosts, fabrikamOnly] = await narration.step(
    'Two hosts (Open vSwitch in userspace) with five VMs',
    async () => {
      const hosts = await buildHosts(lab);
      const [first] = hosts.fabrikam;
      const spec = { ...first.spec, ...FABRIKAM_ONLY, name: 'fabrikam3' };
      const fabrikamOnly = await hosts.hosts[1].addVm(spec);
      for (const host of hosts.hosts) await host.setPolicy([tenantPolicy(CONTOSO), fabrikamPolicy()]);
      return [hosts, fabrikamOnly] as const;
    },
  );
  const topology = await narration.step('The internet, the gateway node, web sites in two VMs', async () => {
    const joined = await joinGateway(lab, hosts);
    await Promise.all(
      [hosts.contoso[1], hosts.fabrikam[1]].map((vm) => startWebSite(vm.namespace, vm.name, [`${vm.ip}:80`])),
    );
    return joined;
  });
  await narration.step('The gateway (dist/cli/main.js gateway), knowing nothing yet', () =>
    topology.gateway.start(),
  );
  // Open vSwitch drops a tunnel's first packet while it asks for the MAC of the other end; a ping makes it known.
  await narration.step('Hosts and gateway find each other on the provider network', async () => {
    for (const host of hosts.hosts) {
      const others = [...HOST_ADDRESSES, GATEWAY_ADDRESS].filter(
        (address) => address !== host.providerAddress,
      );
      for (const address of others) await ping(host.namespace, address, 1);
    }
  });
  return {
    ...topology,
    lab,
    tenants: [
      { ...CONTOSO, title: 'Contoso', machines: topology.contoso },
      { ...FABRIKAM, title: 'Fabrikam', machines: topology.fabrikam },
    ],
    fabrikamOnly,
  };
}

/** Tells the gateway about the tenants, through its REST API only. */
export async function provision({ gateway }: Stage): Promise<void> {
  await provisionTenants(gateway.api);
  await gateway.api.put(`/v1/routing-domains/${FABRIKAM.rdid}/lookup-records/${FABRIKAM_ONLY.ip}?wait=10s`, {
    customerAddress: FABRIKAM_ONLY.ip,
    virtualSubnetId: FABRIKAM.vsid,
    macAddress: FABRIKAM_ONLY.mac,
    providerAddress: HOST_ADDRESSES[1],
    type: 'static',
  });
}

/** What the hosts know about Fabrikam in the demo. */
function fabrikamPolicy(): TenantPolicy {
  const policy = tenantPolicy(FABRIKAM);
  const record = { ...FABRIKAM_ONLY, vsid: FABRIKAM.vsid, pa: HOST_ADDRESSES[1] };
  return { ...policy, records: [...policy.records, record] };
}

/**
 * Makes Contoso's hosts send the address that only Fabrikam has to the gateway, inside Contoso's own tunnel, as a host
 * with wrong rules would: what keeps the tenants apart from here on is the gateway alone.
 */
export async function misleadContoso(stage: Stage): Promise<void> {
  const policy = tenantPolicy(CONTOSO);
  const wrong = { ...gatewayRecord(CONTOSO), ip: FABRIKAM_ONLY.ip };
  const misled = { ...policy, records: [...policy.records, wrong] };
  for (const host of stage.hosts) await host.setPolicy([misled, fabrikamPolicy()]);
}
