/** Puts a backup in the place of the store of a node that does not run. */
import { command } from '../command.ts';
import { configOption, loadConfig, standardConfigFile } from '../config-file.ts';
import { harmlessLines } from '../harmless.ts';

export default command({
  name: 'restore',
  summary: 'put a backup in the place of the store',
  about: [
    'For a node that does not run; done on the node itself, as root. The backup is checked first: a file that is damaged, or of a ' +
      'newer version of hnvgw, is refused and nothing is changed. The store that was there is kept beside it. The data plane ' +
      'goes on as it is until the node is started, which makes the kernel have what the backup says.',
    'Secrets of site connections and BGP peers are opened with the key beside the store (store.db.key). When the backup is of another machine, ' +
      'put that one’s key there first; without it these secrets must be written again.',
  ],
  arguments: { file: { summary: 'what hnvgw backup wrote', complete: 'file' } },
  options: configOption,
  examples: [
    {
      what: 'into the store that the configuration of this machine names',
      line: 'hnvgw restore hnvgw-backup.db',
    },
  ],
  seeAlso: ['hnvgw backup', 'hnvgw config check'],
  run: async ({ arguments: { file }, options }) => {
    const { config } = await loadConfig(options.config ?? standardConfigFile);
    const { restoreStore } = await import('../../store/restore.ts');
    const { routingDomains, resources, kept } = restoreStore(file, config.store.path);
    const lines = [
      `${config.store.path} has now ${routingDomains} routing domains, ${resources} resources in all, of ${file}.`,
      ...(kept === undefined ? [] : [`What was there is kept as ${kept}.`]),
      'Start the node now.',
    ];
    process.stderr.write(harmlessLines(`${lines.join('\n')}\n`));
    return undefined;
  },
});
