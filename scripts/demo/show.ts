/** The play: builds, provisions, and tries one thing after the other. */
import { Capture } from '../../test/lab/capture.ts';
import type { Lab } from '../../test/lab/lab.ts';
import { PROVIDER_NIC } from '../../test/lab/ovs-host.ts';
import { readFigures } from './figures.ts';
import { callForeignVm, reachOwnNeighbours } from './isolation.ts';
import type { Narration } from './narration.ts';
import { fetchPages, pingInternet, reachMappedPorts } from './reachability.ts';
import { killGateway } from './restart.ts';
import { buildStage, provision, type Stage } from './stage.ts';
import type { Row } from './table.ts';
import { measureThroughput } from './throughput.ts';
import { reportUplink, watchUplink } from './uplink.ts';
import { decodeTunnels } from './wire.ts';

export interface Show {
  stage: Stage;
  rows: Row[];
  /** Examples of NVGRE frames, as a table. */
  frames: string[];
}

/**
 * Plays everything. A trial that cannot be carried out becomes a row that is not ok, and the play goes on; rejects when
 * there is nothing to try, or when the lab was closed meanwhile.
 */
export async function play(lab: Lab, narration: Narration, isStopped: () => boolean): Promise<Show> {
  const rows: Row[] = [];
  const frames: string[] = [];
  const trial = async (what: string, work: () => Promise<Row[]>) => {
    try {
      rows.push(...(await narration.step(what, work)));
    } catch (error) {
      if (isStopped()) throw error;
      const [reason = ''] = String(error instanceof Error ? error.message : error).split('\n');
      rows.push({ what, seen: reason, ok: false });
    }
  };

  narration.say('Build');
  const stage = await buildStage(lab, narration);
  const uplink = await watchUplink(stage.internet);
  await narration.step('Both tenants told to the gateway: only through its REST API, PUT by PUT', () =>
    provision(stage),
  );

  narration.say('', 'Try');
  const captures = await Promise.all(
    stage.hosts.map(({ namespace }) => Capture.start(namespace, PROVIDER_NIC, 'proto gre')),
  );
  await trial('Each tenant fetches a page from the internet', () => fetchPages(stage));
  await trial('The internet calls the same port of both tenants', () => reachMappedPorts(stage));
  await trial('Each tenant pings the internet', () => pingInternet(stage));
  await trial('The hosts’ recordings of all that, decoded by tshark', async () => {
    await Promise.all(captures.map((capture) => capture.stop()));
    const report = await decodeTunnels(captures, stage.tenants);
    frames.push(...report.lines);
    return report.rows;
  });
  await trial('Each tenant calls an address that both have', () => reachOwnNeighbours(stage));
  await trial('Contoso calls an address that only Fabrikam has; its host is made to help', () =>
    callForeignVm(stage),
  );
  await trial('The gateway’s process is killed (SIGKILL) while both tenants ping, and started again', () =>
    killGateway(stage),
  );
  await trial('TCP throughput between a VM and the internet (iperf3)', () => measureThroughput(stage));
  await trial('Counters, state and memory of the gateway', () => readFigures(stage));
  await trial('The recording of the uplink, from before the first tenant until now', () =>
    reportUplink(uplink),
  );
  return { stage, rows, frames };
}
