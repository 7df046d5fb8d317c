/** Runs a host. It is loaded only when it runs, as the gateway is. */
import { command } from '../command.ts';
import { configOption, standardConfigFile } from '../config-file.ts';

export default command({
  name: 'host',
  summary: 'run this node as an HNV host of virtual machines',
  about: [
    'Puts the interfaces of virtual machines (ports) into virtual subnets, with a distributed router between the subnets of a ' +
      'routing domain. Runs in the foreground until SIGTERM or SIGINT; the data plane goes on without it, and the next start ' +
      'takes over what is there. Needs root.',
    'Then, in another terminal: hnvgw doctor and hnvgw apply.',
  ],
  arguments: {},
  options: configOption,
  examples: [
    {
      what: 'a configuration that has its defaults',
      line: "mkdir -p /etc/hnvgw\necho '{}' > /etc/hnvgw/hnvgw.yaml",
    },
    { what: 'with the configuration of this machine', line: 'hnvgw host' },
    { what: 'with another one', line: 'hnvgw host --config /etc/hnvgw/host.yaml' },
  ],
  seeAlso: [
    'hnvgw config check',
    'hnvgw doctor',
    'hnvgw apply',
    'docs/configuration.md',
    'docs/first-host.md',
  ],
  run: async ({ options }) => {
    const { loadHostConfig } = await import('../../config/config.ts');
    const config = loadHostConfig(options.config ?? standardConfigFile);
    const { runHost } = await import('../../host/host.ts');
    await runHost(config);
    return undefined;
  },
});
