/** Policy documents by `hnvgw diff` and `hnvgw apply`: all of one or nothing, and in the kernel when the command returns. */
import { FAR_ADDRESS } from '../../../test/lab/internet.ts';
import type { FetchResult } from '../../../test/lab/vm.ts';
import { readAnswer } from '../gateway/reachability.ts';
import { secondsText } from '../narration.ts';
import type { Row } from '../table.ts';
import { reasonOf } from './client.ts';
import { type PolicyDocument, PROVIDER_ADDRESS, tenantDomain, writeDocument } from './document.ts';
import type { ControlStage } from './stage.ts';

/** The file with both tenants. */
export const POLICY_FILE = 'policy.yaml';
const WRONG_FILE = 'wrong.yaml';
/** In none of the tenants' subnets. */
const WRONG_ADDRESS = '10.9.9.9';

function bothTenants({ tenants }: ControlStage): PolicyDocument {
  return { providerAddresses: [PROVIDER_ADDRESS], routingDomains: tenants.map(tenantDomain) };
}

export async function applyPolicy(stage: ControlStage): Promise<Row[]> {
  const { gateway, portal, tenants } = stage;
  await writeDocument(gateway, POLICY_FILE, bothTenants(stage));
  const empty = await revisionOf(stage);
  const difference = await portal.hnvgw('diff', '-f', POLICY_FILE);
  const untouched = await revisionOf(stage);
  const began = performance.now();
  const applied = await portal.done('apply', '-f', POLICY_FILE);
  const took = performance.now() - began;
  const pages = await Promise.all(tenants.map(({ vm }) => vm.fetch(`http://${FAR_ADDRESS}/`)));
  const revision = await revisionOf(stage);
  const again = await portal.done('apply', '-f', POLICY_FILE);
  const same = await portal.hnvgw('diff', '-f', POLICY_FILE, '--whole');
  const unchanged = await revisionOf(stage);
  const addresses = pages.map(seenAs);
  return [
    {
      what: 'hnvgw diff tells what would change, and changes nothing',
      seen: `${lastLine(difference.stdout)}; revision ${empty} stays ${untouched}`,
      ok: difference.code === 1 && lastLine(difference.stdout) === '19 created' && untouched === empty,
    },
    {
      what: 'hnvgw apply: both tenants have the internet at once',
      seen: `${lastLine(applied)} in ${secondsText(took)}; pages for ${addresses.join(' and ')}`,
      ok: tenants.every(({ externalAddress }, index) => addresses[index] === externalAddress),
    },
    {
      what: 'Applied again, it changes nothing',
      seen: `${lastLine(again)}; revision ${revision} stays ${unchanged}`,
      ok: lastLine(again) === '19 unchanged' && same.code === 0 && unchanged === revision,
    },
  ];
}

/** One wrong field behind what is right: nothing of it may be taken. */
export async function applyWrongPolicy(stage: ControlStage): Promise<Row[]> {
  const { gateway, portal } = stage;
  const document = bothTenants(stage);
  const [contoso, fabrikam] = document.routingDomains;
  if (contoso) contoso.name = 'renamed';
  const [, record] = fabrikam?.lookupRecords ?? [];
  if (record) record.customerAddress = WRONG_ADDRESS;
  const lines = (await writeDocument(gateway, WRONG_FILE, document)).split('\n');
  const line = lines.findIndex((text) => text.includes(WRONG_ADDRESS)) + 1;
  const before = await portal.done('get', 'policy');
  const refused = await portal.hnvgw('apply', '-f', WRONG_FILE);
  const after = await portal.done('get', 'policy');
  const [, where = '', field = '', value = '', rule = ''] =
    /^HNV_INVALID_FIELD: (\S+:\d+): .*?(\w+): (\S+) must be .*\(rule ([a-z-]+)\)$/.exec(
      reasonOf(refused.stderr),
    ) ?? [];
  return [
    {
      what: 'A document with one mistake is refused as a whole',
      seen:
        refused.code === 0
          ? 'it is taken'
          : `${where}: ${field} ${value} breaks ${rule}; ${after === before ? 'nothing' : 'something'} has changed`,
      ok:
        refused.code === 1 &&
        after === before &&
        `${[where, field, value, rule]}` ===
          `${[`${WRONG_FILE}:${line}`, 'customerAddress', WRONG_ADDRESS, 'address-in-subnet']}`,
    },
  ];
}

async function revisionOf({ gateway }: ControlStage): Promise<number> {
  return ((await gateway.api.get('/v1/status')) as { revision: number }).revision;
}

/** What the internet takes a VM for, or why it does not see it. */
export function seenAs(result: FetchResult): string {
  const answer = readAnswer(result);
  return typeof answer === 'string' ? answer : answer.yourAddress;
}

/** `2 created, 1 unchanged`. */
export function lastLine(text: string): string {
  return text.trimEnd().split('\n').at(-1) ?? '';
}
