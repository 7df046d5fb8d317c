/** Explains the program or a command. */
import { command } from '../command.ts';
import { commandNames, findCommand, isFamily, loadCommand, policyTopic } from '../commands.ts';
import { UsageError } from '../failures.ts';
import { didYouMean } from '../suggest.ts';

export default command({
  name: 'help',
  summary: 'explain a command, with examples',
  about: ['As hnvgw COMMAND --help. policy, which is no command, explains what a policy document has.'],
  arguments: {
    command: {
      summary: 'the command, or policy; all commands when absent',
      optional: true,
      complete: 'command',
    },
    word: { summary: 'the second word of a command of two', optional: true },
  },
  options: {},
  examples: [
    { what: 'all commands', line: 'hnvgw help' },
    { what: 'one of them', line: 'hnvgw help apply' },
    { what: 'every field that a file for it can have', line: 'hnvgw help policy' },
  ],
  seeAlso: ['docs/cli.md'],
  run: async ({ arguments: { command: first, word } }) => {
    process.stdout.write(await helpOf(first, word));
    return undefined;
  },
});

async function helpOf(first: string | undefined, word: string | undefined): Promise<string> {
  const { commandHelp, familyHelp, programHelp } = await import('../help.ts');
  if (first === undefined) return programHelp();
  if (first === policyTopic && word === undefined) return (await import('../policy-help.ts')).policyHelp();
  if (word === undefined && isFamily(first)) return familyHelp(first);
  const name = word === undefined ? first : `${first} ${word}`;
  const found = findCommand(name.split(' '));
  if (found !== undefined && found.rest.length === 0) return commandHelp(await loadCommand(found.name));
  throw new UsageError(`there is no command ${name}${didYouMean(name, [...commandNames, policyTopic])}`);
}
