/** The end of a BGP speaker that is not wanted any more, as opposed to one that is started anew. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { HnvError } from '../errors.ts';
import { endFrr, type FrrPlace } from './frr.ts';
import { Vty } from './vty.ts';

/**
 * Ends FRR in the place, if there is any, and takes back what it has told: with graceful restart, peers would take its mere end for a
 * restart, and keep its routes for as long as that may take.
 */
export async function endSpeaker(place: FrrPlace): Promise<void> {
  if (!existsSync(place.folder)) return;
  try {
    const vty = await Vty.connect(join(place.folder, 'bgpd.vty'));
    try {
      for (const command of ['configure terminal', 'router bgp', 'bgp shutdown']) await vty.show(command);
    } finally {
      vty.close();
    }
  } catch (error) {
    // It has ended already, or has no peers yet.
    if (!(error instanceof HnvError)) throw error;
  }
  await endFrr(place);
}
