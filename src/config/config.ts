/**
 * The configuration: one YAML file, read once at start. The schema is the reference of its keys; what it does not know
 * is refused with the line, so that a typing error never turns into a default.
 */
import { readFileSync } from 'node:fs';
import type { Static } from 'typebox';
import type { ApiLimits } from '../access/rate-limiter.ts';
import { HnvError } from '../errors.ts';
import { ConfigSchema } from './config-schema.ts';
import { isLoopback, type ListenAddress, parseListenAddress } from './listen-address.ts';
import { type PeerAddress, parsePeerAddress } from './peer-address.ts';
import { compileSchema, fieldName } from './schema-violation.ts';
import { type Refuse, readUplinkBgp, type UplinkBgpConfig } from './uplink-bgp.ts';
import { YamlSource } from './yaml-source.ts';

type ConfigFile = Static<typeof ConfigSchema>;

/** What a node is: it terminates tunnels for routing contexts, or for VMs. */
export type RoleName = 'gateway' | 'host';

/** The configuration with every default filled in. */
export interface Config
  extends Omit<
    ConfigFile,
    'instance' | 'uplink' | 'api' | 'store' | 'learning' | 'natLog' | 'ipsec' | 'dataplane' | 'forwarding'
  > {
  instance: string;
  api: ApiConfig;
  store: { path: string };
}

export interface ApiConfig extends ApiLimits {
  listen: ListenAddress[];
  /** Of every TCP listener. */
  tls?: TlsFiles;
}

export interface TlsFiles {
  readonly certificateFile: string;
  readonly keyFile: string;
}

export interface GatewayConfig extends Config {
  uplink: UplinkConfig;
  /** Without it there is no NAT log. */
  natLog?: NatLogConfig;
  ipsec: IpsecConfig;
  dataplane: DataplaneConfig;
  /** Further interfaces that forwarding may name. */
  forwarding: ConfigFile['forwarding'];
}

export interface UplinkConfig {
  interface: string;
  /** The gateway's own BGP; without it, it speaks none. */
  bgp?: UplinkBgpConfig;
}

export type NatLogConfig = NonNullable<ConfigFile['natLog']>;

export type IpsecConfig = ConfigFile['ipsec'];

/** How packets of established connections are carried. */
export type DataplaneConfig = ConfigFile['dataplane'];

export type XdpSetting = DataplaneConfig['xdp'];

export interface HostConfig extends Config {
  learning: LearningConfig;
}

export interface LearningConfig {
  addressesPerPort: number;
  ageSeconds: number;
  /** APIs of the nodes, or of what distributes to them, that learned addresses are written to. */
  publish: PeerAddress[];
  /** Where their tokens are. */
  tokenFile?: string;
  /** Where the certificates are that theirs must come from. */
  caFile?: string;
}

const checkConfig = compileSchema(ConfigSchema);

/** Prefix of names unless the configuration says another: a gateway and a host can share a machine. */
const defaultInstance: Record<RoleName, string> = { gateway: 'hg', host: 'hh' };

/** Sections that only one role has. */
const sectionRoles = {
  uplink: 'gateway',
  natLog: 'gateway',
  ipsec: 'gateway',
  dataplane: 'gateway',
  forwarding: 'gateway',
  learning: 'host',
} as const;

/** Reads the file of a gateway. Throws HNV_CONFIG with file, line and key. */
export function loadGatewayConfig(file: string): GatewayConfig {
  return parseGatewayConfig(readText(file, 'gateway'), file);
}

/** As loadGatewayConfig(), of a host. */
export function loadHostConfig(file: string): HostConfig {
  return parseHostConfig(readText(file, 'host'), file);
}

/** Reads the text of a gateway's configuration; `name` stands for it in messages. Throws HNV_CONFIG. */
export function parseGatewayConfig(text: string, name: string): GatewayConfig {
  const { config, uplink, natLog, ipsec, dataplane, forwarding, refuse } = parse(text, name, 'gateway');
  if (uplink === undefined) throw refuse('/uplink', 'required', 'is missing, and a gateway requires it');
  const { bgp, ...rest } = uplink;
  const { interfaces } = forwarding;
  for (const [index, each] of interfaces.entries()) {
    const pointer = `/forwarding/interfaces/${index}`;
    if (each === uplink.interface)
      throw refuse(pointer, 'interface-once', `is "${each}", which is uplink.interface and needs no mention`);
    if (interfaces.indexOf(each) < index) throw refuse(pointer, 'interface-once', `is "${each}" once more`);
  }
  if (dataplane.spreadOver.length > 0 && (dataplane.xdp === 'generic' || dataplane.xdp === 'off'))
    throw refuse(
      '/dataplane/spreadOver',
      'spread-native',
      `is for native XDP, and dataplane.xdp is ${dataplane.xdp}`,
    );
  return {
    ...config,
    uplink: bgp === undefined ? rest : { ...rest, bgp: readUplinkBgp(bgp, refuse) },
    ipsec,
    dataplane,
    forwarding,
    ...(natLog === undefined ? {} : { natLog }),
  };
}

/** As parseGatewayConfig(), of a host. */
export function parseHostConfig(text: string, name: string): HostConfig {
  const { config, learning, refuse } = parse(text, name, 'host');
  const publish = learning.publish.map((peer, index) => {
    const address = parsePeerAddress(peer);
    if ('refused' in address) throw refuse(`/learning/publish/${index}`, 'publish-address', address.refused);
    return address;
  });
  return { ...config, learning: { ...learning, publish } };
}

function readText(file: string, role: RoleName): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') {
      const todo = `hnvgw help ${role} shows what it needs at least`;
      throw new HnvError('HNV_CONFIG', `There is no configuration file ${file}; ${todo}.`, { cause: error });
    }
    const reason = error instanceof Error ? error.message : String(error);
    throw new HnvError('HNV_CONFIG', `The configuration file cannot be read: ${reason}.`, { cause: error });
  }
}

interface Parsed {
  config: Config;
  uplink: ConfigFile['uplink'];
  natLog: ConfigFile['natLog'];
  ipsec: ConfigFile['ipsec'];
  dataplane: ConfigFile['dataplane'];
  forwarding: ConfigFile['forwarding'];
  learning: ConfigFile['learning'];
  refuse: Refuse;
}

function parse(text: string, name: string, role: RoleName): Parsed {
  const source = new YamlSource(text);
  if (source.mistake !== undefined)
    throw new HnvError('HNV_CONFIG', `${name}:${source.mistake.line}: ${source.mistake.reason}.`);
  const refuse = (pointer: string, rule: string, reason: string) => {
    const sentence = `${name}:${source.lineOf(pointer)}: ${fieldName(pointer, 'The configuration')} ${reason}.`;
    return new HnvError('HNV_CONFIG', sentence, { pointer, rule });
  };
  if (source.count > 1) throw refuse('', 'one-document', 'must be one YAML document, without ---');

  const checked = checkConfig(source.value(0));
  if ('violation' in checked) {
    const { pointer, rule, reason } = checked.violation;
    throw refuse(pointer, rule, reason);
  }
  for (const [section, only] of Object.entries(sectionRoles))
    if (only !== role && source.has(section))
      throw refuse(`/${section}`, 'role', `is for a ${only} only, and this node is a ${role}`);
  const {
    instance = defaultInstance[role],
    uplink,
    natLog,
    ipsec,
    dataplane,
    forwarding,
    learning,
    ...file
  } = checked.value as ConfigFile;
  const { listen: given = [`unix:/run/hnvgw/${instance}.sock`, '127.0.0.1:8080'], tls, ...limits } = file.api;
  const listen = given.map((text, index) => {
    const address = parseListenAddress(text);
    const pointer = `/api/listen/${index}`;
    if ('refused' in address) throw refuse(pointer, 'listen-address', address.refused);
    if (given.indexOf(text) < index) throw refuse(pointer, 'listen-once', `is "${text}" once more`);
    if (tls === undefined && !isLoopback(address)) {
      const reason = `is "${text}", which other machines can reach: that requires api.tls`;
      throw refuse(pointer, 'listen-tls', reason);
    }
    return address;
  });
  const api = { ...limits, listen, ...(tls === undefined ? {} : { tls }) };
  const path = file.store.path ?? `/var/lib/hnvgw/${instance}/store.db`;
  const config = { ...file, instance, api, store: { path } };
  return { config, uplink, natLog, ipsec, dataplane, forwarding, learning, refuse };
}
