/** A thousand routing domains come by one document, and go by another. */
import { contextNames } from '../../../src/gateway/names.ts';
import { contextNamespaces } from '../../../test/lab/gateway-remains.ts';
import { FAR_ADDRESS } from '../../../test/lab/internet.ts';
import { secondsText } from '../narration.ts';
import { lossDuring, lossText } from '../steady-ping.ts';
import type { Row } from '../table.ts';
import { manyDomains, writeDocument } from './document.ts';
import { lastLine, POLICY_FILE } from './policy.ts';
import { type ControlStage, NORTHWIND } from './stage.ts';

const MANY = 1_000;

export async function applyMany({ gateway, portal, tenants }: ControlStage): Promise<Row[]> {
  await writeDocument(gateway, 'many.json', { routingDomains: manyDomains(MANY) });
  const contexts = () => contextNamespaces(gateway.instance);
  const [seen, loss] = await lossDuring(tenants[0].vm.namespace, FAR_ADDRESS, async () => {
    const began = performance.now();
    const applied = await portal.done('apply', '-f', 'many.json', '-o', 'json');
    const tookApply = performance.now() - began;
    const before = await contexts();
    const again = performance.now();
    const removed = lastLine(await portal.done('apply', '-f', POLICY_FILE, '--whole'));
    const tookWhole = performance.now() - again;
    const after = await contexts();
    const { code } = await portal.hnvgw('diff', '-f', POLICY_FILE, '--whole');
    return { applied, tookApply, before, removed, tookWhole, after, code };
  });
  const { created, status } = JSON.parse(seen.applied) as { created: number; status: { ready: number } };
  const { before, after } = seen;
  return [
    {
      what: '1,000 routing domains with 10 VMs each, by one document',
      seen: `${created} created, ${status.ready} domains ready in ${secondsText(seen.tookApply)}`,
      ok: created === MANY * 12 && status.ready === MANY,
    },
    {
      what: 'hnvgw apply --whole takes away what is not in the file',
      seen: `${seen.removed.split(',')[0]} in ${secondsText(seen.tookWhole)}, ${before.length - after.length} of ${before.length} contexts; Contoso: ${lossText(loss)}`,
      ok:
        before.includes(contextNames(gateway.instance, NORTHWIND.rdid).netns) &&
        before.length === 3 &&
        after.length === 2 &&
        seen.code === 0 &&
        loss.lost === 0,
    },
  ];
}
