/** Checks a configuration without starting anything. */
import { command } from '../command.ts';
import { configOption, loadConfig, standardConfigFile } from '../config-file.ts';
import { yamlText } from '../output.ts';

export default command({
  name: 'config check',
  summary: 'check a configuration, and print it with every default',
  about: [
    'Reads the configuration as the node would at its start, and prints what it comes to. A mistake is named with its line. ' +
      'Nothing is started or changed.',
  ],
  arguments: {},
  options: {
    ...configOption,
    role: {
      type: 'string',
      value: 'ROLE',
      choices: ['gateway', 'host'],
      summary: 'what the node is to be; by default a gateway if the file has an uplink, else a host',
    },
  },
  examples: [
    { what: 'the configuration of this machine', line: 'hnvgw config check' },
    {
      what: 'another one, for a gateway',
      line: 'hnvgw config check --config /etc/hnvgw/second.yaml --role gateway',
    },
  ],
  seeAlso: ['docs/configuration.md', 'hnvgw doctor'],
  run: async ({ options }) => {
    const { role, config } = await loadConfig(
      options.config ?? standardConfigFile,
      options.role as 'gateway' | 'host' | undefined,
    );
    process.stdout.write(await yamlText({ role, ...config }));
    return undefined;
  },
});
