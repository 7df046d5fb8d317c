/**
 * Says in one sentence how a value breaks a TypeBox schema: which field, its value, the rule. For requests and for the
 * configuration file.
 */
import type { TSchema } from 'typebox';
import { Compile } from 'typebox/compile';
import { Value } from 'typebox/value';
import { holdsSecret } from '../policy/secrets.ts';

export interface Violation {
  /** JSON pointer (RFC 6901) of the field, '' for the whole value. */
  readonly pointer: string;
  /** Stable short name of the broken rule. */
  readonly rule: string;
  /** What is wrong with the field and how it must be; continues a sentence after the field's name. */
  readonly reason: string;
}

/** The value with defaults filled in, or how it breaks the schema. */
export type Checked = { value: unknown } | { violation: Violation };

/** Compiles a schema to a function that fills in defaults and checks. The argument is not changed. */
export function compileSchema(schema: TSchema): (value: unknown) => Checked {
  const validator = Compile(schema);
  return (given) => {
    const value = withDefaults(schema, given);
    if (validator.Check(value)) return { value };
    return { violation: worst(schema, validator.Errors(value), value) };
  };
}

/** TypeBox (1.4.3) throws at a property that a record excludes: the value then breaks its schema, whatever the defaults. */
function withDefaults(schema: TSchema, given: unknown): unknown {
  try {
    return Value.Default(schema, structuredClone(given));
  } catch (error) {
    if (error instanceof TypeError) return given;
    throw error;
  }
}

interface SchemaError {
  keyword: string;
  schemaPath: string;
  instancePath: string;
  params: object;
  message: string;
}

/**
 * One error stands for all: a field that is not known (a misspelt name explains the one that is missing), else the
 * first that is not only the detail of another. What is a list where a union takes a list is wrong as that list.
 */
function worst(schema: TSchema, errors: SchemaError[], value: unknown): Violation {
  const unions = errors.filter((error) => error.keyword === 'anyOf');
  const lists = unions.map((union) =>
    listMember(at(schema, union.schemaPath), at(value, union.instancePath)),
  );
  const isDetail = (error: SchemaError): boolean =>
    unions.some((union, index) => {
      const list = lists[index];
      if (error === union) return list !== undefined;
      const members = `${union.schemaPath}/anyOf/`;
      if (!error.schemaPath.startsWith(members)) return false;
      return list === undefined || !error.schemaPath.startsWith(`${members}${list}`);
    });
  const error =
    errors.find(({ keyword }) => keyword === 'additionalProperties') ??
    errors.find((candidate) => !isDetail(candidate));
  if (error === undefined) throw new Error('a value that breaks its schema has no error');
  return describe(error, at(schema, error.schemaPath), at(value, error.instancePath));
}

/** The number of the union's member that is a list, when the value is one. */
function listMember(union: unknown, value: unknown): number | undefined {
  const members = field(union, 'anyOf');
  if (!Array.isArray(value) || !Array.isArray(members)) return undefined;
  const index = members.findIndex((member) => field(member, 'type') === 'array');
  return index < 0 ? undefined : index;
}

type Limits = { limit?: number; type?: string | string[]; pattern?: string | RegExp; format?: string };

function describe(error: SchemaError, schema: unknown, value: unknown): Violation {
  const { keyword, instancePath: pointer } = error;
  if (keyword === 'additionalProperties') {
    const [name = ''] = (error.params as { additionalProperties: string[] }).additionalProperties;
    const known = Object.keys(field(schema, 'properties') ?? {}).join(', ');
    const [form] = Object.keys(field(schema, 'patternProperties') ?? {});
    const names = form === undefined ? 'is not allowed here' : `is not allowed here: names match ${form}`;
    const reason = known === '' ? names : `is no known field; known are ${known}`;
    return { pointer: child(pointer, name), rule: 'unknown-field', reason };
  }
  if (keyword === 'required') {
    const [name = ''] = (error.params as { requiredProperties: string[] }).requiredProperties;
    return { pointer: child(pointer, name), rule: 'required', reason: 'is missing, and it is required' };
  }
  const { limit, type, pattern, format } = error.params as Limits;
  const rules: Record<string, [rule: string, must: string]> = {
    type: ['type', `be of type ${type}`],
    enum: ['enum', `be one of ${values(schema).join(', ')}`],
    anyOf: ['enum', `be one of ${constants(schema).join(', ')}`],
    pattern: ['pattern', `match ${pattern}`],
    format: ['format', `be a ${format}`],
    minimum: ['minimum', `be at least ${limit}`],
    maximum: ['maximum', `be at most ${limit}`],
    minLength: ['min-length', `have at least ${limit} characters`],
    maxLength: ['max-length', `have at most ${limit} characters`],
    minItems: ['min-items', `have at least ${limit} items`],
    maxItems: ['max-items', `have at most ${limit} items`],
  };
  const [rule, must] = rules[keyword] ?? [keyword, `obey ${keyword}: ${error.message}`];
  const description = field(schema, 'description');
  const explained = typeof description === 'string' ? ` (${description})` : '';
  const found = isQuotable(schema) ? `is ${shown(value)}, but ` : '';
  return { pointer, rule, reason: `${found}must ${must}${explained}` };
}

/** The field's name as people write it: `externalAddresses.0.portStart`; `whole` for the value itself. */
export function fieldName(pointer: string, whole: string): string {
  return segments(pointer).join('.') || whole;
}

/** The steps of a JSON pointer. */
export function segments(pointer: string): string[] {
  return pointer
    .split('/')
    .slice(1)
    .map((step) => step.replaceAll('~1', '/').replaceAll('~0', '~'));
}

function child(pointer: string, name: string): string {
  return `${pointer}/${name.replaceAll('~', '~0').replaceAll('/', '~1')}`;
}

function at(root: unknown, pointer: string): unknown {
  return segments(pointer).reduce<unknown>((node, step) => field(node, step), root);
}

function field(node: unknown, name: string): unknown {
  if (typeof node !== 'object' || node === null || !Object.hasOwn(node, name)) return undefined;
  return (node as Record<string, unknown>)[name];
}

/** The values of a union of literals; a list has none, and says what it is. */
function constants(schema: unknown): unknown[] {
  const members = field(schema, 'anyOf');
  if (!Array.isArray(members)) return [];
  return members.map((member) => field(member, 'const') ?? field(member, 'description'));
}

/** The values of an enumeration. */
function values(schema: unknown): unknown[] {
  const members = field(schema, 'enum');
  return Array.isArray(members) ? members : [];
}

/** What a message may quote: no secret, nor what was written where an object with a secret belongs. */
function isQuotable(schema: unknown): boolean {
  return typeof schema !== 'object' || schema === null || !holdsSecret(schema);
}

/** Of an object, and of objects in a list, only that they are there: any may have a secret in it. */
function shown(value: unknown): string {
  if (isObject(value)) return 'an object';
  if (Array.isArray(value) && value.some(isObject)) return `a list of ${value.length}`;
  const text = JSON.stringify(value) ?? 'absent';
  return text.length > 80 ? `${text.slice(0, 77)}...` : text;
}

function isObject(value: unknown): boolean {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
