/** Act one: builds, provisions, and tries one thing after the other. */
import { Capture } from '../../../test/lab/capture.ts';
import { PROVIDER_NIC } from '../../../test/lab/ovs-host.ts';
import { type Act, type Company, Trials } from '../act.ts';
import { buildCorporate } from './corporate.ts';
import { readFigures } from './figures.ts';
import { callCorporate, fetchByNat, joinNetworks, killGatewayUnderBgp, watchVlans } from './forwarding.ts';
import { callForeignVm, reachOwnNeighbours } from './isolation.ts';
import { lookAround, PICTURE } from './look-around.ts';
import { giveOwnAddress, limitSessions, shareAddress } from './nat.ts';
import { fetchPages, pingInternet, reachMappedPorts } from './reachability.ts';
import { killGateway } from './restart.ts';
import { buildSites } from './sites.ts';
import { buildStage, provision } from './stage.ts';
import { measureThroughput } from './throughput.ts';
import {
  connectSites,
  fetchBeside,
  killGatewayUnderTunnels,
  useWrongKey,
  visitForeign,
  visitOwn,
} from './tunnels.ts';
import { reportTunnels, reportUplink, watchUplink } from './uplink.ts';
import { decodeTunnels } from './wire.ts';

export const GATEWAY_TITLE = 'The gateway';

const FRAMES_SHOW = [
  'One NVGRE frame of each tenant and direction, as tshark decodes it. The inner addresses of both tenants are the',
  'same; the VSID tells them apart.',
];

/** Plays everything; rejects when there is nothing to try, or when the demo was stopped meanwhile. */
export async function playGateway(company: Company): Promise<Act> {
  const { labs, narration } = company;
  const trials = new Trials(company);
  const trial = trials.try.bind(trials);
  const frames: string[] = [];

  narration.say(...PICTURE, '', 'Build');
  const lab = await labs.create('demo');
  const stage = await buildStage(lab, narration);
  const uplink = await watchUplink(stage.internet);
  const sites = await narration.step("Each tenant's site (strongSwan), one behind a NAT", () =>
    buildSites(stage),
  );
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
    frames.push(...FRAMES_SHOW, '', ...report.lines);
    return report.rows;
  });
  await trial('Each tenant calls 10.1.1.12, which both have', () => reachOwnNeighbours(stage));
  await trial('Contoso calls 10.1.1.13, which only Fabrikam has', () => callForeignVm(stage));
  await trial('Both tenants ping; the gateway is killed (SIGKILL), and started again', () =>
    killGateway(stage),
  );
  await trial('iperf3 between a Contoso VM and the internet', () => measureThroughput(stage));
  await trial('The gateway is asked for its counters and its state', () => readFigures(stage));
  await trial('Both tenants get ports of one public address from a pool', () => shareAddress(stage));
  await trial('A VM gets a public address of its own, and is called there', () => giveOwnAddress(stage));
  await trial('A tenant with a limit of sessions asks for more', () => limitSessions(stage));
  await trial("The tenants' sites are told to the gateway, by one PUT each", () => connectSites(sites));
  await trial('Sites and VMs call each other', () => visitOwn(sites));
  await trial('Both sites call 10.1.1.13, which only Fabrikam has', () => visitForeign(stage, sites));
  await trial('Both tenants fetch a page from the internet', () => fetchBeside(sites));
  await trial('Contoso gets a wrong key, and the right one again', () => useWrongKey(sites));
  await trial('Both sites get a file; the gateway is killed (SIGKILL), and started again', () =>
    killGatewayUnderTunnels(stage, sites),
  );
  await trial('tshark reads what was recorded on the uplink since the beginning', async () => [
    ...(await reportUplink(uplink)),
    ...(await reportTunnels(uplink)),
  ]);

  narration.say('', 'Forwarding without NAT');
  await playForwarding(company, trials);
  return { title: GATEWAY_TITLE, frames, rows: trials.rows, lookAround: lookAround(stage) };
}

/** On a lab and a gateway of its own: a provider network 10.0.0.0/24, and corporate networks on VLANs of the uplink. */
async function playForwarding({ labs, narration }: Company, trials: Trials): Promise<void> {
  const stage = await narration.step(
    'Another gateway, three tenants, corporate routers (BIRD, none, FRR) on VLANs',
    async () => buildCorporate(await labs.create('demofwd')),
  );
  const trial = trials.try.bind(trials);
  await trial('The gateway is told of VLANs and BGP peers, by PUTs', () => joinNetworks(stage));
  await trial('VMs and corporate hosts call each other', () => callCorporate(stage));
  await trial('Contoso calls its network; all three corporate routers listen', () => watchVlans(stage));
  await trial('Fabrikam calls its network and the internet', () => fetchByNat(stage));
  await trial('A VM pings its network; the gateway is killed (SIGKILL), and started again', () =>
    killGatewayUnderBgp(stage),
  );
}
