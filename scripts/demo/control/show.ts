/** Act three: the gateway is told, asked, changed by hand, and restored, by the command line. */
import { type Act, type Company, Trials } from '../act.ts';
import { makeFirstToken, tryTenantToken } from './access.ts';
import { restoreBackup } from './backup.ts';
import { changeByHand } from './drift.ts';
import { lookAround, PICTURE } from './look-around.ts';
import { applyMany } from './many.ts';
import { applyPolicy, applyWrongPolicy } from './policy.ts';
import { readAudit, readEvents } from './records.ts';
import { buildControlStage } from './stage.ts';
import { applyWithoutNic } from './without-nic.ts';

export const CONTROL_TITLE = 'The control plane';

/** Plays everything; rejects when there is nothing to try, or when the demo was stopped meanwhile. */
export async function playControl(company: Company): Promise<Act> {
  const { labs, narration } = company;
  const trials = new Trials(company);
  const trial = trials.try.bind(trials);

  narration.say(...PICTURE, '', 'Build');
  const stage = await buildControlStage(await labs.create('democontrol'), narration);

  narration.say('', 'Try');
  await trial('Root makes a token for a portal, which does the rest', () => makeFirstToken(stage));
  await trial('A file with both tenants is compared, applied, and applied again', () => applyPolicy(stage));
  await trial('A file with a mistake is applied', () => applyWrongPolicy(stage));
  await trial('Contoso gets a token of its own, which is revoked', () => tryTenantToken(stage));
  await trial('A provider address is on a NIC that is not there yet', () => applyWithoutNic(stage));
  await trial('A thousand routing domains come and go', () => applyMany(stage));
  await trial('The kernel is changed by hand while tenants ping', () => changeByHand(stage));
  await trial('The audit log is read', () => readAudit(stage));
  await trial('Fabrikam is deleted, and restored from a backup', () => restoreBackup(stage));
  await trial('The follower of events is asked', () => readEvents(stage));
  return { title: CONTROL_TITLE, frames: [], rows: trials.rows, lookAround: lookAround(stage) };
}
