/** Act two: VMs on three hosts, two of them under test, tried one thing after the other. */
import { type Act, type Company, Trials } from '../act.ts';
import { replicate } from './broadcast.ts';
import { leaseAddress } from './dhcp.ts';
import { tryIpv6Provider } from './ipv6-provider.ts';
import { lookAround, PICTURE } from './look-around.ts';
import { moveUnderTransfer } from './migration.ts';
import { type PairPing, pairRows, pingAllPairs } from './pairs.ts';
import { killHosts } from './restart.ts';
import { reachSite, traceVms } from './router.ts';
import { buildHostsStage, captureTunnels } from './stage.ts';
import { sendTooBig } from './too-big.ts';
import { examples, exampleTable, familyRows, readTunnels, wireRows } from './wire.ts';

export const HOSTS_TITLE = 'The hosts';

const FRAMES_SHOW = 'One frame that node 1 sent in each combination of families, as tshark decodes it.';

/** Plays everything; rejects when there is nothing to try, or when the demo was stopped meanwhile. */
export async function playHosts(company: Company): Promise<Act> {
  const { labs, narration } = company;
  const trials = new Trials(company);
  const trial = trials.try.bind(trials);
  const frames: string[][] = [];

  narration.say(...PICTURE, '', 'Build');
  const stage = await buildHostsStage(await labs.create('demohosts'), narration);
  const { all, vms } = stage;
  const addresses = all.hosts.map(({ providerAddress }) => providerAddress);

  narration.say('', 'Try');
  const captures = await captureTunnels(all);
  let pings: PairPing[] = [];
  await trial('Every VM pings every other one, IPv4 and IPv6', async () => {
    pings = await pingAllPairs(vms);
    return pairRows(pings);
  });
  await trial('tshark decodes what the hosts recorded of that', async () => {
    const report = await readTunnels(captures, addresses, vms);
    frames.push(...examples(4, report));
    return [...wireRows(report, addresses), ...familyRows(4, pings, report)];
  });
  await trial('The same on a provider network of IPv6', async () => {
    const report = await tryIpv6Provider(await labs.create('demosix'));
    frames.push(...report.frames);
    return report.rows;
  });
  await trial('traceroute between subnets, and inside one', () => traceVms(stage));
  await trial('All VMs ping a site behind a router VM', () => reachSite(stage));
  await trial('A VM asks for an address, from a DHCP server VM on the other node', () => leaseAddress(stage));
  await trial('A VM on each host broadcasts', () => replicate(stage));
  await trial('A VM sends packets that are too big for a tunnel', () => sendTooBig(stage));
  await trial('VMs ping; both nodes are killed (SIGKILL), and started again', () => killHosts(stage));
  await trial('A VM is moved to the other node under a running transfer', () => moveUnderTransfer(stage));
  return {
    title: HOSTS_TITLE,
    frames: [FRAMES_SHOW, '', ...exampleTable(frames)],
    rows: trials.rows,
    lookAround: lookAround(stage),
  };
}
