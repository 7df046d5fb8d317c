/** Secrets in resources: they go in and never come out. Which fields they are the schemas say, by `writeOnly`. */
import { type ResourceKind, type ResourceTypes, resourceSchemas } from './resources.ts';

/** As JSON Schema has them. */
interface Schema {
  readonly writeOnly?: boolean;
  readonly properties?: Readonly<Record<string, Schema>>;
}

type Path = readonly string[];

const pathsOfKind: ReadonlyMap<string, readonly Path[]> = new Map(
  Object.entries(resourceSchemas).map(([kind, schema]) => [kind, [...secretPaths(schema as Schema, [])]]),
);

/** The value as it may be shown; the same object when its kind has no secrets. */
export function withoutSecrets<K extends ResourceKind>(kind: K, value: ResourceTypes[K]): ResourceTypes[K] {
  return mapSecrets(kind, value, () => undefined);
}

/** Whether the JSON pointer, into a resource of the kind, is that of a secret. */
export function isSecret(kind: ResourceKind, pointer: string): boolean {
  return secretsOf(kind).some((path) => pointerOf(path) === pointer);
}

/** The value with each secret, if it is there, replaced; undefined takes it out. The argument is not changed. */
export function mapSecrets<V>(
  kind: ResourceKind,
  value: V,
  replace: (secret: unknown, pointer: string) => unknown,
): V {
  let mapped: unknown = value;
  for (const path of secretsOf(kind))
    mapped = mapField(mapped, path, (secret) => replace(secret, pointerOf(path)));
  return mapped as V;
}

function secretsOf(kind: ResourceKind): readonly Path[] {
  return pathsOfKind.get(kind) ?? [];
}

/** Whether a schema is that of a secret, or of an object that has one. */
export function holdsSecret({ writeOnly = false, properties = {} }: Schema): boolean {
  return writeOnly || Object.values(properties).some(holdsSecret);
}

function* secretPaths({ writeOnly, properties = {} }: Schema, path: Path): Generator<Path> {
  if (writeOnly) yield path;
  for (const [name, field] of Object.entries(properties)) yield* secretPaths(field, [...path, name]);
}

/** Names of fields with secrets need no escapes. */
function pointerOf(path: Path): string {
  return path.map((name) => `/${name}`).join('');
}

function mapField(value: unknown, [name = '', ...rest]: Path, map: (field: unknown) => unknown): unknown {
  if (typeof value !== 'object' || value === null || !Object.hasOwn(value, name)) return value;
  const { [name]: field, ...others } = value as Record<string, unknown>;
  const mapped = rest.length === 0 ? map(field) : mapField(field, rest, map);
  return mapped === undefined ? others : { ...value, [name]: mapped };
}
