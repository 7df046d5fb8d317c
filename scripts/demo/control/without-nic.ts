/** What cannot be applied is told of itself alone, and applied when it can be. */
import type { Row } from '../table.ts';
import { tenantDomain, writeDocument } from './document.ts';
import { type ControlStage, NORTHWIND } from './stage.ts';

/** A provider address on a NIC that is not there. */
const ABSENT = { address: '192.168.9.20', interface: 'pa9', prefixLength: 24 };
/** A node tries again that often at least. */
const RETRY_MS = 30_000;

export async function applyWithoutNic({ gateway, portal, follower }: ControlStage): Promise<Row[]> {
  const { address, interface: nic, prefixLength } = ABSENT;
  const document = { providerAddresses: [ABSENT], routingDomains: [tenantDomain(NORTHWIND)] };
  await writeDocument(gateway, 'northwind.yaml', document);
  const { code, stderr } = await portal.hnvgw('apply', '-f', 'northwind.yaml');
  const [, ...troubles] = stderr.trimEnd().split('\n');
  const reason = (troubles[0] ?? '').replace(/^.* is failed: /, '');
  const list = await portal.done('get', 'routing-domains', '-o', 'json');
  const { items } = JSON.parse(list) as { items: { status: { state: string } }[] };
  const ready = items.filter(({ status }) => status.state === 'ready').length;

  const began = performance.now();
  await gateway.namespace.ipBatch([
    `link add ${nic} type veth peer name ${nic}wire`,
    `addr add ${address}/${prefixLength} dev ${nic}`,
    `link set ${nic} up`,
  ]);
  await follower.told(new RegExp(`status +ready +provider-addresses/${address}$`), RETRY_MS);
  const mended = performance.now() - began;
  return [
    {
      what: 'What cannot be applied is told, and holds up nothing else',
      seen: `${reason.replace(/ on .*/, '')}; ${ready} of 3 domains are ready; it is ${mended.toFixed(0)} ms after ${nic} came`,
      ok: code === 1 && troubles.length === 1 && reason.includes(nic) && ready === 3,
    },
  ];
}
