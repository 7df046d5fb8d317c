/** The gateway's process is killed while tenants ping at 10 ms, stays away for a second, and is started again. */
import { stat } from 'node:fs/promises';
import { contextNames } from '../../../src/gateway/names.ts';
import { FAR_ADDRESS } from '../../../test/lab/internet.ts';
import { secondsText } from '../narration.ts';
import { lossText, SteadyPing } from '../steady-ping.ts';
import type { Row } from '../table.ts';
import type { Stage } from './stage.ts';

/** Answers that each ping must have had before the kill, between kill and start, and after the start. */
const ANSWERS = { before: 30, without: 100, after: 30 };

export async function killGateway({ tenants, gateway }: Stage): Promise<Row[]> {
  const contexts = tenants.map(({ rdid }) => contextNames(gateway.instance, rdid).netns);
  const before = await Promise.all(contexts.map(identity));
  const pings = await Promise.all(
    tenants.map(({ machines: [vm] }) => SteadyPing.start(vm.namespace, FAR_ADDRESS)),
  );
  const answered = (count: number) => Promise.all(pings.map((ping) => ping.more(count)));
  await answered(ANSWERS.before);
  await gateway.kill('SIGKILL');
  const killed = performance.now();
  await answered(ANSWERS.without);
  const started = performance.now();
  await gateway.start();
  const ready = performance.now();
  await answered(ANSWERS.after);

  const rows: Row[] = [];
  for (const [index, ping] of pings.entries()) {
    const loss = await ping.end();
    rows.push({
      what: `SIGKILL to the gateway costs ${tenants[index]?.title} no packet`,
      seen: lossText(loss),
      ok: loss.lost === 0,
    });
  }
  const after = await Promise.all(contexts.map(identity));
  const same = after.filter((inode, index) => inode === before[index]).length;
  rows.push({
    what: 'The restarted gateway keeps the contexts',
    seen: `${same} of ${contexts.length}, after ${secondsText(started - killed)} without it; ready in ${secondsText(ready - started)}`,
    ok: same === contexts.length,
  });
  return rows;
}

/** A namespace's inode, which no other one has while it lives. */
async function identity(netns: string): Promise<number> {
  return (await stat(`/run/netns/${netns}`)).ino;
}
