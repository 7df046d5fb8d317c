/** A backup of the running gateway, and its return when a tenant was deleted. */
import { readFile, writeFile } from 'node:fs/promises';
import { parse } from 'yaml';
import { FAR_ADDRESS } from '../../../test/lab/internet.ts';
import { lossDuring, lossText } from '../steady-ping.ts';
import type { Row } from '../table.ts';
import { fileOf, reasonOf } from './client.ts';
import { seenAs } from './policy.ts';
import type { ControlStage } from './stage.ts';

const BACKUP = 'backup.db';
const DAMAGED = 'damaged.db';
/** The file's second page, the root of a table. */
const DAMAGE = { start: 4096, end: 8192 };

export async function restoreBackup(stage: ControlStage): Promise<Row[]> {
  const { gateway, root, portal, tenants, follower } = stage;
  const [contoso, fabrikam] = tenants;
  const restore = (file: string) => root.hnvgw('restore', file, '--config', gateway.configFile);
  const storeFile: string = parse(await readFile(gateway.configFile, 'utf8')).store.path;
  const before = await portal.done('get', 'policy');
  await portal.done('backup', '-o', BACKUP);
  await writeDamaged(fileOf(gateway, BACKUP), fileOf(gateway, DAMAGED));
  await portal.done('delete', 'routing-domain', fabrikam.name);
  const without = await fabrikam.vm.fetch(`http://${FAR_ADDRESS}/`, 500);
  const [{ running, damaged, isUntouched, restored }, loss] = await lossDuring(
    contoso.vm.namespace,
    FAR_ADDRESS,
    async () => {
      const running = await restore(BACKUP);
      await gateway.kill();
      const store = await readFile(storeFile);
      const damaged = await restore(DAMAGED);
      const isUntouched = store.equals(await readFile(storeFile));
      const restored = await restore(BACKUP);
      await gateway.start();
      return { running, damaged, isUntouched, restored };
    },
  );
  const page = seenAs(await fabrikam.vm.fetch(`http://${FAR_ADDRESS}/`));
  const after = await portal.done('get', 'policy');
  await follower.told(/ reset /);
  return [
    {
      what: 'hnvgw restore refuses a damaged backup, and a running gateway',
      seen: reasonOf(damaged.stderr).replace(/^.*?: /, ''),
      ok: damaged.code === 1 && isUntouched && running.code === 1 && /stop the node/.test(running.stderr),
    },
    {
      what: 'A backup brings Fabrikam back, which was deleted',
      seen: `policy ${after === before ? 'as before' : 'different'}; a page for ${page}; Contoso: ${lossText(loss)}`,
      ok:
        restored.code === 0 &&
        after === before &&
        page === fabrikam.externalAddress &&
        without.status === 0 &&
        loss.lost === 0,
    },
  ];
}

/** A copy in which a part of what is used is overwritten. */
async function writeDamaged(from: string, to: string): Promise<void> {
  const bytes = await readFile(from);
  bytes.fill(0xa5, DAMAGE.start, DAMAGE.end);
  await writeFile(to, bytes);
}
