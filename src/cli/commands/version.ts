/** Prints the version. */
import { programVersion } from '../../version.ts';
import { command } from '../command.ts';

export default command({
  name: 'version',
  summary: 'print the version of this program',
  about: ['A node may have another one: hnvgw status shows it.'],
  arguments: {},
  options: {},
  examples: [{ what: 'as a word', line: 'hnvgw version' }],
  seeAlso: ['hnvgw status'],
  run: async () => {
    process.stdout.write(`${programVersion()}\n`);
    return undefined;
  },
});
