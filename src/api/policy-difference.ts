/** What changed inside of a resource, field by field. */
import { mapSecrets } from '../policy/secrets.ts';
import { Pace } from '../store/pace.ts';
import { resourcePath } from '../store/resource-path.ts';
import type { ValueChange } from '../store/store.ts';

/** A field that is not the same: `before` is absent when it is new, `after` when it has gone, both when it is a secret. */
export interface FieldChange {
  /** JSON pointer in the resource. */
  readonly pointer: string;
  readonly before?: unknown;
  readonly after?: unknown;
}

export interface DescribedChange {
  readonly change: ValueChange['change'];
  /** Path of the resource. */
  readonly path: string;
  /** Of what is changed. */
  readonly fields?: readonly FieldChange[];
}

/** Most fields in one answer; changes that come after that many are only counted. */
const MOST_FIELDS = 10_000;

/** The changes as they are answered, in their order, as many as an answer has room for. */
export async function describeChanges(changes: readonly ValueChange[]): Promise<DescribedChange[]> {
  const pace = new Pace();
  const described: DescribedChange[] = [];
  let room = MOST_FIELDS;
  for (const { key, change, before, after } of changes) {
    if (pace.isOver) await pace.rest();
    if (room <= 0) break;
    const path = resourcePath(key);
    if (change !== 'changed') {
      described.push({ change, path });
      continue;
    }
    // A secret has no value to show, nor has an element of a list that has come or gone with one.
    const [old, young] = [before, after].map((value) => mapSecrets(key.kind, value, () => undefined));
    const shown = new Map([...fieldChanges(old, young, '')].map((field) => [field.pointer, field]));
    const fields = [...fieldChanges(before, after, '')].map(
      ({ pointer }) => shown.get(pointer) ?? { pointer },
    );
    room -= fields.length;
    described.push({ change, path, fields });
  }
  return described;
}

/** Objects field by field, arrays of objects by position, arrays of anything else as a whole. */
export function* fieldChanges(before: unknown, after: unknown, pointer: string): Generator<FieldChange> {
  const [old, young] = [fieldsOf(before), fieldsOf(after)];
  if (old === undefined || young === undefined || Array.isArray(before) !== Array.isArray(after)) {
    if (JSON.stringify(before) !== JSON.stringify(after)) yield { pointer, before, after };
    return;
  }
  for (const name of new Set([...old.keys(), ...young.keys()])) {
    const at = `${pointer}/${name.replaceAll('~', '~0').replaceAll('/', '~1')}`;
    if (!old.has(name)) yield { pointer: at, after: young.get(name) };
    else if (!young.has(name)) yield { pointer: at, before: old.get(name) };
    else yield* fieldChanges(old.get(name), young.get(name), at);
  }
}

/** What is compared one by one; undefined for what is compared as a whole. */
function fieldsOf(value: unknown): Map<string, unknown> | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  if (Array.isArray(value) && !value.every((item) => typeof item === 'object')) return undefined;
  return new Map(Object.entries(value));
}
