/**
 * The configuration: one YAML file, read once at start. The schema is the reference of its keys; what it does not know
 * is refused with the line, so that a typing error never turns into a default.
 */
import { readFileSync } from 'node:fs';
import { type Static, Type } from 'typebox';
import { isMap, isNode, isScalar, isSeq, LineCounter, parseDocument } from 'yaml';
import { HnvError } from '../errors.ts';
import { type ListenAddress, parseListenAddress } from './listen-address.ts';
import { compileSchema, fieldName, segments } from './schema-violation.ts';

const closed = { additionalProperties: false } as const;

/** A section that may be absent, since each of its keys may. */
const optionalSection = { ...closed, default: {} } as const;

function count(maximum: number, value: number, what: string) {
  return Type.Integer({
    minimum: 1,
    maximum,
    default: value,
    description: `most ${what} that this node takes, 1 to ${maximum}; sizes the kernel's tables`,
  });
}

/** Every key, with its rule, default and description. */
export const ConfigSchema = Type.Object(
  {
    instance: Type.Optional(
      Type.String({
        pattern: '^[a-z0-9]{1,4}$',
        description:
          '1 to 4 of a-z 0-9: begins the name of every namespace, interface and pin that this node makes, and tells ' +
          'several nodes on one machine apart; hg for a gateway and hh for a host by default',
      }),
    ),
    uplink: Type.Optional(
      Type.Object(
        {
          interface: Type.String({
            pattern: '^[^/\\s]{1,15}$',
            description: 'name of the network interface that leads to the outside; it must exist',
          }),
        },
        { ...closed, description: 'the side of the internet; required for a gateway, and a host has none' },
      ),
    ),
    api: Type.Object(
      {
        listen: Type.String({
          default: '127.0.0.1:8080',
          description: 'where the REST API listens: 127.0.0.1:PORT, [::1]:PORT or unix:/PATH',
        }),
      },
      { ...optionalSection, description: 'the REST API' },
    ),
    store: Type.Object(
      {
        path: Type.Optional(
          Type.String({
            pattern: '^/.*[^/]$',
            description:
              'absolute path of the file with the desired state, /var/lib/hnvgw/INSTANCE/store.db by default',
          }),
        ),
      },
      { ...optionalSection, description: 'the desired state' },
    ),
    capacity: Type.Object(
      {
        routingDomains: count(65_536, 1024, 'routing domains'),
        lookupRecords: count(16_777_216, 131_072, 'lookup records of all routing domains together'),
        customerRoutes: count(16_777_216, 16_384, 'customer routes of all routing domains together'),
        externalAddresses: count(1_048_576, 16_384, 'external addresses of all routing domains together'),
        ports: count(65_536, 4096, 'ports of virtual machines'),
      },
      { ...optionalSection, description: 'how much this node takes' },
    ),
    learning: Type.Object(
      {
        addressesPerPort: Type.Integer({
          minimum: 1,
          maximum: 4096,
          default: 16,
          description: 'most addresses that are learned at one port; for a host only, as all of this section',
        }),
        ageSeconds: Type.Integer({
          minimum: 1,
          maximum: 86_400,
          default: 300,
          description: 'seconds after which an address that nothing was heard of is forgotten',
        }),
        publish: Type.Array(
          Type.String({
            description:
              'an API, http://127.0.0.1:PORT, http://[::1]:PORT or unix:/PATH, of another node or of what distributes ' +
              'policy to all',
          }),
          {
            maxItems: 1024,
            default: [],
            description:
              'APIs that every learned address is written to, and deleted from when it is forgotten',
          },
        ),
      },
      { ...optionalSection, description: 'addresses that are learned from VMs; for a host only' },
    ),
    log: Type.Object(
      {
        level: Type.Union(
          [
            Type.Literal('fatal'),
            Type.Literal('error'),
            Type.Literal('warn'),
            Type.Literal('info'),
            Type.Literal('debug'),
            Type.Literal('trace'),
          ],
          { default: 'info', description: 'least severe level that is logged' },
        ),
      },
      { ...optionalSection, description: 'the log, written to standard output' },
    ),
  },
  closed,
);

type ConfigFile = Static<typeof ConfigSchema>;

/** What a node is: it terminates tunnels for routing contexts, or for VMs. */
export type RoleName = 'gateway' | 'host';

/** The configuration with every default filled in. */
export interface Config extends Omit<ConfigFile, 'instance' | 'uplink' | 'api' | 'store' | 'learning'> {
  instance: string;
  api: { listen: ListenAddress };
  store: { path: string };
}

export interface GatewayConfig extends Config {
  uplink: { interface: string };
}

export interface HostConfig extends Config {
  learning: LearningConfig;
}

export interface LearningConfig {
  addressesPerPort: number;
  ageSeconds: number;
  /** APIs of the nodes, or of what distributes to them, that learned addresses are written to. */
  publish: ListenAddress[];
}

const checkConfig = compileSchema(ConfigSchema);

/** Prefix of names unless the configuration says another: a gateway and a host can share a machine. */
const defaultInstance: Record<RoleName, string> = { gateway: 'hg', host: 'hh' };

/** Sections that only one role has. */
const sectionRoles = { uplink: 'gateway', learning: 'host' } as const;

/** Reads the file of a gateway. Throws HNV_CONFIG with file, line and key. */
export function loadGatewayConfig(file: string): GatewayConfig {
  return parseGatewayConfig(readText(file), file);
}

/** As loadGatewayConfig(), of a host. */
export function loadHostConfig(file: string): HostConfig {
  return parseHostConfig(readText(file), file);
}

/** Reads the text of a gateway's configuration; `name` stands for it in messages. Throws HNV_CONFIG. */
export function parseGatewayConfig(text: string, name: string): GatewayConfig {
  const { config, uplink, refuse } = parse(text, name, 'gateway');
  if (uplink === undefined) throw refuse('/uplink', 'required', 'is missing, and a gateway requires it');
  return { ...config, uplink };
}

/** As parseGatewayConfig(), of a host. */
export function parseHostConfig(text: string, name: string): HostConfig {
  const { config, learning, refuse } = parse(text, name, 'host');
  const publish = learning.publish.map((peer, index) => {
    const api = parseListenAddress(peer.replace(/^http:\/\/([^/]*)\/?$/, '$1'));
    if ('refused' in api || !/^(http:\/\/|unix:)/.test(peer))
      throw refuse(
        `/learning/publish/${index}`,
        'publish-address',
        `is "${peer}", but must be http://127.0.0.1:PORT, http://[::1]:PORT or unix:/PATH: the API has no TLS yet`,
      );
    return api;
  });
  return { ...config, learning: { ...learning, publish } };
}

function readText(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new HnvError('HNV_CONFIG', `The configuration file cannot be read: ${reason}.`, { cause: error });
  }
}

interface Parsed {
  config: Config;
  uplink: ConfigFile['uplink'];
  learning: ConfigFile['learning'];
  /** The error that says what is wrong with the key at the pointer. */
  refuse: (pointer: string, rule: string, reason: string) => HnvError;
}

function parse(text: string, name: string, role: RoleName): Parsed {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false });
  const [syntaxError] = document.errors;
  if (syntaxError !== undefined) {
    const { line } = lines.linePos(syntaxError.pos[0]);
    throw new HnvError('HNV_CONFIG', `${name}:${line}: ${syntaxError.message}.`);
  }
  const refuse = (pointer: string, rule: string, reason: string) => {
    const { line } = lines.linePos(offsetOf(document.contents, segments(pointer)));
    const sentence = `${name}:${line}: ${fieldName(pointer, 'The configuration')} ${reason}.`;
    return new HnvError('HNV_CONFIG', sentence, { pointer, rule });
  };

  const checked = checkConfig(document.toJS());
  if ('violation' in checked) {
    const { pointer, rule, reason } = checked.violation;
    throw refuse(pointer, rule, reason);
  }
  for (const [section, only] of Object.entries(sectionRoles))
    if (only !== role && document.has(section))
      throw refuse(`/${section}`, 'role', `is for a ${only} only, and this node is a ${role}`);
  const { instance = defaultInstance[role], uplink, learning, ...file } = checked.value as ConfigFile;
  const listen = parseListenAddress(file.api.listen);
  if ('refused' in listen) throw refuse('/api/listen', 'listen-address', listen.refused);
  const path = file.store.path ?? `/var/lib/hnvgw/${instance}/store.db`;
  return { config: { ...file, instance, api: { listen }, store: { path } }, uplink, learning, refuse };
}

/** Where the key at `path` stands in the text; where it is missing, the nearest one around it. */
function offsetOf(root: unknown, path: readonly string[]): number {
  let node = root;
  let offset = 0;
  for (const step of path) {
    if (isSeq(node)) {
      node = node.items[Number(step)];
      if (isNode(node)) offset = node.range?.[0] ?? offset;
      continue;
    }
    if (!isMap(node)) break;
    const pair = node.items.find((item) => isScalar(item.key) && String(item.key.value) === step);
    if (pair === undefined) break;
    if (isScalar(pair.key)) offset = pair.key.range?.[0] ?? offset;
    node = pair.value;
  }
  return offset;
}
