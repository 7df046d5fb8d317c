/**
 * The configuration: one YAML file, read once at start. The schema is the reference of its keys; what it does not know
 * is refused with the line, so that a typing error never turns into a default.
 */
import { readFileSync } from 'node:fs';
import { type Static, Type } from 'typebox';
import { isMap, isScalar, LineCounter, parseDocument } from 'yaml';
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
    instance: Type.String({
      pattern: '^[a-z0-9]{1,4}$',
      default: 'hg',
      description:
        '1 to 4 of a-z 0-9: begins the name of every namespace, interface and pin that this gateway makes, and tells ' +
        'several gateways on one machine apart',
    }),
    uplink: Type.Object(
      {
        interface: Type.String({
          pattern: '^[^/\\s]{1,15}$',
          description: 'name of the network interface that leads to the outside; it must exist',
        }),
      },
      { ...closed, description: 'the side of the internet' },
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
      },
      { ...optionalSection, description: 'how much this node takes' },
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

/** The configuration with every default filled in. */
export interface Config extends Omit<ConfigFile, 'api' | 'store'> {
  api: { listen: ListenAddress };
  store: { path: string };
}

const checkConfig = compileSchema(ConfigSchema);

/** Reads the file. Throws HNV_CONFIG with file, line and key. */
export function loadConfig(file: string): Config {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new HnvError('HNV_CONFIG', `The configuration file cannot be read: ${reason}.`, { cause: error });
  }
  return parseConfig(text, file);
}

/** Reads the text of a configuration; `name` stands for it in messages. Throws HNV_CONFIG. */
export function parseConfig(text: string, name: string): Config {
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
  const config = checked.value as ConfigFile;
  const listen = parseListenAddress(config.api.listen);
  if ('refused' in listen) throw refuse('/api/listen', 'listen-address', listen.refused);
  const path = config.store.path ?? `/var/lib/hnvgw/${config.instance}/store.db`;
  return { ...config, api: { listen }, store: { path } };
}

/** Where the key at `path` stands in the text; where it is missing, the nearest one around it. */
function offsetOf(root: unknown, path: readonly string[]): number {
  let node = root;
  let offset = 0;
  for (const step of path) {
    if (!isMap(node)) break;
    const pair = node.items.find((item) => isScalar(item.key) && String(item.key.value) === step);
    if (pair === undefined) break;
    if (isScalar(pair.key)) offset = pair.key.range?.[0] ?? offset;
    node = pair.value;
  }
  return offset;
}
