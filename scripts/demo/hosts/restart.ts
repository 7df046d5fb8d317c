/** Both nodes' processes are killed while VMs ping at 10 ms, stay away for a second, and are started again. */
import { isDeepStrictEqual } from 'node:util';
import { kernelObjects } from '../../../test/lab/kernel-objects.ts';
import { secondsText } from '../narration.ts';
import { lossText, SteadyPing } from '../steady-ping.ts';
import type { Row } from '../table.ts';
import type { HostsStage } from './stage.ts';

/** Answers that each ping must have had before the kill, between kill and start, and after the start. */
const ANSWERS = { before: 20, without: 60, after: 20 };

export async function killHosts({ all }: HostsStage): Promise<Row[]> {
  const ways = [
    { what: 'node 1 to node 2, IPv4', from: all.vm(1, 1), address: all.vm(2, 2).ip },
    { what: 'node 2 to Open vSwitch, IPv6', from: all.vm(2, 2), address: all.vm(3, 3).ip6 },
    { what: 'inside node 1, IPv6', from: all.vm(2, 1), address: all.vm(3, 1).ip6 },
  ];
  const before = await Promise.all(all.nodes.map(kernelObjects));
  const pings = await Promise.all(ways.map(({ from, address }) => SteadyPing.start(from.namespace, address)));
  const answered = (count: number) => Promise.all(pings.map((ping) => ping.more(count)));
  await answered(ANSWERS.before);
  await Promise.all(all.nodes.map((node) => node.kill('SIGKILL')));
  const killed = performance.now();
  await answered(ANSWERS.without);
  const started = performance.now();
  await Promise.all(all.nodes.map((node) => node.start()));
  const ready = performance.now();
  await answered(ANSWERS.after);

  const rows: Row[] = [];
  for (const [index, ping] of pings.entries()) {
    const loss = await ping.end();
    rows.push({
      what: `SIGKILL to both nodes: ${ways[index]?.what}`,
      seen: lossText(loss),
      ok: loss.lost === 0,
    });
  }
  const after = await Promise.all(all.nodes.map(kernelObjects));
  const same = after.filter((objects, index) => isDeepStrictEqual(objects, before[index])).length;
  rows.push({
    what: 'The restarted nodes keep programs, maps and links',
    seen: `${same} of ${all.nodes.length}, after ${secondsText(started - killed)} without them; ready in ${secondsText(ready - started)}`,
    ok: same === all.nodes.length,
  });
  return rows;
}
