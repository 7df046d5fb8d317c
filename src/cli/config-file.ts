/** The configuration file, as an option and as what commands read that need no running node. */
import { readFileSync } from 'node:fs';
import type { GatewayConfig, HostConfig, RoleName } from '../config/config.ts';
import type { Options } from './command.ts';

export const standardConfigFile = '/etc/hnvgw/hnvgw.yaml';

export const configOption = {
  config: {
    type: 'string',
    value: 'FILE',
    complete: 'file',
    summary: `the configuration, ${standardConfigFile} by default`,
  },
} as const satisfies Options;

export type NodeConfig =
  | { readonly role: 'gateway'; readonly config: GatewayConfig }
  | { readonly role: 'host'; readonly config: HostConfig };

/**
 * Reads the file as the role does; without one, as that of the role that it is for: a gateway has an uplink, and a host
 * has none. Throws HNV_CONFIG with file, line and key.
 */
export async function loadConfig(file: string, role?: RoleName): Promise<NodeConfig> {
  const { loadGatewayConfig, loadHostConfig } = await import('../config/config.ts');
  const isGateway = role === undefined ? await hasUplink(file) : role === 'gateway';
  if (isGateway) return { role: 'gateway', config: loadGatewayConfig(file) };
  return { role: 'host', config: loadHostConfig(file) };
}

async function hasUplink(file: string): Promise<boolean> {
  const { YamlSource } = await import('../config/yaml-source.ts');
  try {
    return new YamlSource(readFileSync(file, 'utf8')).has('uplink');
  } catch {
    return false; // Whoever loads it says why it cannot be read.
  }
}
