/** From the bytes of a JSON document to its value, which is safe to walk through and to copy. */
import { HnvError } from '../errors.ts';

/** Nesting that no policy document comes near: what is deeper could exhaust the stack of whoever walks through it. */
const deepest = 32;
/**
 * More than a policy document of 64 MiB has. A body of nothing but brackets and commas would take 20 times its size in
 * memory; and a thread that runs out of it can take the process with it.
 */
const mostValues = 4_000_000;
/** More fields than an object in a body of 1 MiB, the most that a resource takes by itself, has. */
const mostFields = 131_072;

/** The value. Throws HNV_BAD_REQUEST, which says what is wrong with the text, or HNV_TOO_LARGE. */
export function parseDocument(bytes: Uint8Array): unknown {
  checkCount(bytes);
  return parseValue(bytes, 0);
}

/** The same of a part that lies so deep in a document whose count was checked. */
export function parseValue(bytes: Uint8Array, depth: number): unknown {
  const value = parseJson(decode(bytes));
  checkShape(value, depth);
  return value;
}

/** Signs inside of strings count too: what is told apart here would be parsed. */
export function checkCount(bytes: Uint8Array): void {
  if (bytes.length <= mostValues) return;
  let values = 0;
  for (const byte of bytes) if (byte === 0x2c || byte === 0x5b || byte === 0x7b) values++;
  if (values <= mostValues) return;
  throw new HnvError(
    'HNV_TOO_LARGE',
    `The body has ${values} commas and brackets, of which it may have ${mostValues}.`,
    {
      rule: 'document-values',
    },
  );
}

function decode(bytes: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    throw malformed('is not valid UTF-8, which JSON is written in');
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw malformed(`is not valid JSON: ${reasonOf(error)}`);
  }
}

/** V8 quotes what is around an unexpected sign, which may be a secret. */
function reasonOf(error: unknown): string {
  return String(error instanceof Error ? error.message : error).replace(
    /, (\.\.\.)?".*"(\.\.\.)? is not valid JSON$/s,
    '',
  );
}

/** Level by level, so that the stack does not grow with the nesting. */
function checkShape(root: unknown, above: number): void {
  let level = [root].filter(isContainer);
  for (let depth = above + 1; level.length > 0; depth++) {
    if (depth > deepest) throw malformed(`is nested more than ${deepest} deep`);
    const next: object[] = [];
    for (const container of level) {
      const children = Object.values(container);
      if (!Array.isArray(container)) checkFields(container, children.length);
      for (const child of children) if (isContainer(child)) next.push(child);
    }
    level = next;
  }
}

/** Refuses, as in all other bodies, names that would reach the prototype of an object that this one is copied into. */
function checkFields(object: object, count: number): void {
  if (count > mostFields) throw malformed(`has an object of more than ${mostFields} fields`);
  if (Object.hasOwn(object, '__proto__'))
    throw malformed('has a field named __proto__, which is not allowed');
  if (!Object.hasOwn(object, 'constructor') || !isContainer(object.constructor)) return;
  if (Object.hasOwn(object.constructor, 'prototype'))
    throw malformed('has a field named constructor.prototype, which is not allowed');
}

function isContainer(value: unknown): value is object {
  return typeof value === 'object' && value !== null;
}

function malformed(why: string): HnvError {
  return new HnvError('HNV_BAD_REQUEST', `The body ${why}.`);
}
