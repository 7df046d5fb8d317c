/** Somebody with root's rights changes the kernel by hand: the gateway finds it, tells it, and mends it. */
import { type ContextNames, contextNames } from '../../../src/gateway/names.ts';
import { BpfMap } from '../../../src/linux/bpf-map.ts';
import { generationDirectory } from '../../../test/lab/data-plane-maps.ts';
import { FAR_ADDRESS } from '../../../test/lab/internet.ts';
import { until } from '../../../test/lab/until.ts';
import { reportUplink, watchUplink } from '../gateway/uplink.ts';
import { SteadyPing } from '../steady-ping.ts';
import type { Row } from '../table.ts';
import type { Follower } from './follower.ts';
import type { ControlStage } from './stage.ts';

/** What is promised. */
const MEND_MS = 10_000;
/** How long the demo waits for it: what comes too late is told as late. */
const LIMIT_MS = 30_000;
/** Answers of a ping that are enough to say that it goes on. */
const ANSWERS = 5;

/** A change by hand. */
interface Cut {
  what: string;
  /** What is told of it. */
  told: RegExp;
  make: () => Promise<unknown> | unknown;
}

export async function changeByHand(stage: ControlStage): Promise<Row[]> {
  const { gateway, tenants, internet, follower } = stage;
  const uplink = await watchUplink(internet);
  const pings = await Promise.all(tenants.map(({ vm }) => SteadyPing.start(vm.namespace, FAR_ADDRESS)));
  const answered = () => Promise.all(pings.map((ping) => ping.more(ANSWERS)));
  await answered();
  const [contoso, fabrikam] = tenants;
  const rows = await mended(
    follower,
    contextCuts(stage, [
      contextNames(gateway.instance, contoso.rdid),
      contextNames(gateway.instance, fabrikam.rdid),
    ]),
  );
  await answered();
  const removal: Cut = {
    what: "A VM's entry is removed from an eBPF map",
    told: /an entry of the map records was missing/,
    make: () => removeRecord(gateway.instance, contoso.vms[0]?.mac ?? ''),
  };
  rows.push(...(await mended(follower, [removal])));
  const goesOn = await answered().then(
    () => true,
    () => false,
  );
  const losses = await Promise.all(pings.map((ping) => ping.end()));
  rows.push({
    what: 'What was sent all the time goes through again',
    seen: losses.map(({ sent, lost }, i) => `${tenants[i]?.title} lost ${lost} of ${sent} pings`).join(', '),
    ok: goesOn,
  });
  for (const row of await reportUplink(uplink))
    rows.push({ ...row, what: 'No tenant address on the uplink meanwhile' });
  return rows;
}

/** Fabrikam loses both of what keeps its addresses inside: the rules of its namespace, and the filter outside of it. */
function contextCuts(
  { gateway }: ControlStage,
  [contoso, fabrikam]: readonly [ContextNames, ContextNames],
): Cut[] {
  const { namespace } = gateway;
  const inFabrikam = ['nsenter', `--net=/run/netns/${fabrikam.netns}`, '--'];
  return [
    {
      what: "Contoso's namespace is deleted",
      told: new RegExp(`the namespace \\S*${contoso.netns}.* was missing`),
      make: () => namespace.runChecked(['ip', 'netns', 'delete', contoso.netns]),
    },
    {
      what: "Fabrikam's nft rules are flushed",
      told: /the nft table inet hnvgw was missing/,
      make: () => namespace.runChecked([...inFabrikam, 'nft', 'flush', 'ruleset']),
    },
    {
      what: 'The eBPF filter behind them is detached',
      told: /the program of ext was missing/,
      make: () => namespace.runChecked(['tc', 'filter', 'delete', 'dev', fabrikam.externalPort, 'ingress']),
    },
  ];
}

/** Makes all changes at once, and waits until the follower has printed of each that it is found and mended. */
async function mended(follower: Follower, cuts: readonly Cut[]): Promise<Row[]> {
  const made: (Cut & { at: number })[] = [];
  for (const cut of cuts) {
    const at = Date.now();
    await cut.make();
    made.push({ ...cut, at });
  }
  return Promise.all(
    made.map(async ({ what, told, at }) => {
      const [found, end] = await until(`what was changed by hand is mended: ${what}`, LIMIT_MS, () => {
        const events = follower.events.filter((event) => event.type === 'drift' && event.at >= at);
        const found = events.find((event) => event.what === 'found' && told.test(event.words));
        const end = events.find((event) => event.what === 'mended' && event.words === found?.words);
        return found && end && ([found.at, end.at] as const);
      });
      const seen = `found and told after ${found - at} ms, mended after ${end - at} ms`;
      return { what, seen, ok: end - at <= MEND_MS };
    }),
  );
}

/** Takes away where the VM with a MAC is. */
function removeRecord(instance: string, mac: string): void {
  const path = `${generationDirectory(instance)}/maps/records`;
  const map = BpfMap.openPinned(path);
  const bytes = Buffer.from(mac.replaceAll(':', ''), 'hex');
  const [key] = map?.entries().find(([, value]) => Buffer.from(value).includes(bytes)) ?? [];
  if (key !== undefined) map?.delete(key);
  map?.close();
  if (key === undefined) throw new Error(`${path} has no entry with ${mac}`);
}
