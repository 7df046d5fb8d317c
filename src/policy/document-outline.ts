/**
 * Reads a big JSON document without ever having all of it in memory as values: the elements of its lists, which stand at one
 * depth, are cut out of the bytes and parsed one by one when they are asked for.
 */
import { checkCount, parseDocument, parseValue } from './document-text.ts';

/** A document, and the values that stand for the elements of the lists in it. */
export interface Outline {
  readonly document: unknown;
  /** The element that a value of a list in the document stands for. Throws as parseDocument does. */
  readonly expand: (value: unknown) => unknown;
}

/** The document itself is at depth 1, a list in it at 2, an element of that at 3. */
const ELEMENT_DEPTH = 3;

const code = (sign: string): number => sign.charCodeAt(0);
const [QUOTE, BACKSLASH, COMMA] = [code('"'), code('\\'), code(',')];
const [OPEN_LIST, CLOSE_LIST, OPEN_OBJECT, CLOSE_OBJECT] = [code('['), code(']'), code('{'), code('}')];
const BLANKS: ReadonlySet<number> = new Set([' ', '\t', '\n', '\r'].map(code));

/** The outline of the document. Throws as parseDocument does, for what is wrong inside of an element not before `expand`. */
export function parseOutline(bytes: Uint8Array): Outline {
  checkCount(bytes);
  const places = findElements(bytes);
  if (places === undefined) return { document: parseValue(bytes, 0), expand: (value) => value };
  return {
    document: orWhole(bytes, () => parseValue(withNumbers(bytes, places), 0)),
    expand: (value) => {
      const at = 2 * (value as number);
      return orWhole(bytes, () => parseValue(bytes.subarray(places[at], places[at + 1]), ELEMENT_DEPTH - 1));
    },
  };
}

/** What is wrong with a part is told as of the whole, which positions in it are counted from. */
function orWhole(bytes: Uint8Array, parsePart: () => unknown): unknown {
  try {
    return parsePart();
  } catch (error) {
    parseDocument(bytes);
    throw error;
  }
}

/** Where each element begins and ends; undefined when there is anything but objects and lists in a list. */
function findElements(bytes: Uint8Array): number[] | undefined {
  const places: number[] = [];
  let depth = 0;
  for (let at = 0; at < bytes.length; at++) {
    const sign = bytes[at] as number;
    if (sign === QUOTE) {
      if (depth === ELEMENT_DEPTH - 1) return undefined;
      at = endOfString(bytes, at);
    } else if (sign === OPEN_OBJECT || sign === OPEN_LIST) {
      if (++depth === ELEMENT_DEPTH) places.push(at);
    } else if (sign === CLOSE_OBJECT || sign === CLOSE_LIST) {
      if (depth-- === ELEMENT_DEPTH) places.push(at + 1);
    } else if (depth === ELEMENT_DEPTH - 1 && sign !== COMMA && !BLANKS.has(sign)) {
      return undefined;
    }
  }
  return depth === 0 ? places : undefined;
}

/** Position of the quote that ends the string, or the end of all. */
function endOfString(bytes: Uint8Array, begin: number): number {
  for (let at = begin + 1; at < bytes.length; at++) {
    if (bytes[at] === BACKSLASH) at++;
    else if (bytes[at] === QUOTE) return at;
  }
  return bytes.length;
}

/** The text of the document with the number of each element in its place; blanks keep two of them apart. */
function withNumbers(bytes: Uint8Array, places: readonly number[]): Uint8Array {
  const parts: Uint8Array[] = [];
  let end = 0;
  for (let at = 0; at < places.length; at += 2) {
    parts.push(bytes.subarray(end, places[at]), Buffer.from(` ${at / 2} `));
    end = places[at + 1] as number;
  }
  return Buffer.concat([...parts, bytes.subarray(end)]);
}
