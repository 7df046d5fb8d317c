/** Secrets in resources: they go in and never come out. Which fields they are the schemas say, by `writeOnly`. */
import { type ResourceKind, type ResourceTypes, resourceSchemas } from './resources.ts';

/** As JSON Schema has them. */
interface Schema {
  readonly writeOnly?: boolean;
  readonly properties?: Readonly<Record<string, Schema>>;
  /** Of lists. */
  readonly items?: Schema;
}

/** Names of fields, and `*` for each element of a list. */
type Path = readonly string[];
const eachElement = '*';

const pathsOfKind: ReadonlyMap<string, readonly Path[]> = new Map(
  Object.entries(resourceSchemas).map(([kind, schema]) => [kind, [...secretPaths(schema as Schema, [])]]),
);

/** The value as it may be shown; the same object when its kind has no secrets. */
export function withoutSecrets<K extends ResourceKind>(kind: K, value: ResourceTypes[K]): ResourceTypes[K] {
  return mapSecrets(kind, value, () => undefined);
}

/** Whether the JSON pointer, into a resource of the kind, is that of a secret. */
export function isSecret(kind: ResourceKind, pointer: string): boolean {
  const steps = pointer.split('/').slice(1);
  return secretsOf(kind).some(
    (path) =>
      path.length === steps.length &&
      path.every((name, index) => name === eachElement || name === steps[index]),
  );
}

/** The value with each secret, if it is there, replaced; undefined takes it out. The argument is not changed. */
export function mapSecrets<V>(
  kind: ResourceKind,
  value: V,
  replace: (secret: unknown, pointer: string) => unknown,
): V {
  let mapped: unknown = value;
  for (const path of secretsOf(kind)) mapped = mapField(mapped, path, '', replace);
  return mapped as V;
}

function secretsOf(kind: ResourceKind): readonly Path[] {
  return pathsOfKind.get(kind) ?? [];
}

/** Whether a schema is that of a secret, or of an object or list that has one. */
export function holdsSecret({ writeOnly = false, properties = {}, items }: Schema): boolean {
  return (
    writeOnly || Object.values(properties).some(holdsSecret) || (items !== undefined && holdsSecret(items))
  );
}

function* secretPaths({ writeOnly, properties = {}, items }: Schema, path: Path): Generator<Path> {
  if (writeOnly) yield path;
  for (const [name, field] of Object.entries(properties)) yield* secretPaths(field, [...path, name]);
  if (items !== undefined) yield* secretPaths(items, [...path, eachElement]);
}

/** Names of fields with secrets need no escapes in `pointer`. */
function mapField(
  value: unknown,
  [name, ...rest]: Path,
  pointer: string,
  replace: (secret: unknown, pointer: string) => unknown,
): unknown {
  if (name === undefined) return replace(value, pointer);
  if (name === eachElement) {
    if (!Array.isArray(value)) return value;
    return value.map((element, index) => mapField(element, rest, `${pointer}/${index}`, replace));
  }
  if (typeof value !== 'object' || value === null || !Object.hasOwn(value, name)) return value;
  const { [name]: field, ...others } = value as Record<string, unknown>;
  const mapped = mapField(field, rest, `${pointer}/${name}`, replace);
  return mapped === undefined ? others : { ...value, [name]: mapped };
}
