/** Prints the version. */
import { readFileSync } from 'node:fs';
import { command } from '../command.ts';

/** The version of this program: the package's. */
export function programVersion(): string {
  const file = new URL('../../../package.json', import.meta.url);
  return JSON.parse(readFileSync(file, 'utf8')).version;
}

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
