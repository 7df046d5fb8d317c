/** Runs a gateway. It is loaded only when it runs: it needs libraries of the system that no other command does. */
import { command } from '../command.ts';
import { configOption, standardConfigFile } from '../config-file.ts';

export default command({
  name: 'gateway',
  summary: 'run this node as a multi-tenant HNV gateway',
  about: [
    'Terminates NVGRE from the hosts of many routing domains, gives each one a network namespace of its own, and connects it to ' +
      'the internet. Runs in the foreground until SIGTERM or SIGINT; the data plane goes on without it, and the next start ' +
      'takes over what is there. Needs root.',
    'Then, in another terminal: hnvgw doctor and hnvgw apply.',
  ],
  arguments: {},
  options: configOption,
  examples: [
    {
      what: 'the least configuration: the interface towards the internet, whose address and routes are yours to set',
      line: "mkdir -p /etc/hnvgw\necho 'uplink: { interface: eth1 }' > /etc/hnvgw/hnvgw.yaml",
    },
    { what: 'with the configuration of this machine', line: 'hnvgw gateway' },
    { what: 'with another one', line: 'hnvgw gateway --config /etc/hnvgw/second.yaml' },
  ],
  seeAlso: [
    'hnvgw config check',
    'hnvgw doctor',
    'hnvgw apply',
    'docs/configuration.md',
    'docs/first-tenant.md',
  ],
  run: async ({ options }) => {
    const { loadGatewayConfig } = await import('../../config/config.ts');
    const config = loadGatewayConfig(options.config ?? standardConfigFile);
    const { runGateway } = await import('../../gateway/gateway.ts');
    await runGateway(config);
    return undefined;
  },
});
