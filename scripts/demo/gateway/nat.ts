/** NAT as a hoster sells it: tenants that share one public address, a public address of a VM's own, and who used what. */
import { ask, type EchoAnswer, startEcho } from '../../../test/lab/echo.ts';
import { INTERNET_ADDRESS } from '../../../test/lab/internet.ts';
import type { Row } from '../table.ts';
import { readAnswer } from './reachability.ts';
import type { DemoTenant, Stage } from './stage.ts';

const SHARED = '198.51.100.110';
const OWN = '198.51.100.111';
const BLOCK_SIZE = 1000;
/** From which all VMs ask at once. */
const INSIDE_PORT = 5555;
const ECHO_PORT = 7000;
const WEB_PORT = 8080;

interface Block {
  ipAddress: string;
  portStart: number;
  portEnd: number;
}

const natPath = ({ rdid }: DemoTenant): string => `/v1/routing-domains/${rdid}/nat`;

/** Each tenant gets a block of ports of the one address of a pool; both ask from the same inside address and port. */
export async function shareAddress({ gateway, tenants, internet }: Stage): Promise<Row[]> {
  const { api } = gateway;
  await startEcho(internet.namespace, 'echo', [`udp:${INTERNET_ADDRESS}:${ECHO_PORT}`]);
  await api.put('/v1/external-address-pools/demo', { prefixes: [`${SHARED}/32`], portBlockSize: BLOCK_SIZE });
  const blocks: Block[] = [];
  for (const tenant of tenants) {
    await api.put(`${natPath(tenant)}?wait=10s`, { externalAddresses: 'auto', pool: 'demo' });
    const { allocatedAddress } = (await api.get(natPath(tenant))) as { allocatedAddress: Block };
    blocks.push(allocatedAddress);
  }
  const answers = await Promise.all(
    tenants.map(({ title, machines: [vm] }) =>
      ask(vm.namespace, `udp:${INTERNET_ADDRESS}:${ECHO_PORT}`, { word: title, fromPort: INSIDE_PORT }),
    ),
  );
  return tenants.map(({ title, machines: [vm] }, index): Row => {
    const [answer] = answers[index] ?? [];
    const block = blocks[index];
    return {
      what: `${title}'s ${vm.ip}:${INSIDE_PORT} shares ${SHARED}, ports ${block?.portStart} to ${block?.portEnd}`,
      seen: answer ? `the internet sees ${answer.address}:${answer.port}` : 'no answer',
      ok: block !== undefined && isFrom(answer, title, block),
    };
  });
}

function isFrom(answer: EchoAnswer | null | undefined, title: string, block: Block): boolean {
  if (!answer || answer.said !== title || answer.address !== block.ipAddress) return false;
  return answer.port >= block.portStart && answer.port <= block.portEnd;
}

/** One VM has a public address of its own, both ways, and its neighbour calls it there. */
export async function giveOwnAddress({ gateway, tenants: [tenant], internet }: Stage): Promise<Row[]> {
  const [first, second] = tenant.machines;
  await gateway.api.put(`${natPath(tenant)}?wait=10s`, {
    externalAddresses: [{ ipAddress: tenant.externalAddress }, { ipAddress: OWN }],
    oneToOne: [{ externalIpAddress: OWN, internalIpAddress: second.ip }],
    staticMappings: [
      {
        ...{ protocol: 'tcp', externalIpAddress: tenant.externalAddress, externalPort: WEB_PORT },
        ...{ internalIpAddress: second.ip, internalPort: 80 },
      },
    ],
  });
  const pages = {
    inwards: readAnswer(await internet.fetch(`http://${OWN}/`)),
    outwards: readAnswer(await second.fetch(`http://${INTERNET_ADDRESS}/`)),
    hairpin: readAnswer(await first.fetch(`http://${tenant.externalAddress}:${WEB_PORT}/`)),
  };
  const row = (what: string, page: keyof typeof pages, server: string, yourAddress: string): Row => {
    const answer = pages[page];
    return {
      what,
      seen: typeof answer === 'string' ? answer : `'${answer.server}' answers ${answer.yourAddress}`,
      ok: typeof answer !== 'string' && answer.server === server && answer.yourAddress === yourAddress,
    };
  };
  const { title, externalAddress } = tenant;
  return [
    row(`${OWN} is ${title}'s ${second.ip}, from outside`, 'inwards', second.name, INTERNET_ADDRESS),
    row(`${title}'s ${second.ip} is ${OWN} outside`, 'outwards', 'internet', OWN),
    row(
      `${title}'s ${first.ip} calls ${externalAddress}:${WEB_PORT}, its neighbour's (hairpin)`,
      ...(['hairpin', second.name, externalAddress] as const),
    ),
  ];
}

/** A tenant with a limit opens more sessions than that; the other one does not notice. */
export async function limitSessions({ gateway, tenants }: Stage): Promise<Row[]> {
  const [other, limited] = tenants;
  const limit = 10;
  const endpoint = `udp:${INTERNET_ADDRESS}:${ECHO_PORT}`;
  const policy = { externalAddresses: [{ ipAddress: limited.externalAddress }] };
  await gateway.api.put(`${natPath(limited)}?wait=10s`, { ...policy, maxSessions: limit });
  const [many, one] = await Promise.all([
    ask(limited.machines[0].namespace, endpoint, { count: 3 * limit, timeoutMs: 700 }),
    ask(other.machines[0].namespace, endpoint),
  ]);
  const { items } = (await gateway.api.get(`${natPath(limited)}/sessions`)) as { items: unknown[] };
  await gateway.api.put(`${natPath(limited)}?wait=10s`, policy);
  const answered = many.filter((answer) => answer !== null).length;
  return [
    {
      what: `${limited.title} may have ${limit} sessions, and asks from ${3 * limit} ports`,
      seen: `${answered} were answered; the session list has ${items.length}`,
      ok: answered > 0 && answered <= limit && items.length <= limit,
    },
    {
      what: `${other.title} meanwhile`,
      seen: one[0] ? 'was answered' : 'no answer',
      ok: one[0] !== null && one[0] !== undefined,
    },
  ];
}
