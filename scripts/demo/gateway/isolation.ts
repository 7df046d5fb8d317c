/** What a tenant cannot do: reach the other one, neither at an address that both have nor at one that it has not. */
import { Capture } from '../../../test/lab/capture.ts';
import { PROVIDER_NIC } from '../../../test/lab/ovs-host.ts';
import { GATEWAY_ADDRESS } from '../../../test/lab/topology.ts';
import type { Row } from '../table.ts';
import { readAnswer } from './reachability.ts';
import { misleadContoso, type Stage } from './stage.ts';

const FETCHES = 5;

/** An address that both tenants use always leads to the tenant's own VM. */
export async function reachOwnNeighbours({ tenants }: Stage): Promise<Row[]> {
  const rows: Row[] = [];
  for (const { title, machines } of tenants) {
    const [from, to] = machines;
    const names: string[] = [];
    for (let i = 0; i < FETCHES; i++) {
      const answer = readAnswer(await from.fetch(`http://${to.ip}/`));
      names.push(typeof answer === 'string' ? answer : answer.server);
    }
    rows.push({
      what: `${title}'s ${from.ip} reaches its own ${to.ip}`,
      seen: `${FETCHES} pages, all from '${[...new Set(names)].join("', '")}'`,
      ok: names.every((name) => name === to.name),
    });
  }
  return rows;
}

/** An address that only Fabrikam has, called from Contoso through the gateway by force, is nobody's. */
export async function callForeignVm(stage: Stage): Promise<Row[]> {
  const { tenants, fabrikamOnly, hosts } = stage;
  const caller = tenants[0].machines[1];
  const owner = tenants[1].machines[0];
  await misleadContoso(stage);
  await caller.namespace.ip('route', 'add', `${fabrikamOnly.ip}/32`, 'via', caller.spec.gateway);
  const atVm = await Capture.start(fabrikamOnly.namespace, 'eth0', 'icmp');
  const atHost = await Capture.start(hosts[1].namespace, PROVIDER_NIC, 'proto gre');
  const foreign = await caller.ping(fabrikamOnly.ip);
  const own = await owner.ping(fabrikamOnly.ip);
  await Promise.all([atVm.stop(), atHost.stop()]);

  const requests = await atVm.decode('icmp.type == 8', ['ip.src']);
  const arrived = (from: string) => requests.filter(([source]) => source === from).length;
  const toGateway = await atHost.decode(
    `icmp.type == 8 && ip.dst == ${GATEWAY_ADDRESS} && ip.dst == ${fabrikamOnly.ip} && ip.src == ${caller.ip}`,
    ['frame.number'],
  );
  return [
    {
      what: `Contoso's ${caller.ip} cannot reach Fabrikam's ${fabrikamOnly.ip}`,
      seen: `${toGateway.length} pings got to the gateway, ${arrived(caller.ip)} to the VM, ${foreign.received} answered`,
      ok: toGateway.length === foreign.sent && foreign.received === 0 && arrived(caller.ip) === 0,
    },
    {
      what: `Fabrikam's ${owner.ip} can`,
      seen: `${arrived(owner.ip)} pings got to the VM, ${own.received} answered`,
      ok: own.received === own.sent && arrived(owner.ip) === own.sent,
    },
  ];
}
