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
      const lines = `${error instanceof Error ? error.message : error}`.trimEnd().split('\n');
      narration.say(...lines.map((line) => `    ${line}`));
      rows.push({ what, seen: 'could not be carried out, see above', ok: false });
    }
  };

  narration.say('Build');
  const stage = await buildStage(lab, narration);
  const uplink = await watchUplink(stage.internet);
  await narration.step('Both tenants are told to the gateway, by PUTs to its REST API', () =>
    provision(stage),
  );

  narration.say('', 'Try');
  const captures = await Promise.all(
    stage.hosts.map(({ namespace }) => Capture.start(namespace, PROVIDER_NIC, 'proto gre')),
  );
  await trial('Each tenant fetches a page from the internet', () => fetchPages(stage));
  await trial('The internet calls the same port of both tenants', () => reachMappedPorts(stage));
  await trial('Each tenant pings the internet', () => pingInternet(stage));
  await trial('tshark decodes what the hosts recorded of that', async () => {
    await Promise.all(captures.map((capture) => capture.stop()));
    const report = await decodeTunnels(captures, stage.tenants);
    frames.push(...report.lines);
    return report.rows;
  });
  await trial('Each tenant calls 10.1.1.12, which both have', () => reachOwnNeighbours(stage));
  await trial('Contoso calls 10.1.1.13, which only Fabrikam has', () => callForeignVm(stage));
  await trial('Both tenants ping; the gateway is killed (SIGKILL), and started again', () =>
    killGateway(stage),
  );
  await trial('iperf3 between a Contoso VM and the internet', () => measureThroughput(stage));
  await trial('The gateway is asked for its counters and its state', () => readFigures(stage));
  await trial('tshark reads what was recorded on the uplink since the beginning', () => reportUplink(uplink));
  return { stage, rows, frames };
}
