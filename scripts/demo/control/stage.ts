/** What act three is played on: the lab's standard topology, and a gateway that also listens on TCP and knows nothing. */
import { readFile, writeFile } from 'node:fs/promises';
import { parse, stringify } from 'yaml';
import type { GatewayNode } from '../../../test/lab/gateway-node.ts';
import type { Lab } from '../../../test/lab/lab.ts';
import {
  buildTopology,
  CONTOSO,
  FABRIKAM,
  GATEWAY_ADDRESS,
  HOST_ADDRESSES,
  type Tenant,
  type Topology,
} from '../../../test/lab/topology.ts';
import { ping, type Vm } from '../../../test/lab/vm.ts';
import type { Narration } from '../narration.ts';
import { API_PORT, Client } from './client.ts';
import { Follower } from './follower.ts';

/** A third tenant, without VMs in the lab. */
export const NORTHWIND: Tenant = {
  ...CONTOSO,
  name: 'northwind',
  rdid: '33333333-3333-3333-3333-333333333333',
  vsid: 7001,
  gatewayVsid: 7002,
  gatewayMac: '02:00:00:70:02:02',
  externalAddress: '198.51.100.103',
};

/** A tenant as the demo speaks of it. */
export interface ControlTenant extends Tenant {
  title: string;
  vm: Vm;
}

export interface ControlStage extends Topology {
  tenants: [ControlTenant, ControlTenant];
  /** Root on the gateway, over the unix socket. */
  root: Client;
  /** Who provisions: root, until there is a token. */
  portal: Client;
  /** Has heard everything since the gateway's start. */
  follower: Follower;
}

export async function buildControlStage(lab: Lab, narration: Narration): Promise<ControlStage> {
  const topology = await narration.step('Two hosts with two VMs each, the internet, the gateway node', () =>
    buildTopology(lab),
  );
  const { gateway, hosts, contoso, fabrikam } = topology;
  const root = new Client(gateway);
  const follower = await narration.step('The gateway, knowing nothing; hnvgw events --follow', async () => {
    await listenOnTcp(gateway);
    await gateway.start();
    // Open vSwitch drops a tunnel's first packet while it asks for the MAC of the other end.
    for (const address of HOST_ADDRESSES) await ping(gateway.namespace, address, 1);
    for (const host of hosts) await ping(host.namespace, GATEWAY_ADDRESS, 1);
    return Follower.start(root);
  });
  return {
    ...topology,
    tenants: [
      { ...CONTOSO, title: 'Contoso', vm: contoso[0] },
      { ...FABRIKAM, title: 'Fabrikam', vm: fabrikam[0] },
    ],
    root,
    portal: root,
    follower,
  };
}

/** The lab's gateways have the unix socket alone. */
async function listenOnTcp(gateway: GatewayNode): Promise<void> {
  const config = parse(await readFile(gateway.configFile, 'utf8'));
  config.api.listen.push(API_PORT);
  await writeFile(gateway.configFile, stringify(config));
}
