#!/usr/bin/env -S node --max-semi-space-size=2
/**
 * The `hnvgw` command. Exits with 0, 1 when the command failed, 2 when it was called wrongly.
 *
 * The small young generation keeps a busy gateway a third smaller (163 instead of 250 MiB with 1,000 routing domains)
 * for a few more short collections.
 */
import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { loadGatewayConfig, loadHostConfig } from '../config/config.ts';
import { HnvError } from '../errors.ts';

const defaultConfigFile = '/etc/hnvgw/hnvgw.yaml';

const usage = `Usage: hnvgw gateway|host [--config FILE]

Commands:
  gateway          run this node as a multi-tenant HNV gateway
  host             run this node as an HNV host of virtual machines

Options:
  --config FILE    configuration, ${defaultConfigFile} by default
  --help           print this
  --version        print the version
`;

const exitCodes = { failed: 1, usage: 2 } as const;

class UsageError extends Error {}

async function main(args: string[]): Promise<void> {
  const { values, positionals } = readArguments(args);
  if (values.help) {
    process.stdout.write(usage);
    return;
  }
  if (values.version) {
    process.stdout.write(`${programVersion()}\n`);
    return;
  }
  const [command, ...rest] = positionals;
  if (command === undefined) throw new UsageError('a command is missing');
  const run = commands.get(command);
  if (run === undefined) throw new UsageError(`there is no command ${command}`);
  if (rest.length > 0) throw new UsageError(`${command} takes no argument ${rest.join(' ')}`);
  await run(values.config ?? defaultConfigFile);
}

/** The roles are loaded only now: they need libraries of the system that --help and a wrong configuration do not. */
const commands = new Map<string, (configFile: string) => Promise<void>>([
  [
    'gateway',
    async (file) => {
      const config = loadGatewayConfig(file);
      const { runGateway } = await import('../gateway/gateway.ts');
      await runGateway(config);
    },
  ],
  [
    'host',
    async (file) => {
      const config = loadHostConfig(file);
      const { runHost } = await import('../host/host.ts');
      await runHost(config);
    },
  ],
]);

function readArguments(args: string[]) {
  try {
    return parseArgs({
      args,
      allowPositionals: true,
      options: { config: { type: 'string' }, help: { type: 'boolean' }, version: { type: 'boolean' } },
    });
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error));
  }
}

function programVersion(): string {
  const file = new URL('../../package.json', import.meta.url);
  return JSON.parse(readFileSync(file, 'utf8')).version;
}

try {
  await main(process.argv.slice(2));
} catch (error) {
  if (error instanceof UsageError) {
    process.stderr.write(`hnvgw: ${error.message}\n\n${usage}`);
    process.exit(exitCodes.usage);
  }
  if (!(error instanceof HnvError)) throw error;
  process.stderr.write(`hnvgw: ${error.code}: ${error.message}\n`);
  process.exit(exitCodes.failed);
}
