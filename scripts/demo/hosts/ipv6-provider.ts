/** The same hosts on a provider network of IPv6, in a small lab of its own that is closed when all was tried. */
import type { Lab } from '../../../test/lab/lab.ts';
import { ThreeHosts } from '../../../test/lab/three-hosts.ts';
import { vmNetwork } from '../../../test/lab/vm-network.ts';
import type { Row } from '../table.ts';
import { pingAllPairs } from './pairs.ts';
import { captureTunnels, placedVms, startAndMeet } from './stage.ts';
import { examples, familyRows, readTunnels } from './wire.ts';

const FAMILY = 6;

export interface FamilyReport {
  rows: Row[];
  /** See examples in wire.ts. */
  frames: string[][];
}

/** Builds the lab with two subnets, pings all pairs, and closes it. */
export async function tryIpv6Provider(lab: Lab): Promise<FamilyReport> {
  try {
    const network = vmNetwork('fabrikam', '22222222-2222-2222-2222-222222222222', 6001);
    const networks = [{ ...network, subnets: network.subnets.slice(0, 2) }];
    const all = await ThreeHosts.build(lab, { providerFamily: FAMILY, networks });
    await startAndMeet(all);
    const vms = placedVms(all);
    const captures = await captureTunnels(all);
    const pings = await pingAllPairs(vms);
    const addresses = all.hosts.map(({ providerAddress }) => providerAddress);
    const report = await readTunnels(captures, addresses, vms);
    return { rows: familyRows(FAMILY, pings, report), frames: examples(FAMILY, report) };
  } finally {
    await lab.close();
  }
}
