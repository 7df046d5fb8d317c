/**
 * Messages of VICI, the configuration protocol of strongSwan's IKE daemon (its documentation: src/libcharon/plugins/vici/README.md):
 * named sections, values and lists of values, of bytes that are mostly text.
 */
import { HnvError } from '../errors.ts';

/** A message as it came; the objects have no prototype, so that any name is just a name. */
export interface ViciMessage {
  [key: string]: string | string[] | ViciMessage;
}

type Value = string | number | boolean | Uint8Array;

/** A message to be sent: true and false are `yes` and `no`; what is undefined is left out. */
export interface ViciInput {
  [key: string]: Value | readonly (string | Uint8Array)[] | ViciInput | undefined;
}

const SECTION_START = 1;
const SECTION_END = 2;
const KEY_VALUE = 3;
const LIST_START = 4;
const LIST_ITEM = 5;
const LIST_END = 6;

const LONGEST_NAME = 255;
const LONGEST_VALUE = 65_535;
/** strongSwan's own messages have no more than five. */
const DEEPEST = 32;

/** Throws HNV_SITE when a name or a value is longer than the protocol allows. */
export function encodeMessage(message: ViciInput): Buffer {
  const parts: Buffer[] = [];
  encodeSection(message, parts);
  return Buffer.concat(parts);
}

function encodeSection(section: ViciInput, parts: Buffer[]): void {
  for (const [name, value] of Object.entries(section)) {
    if (value === undefined) continue;
    if (isList(value)) {
      parts.push(Buffer.of(LIST_START), encodeName(name));
      for (const item of value) parts.push(Buffer.of(LIST_ITEM), encodeValue(name, item));
      parts.push(Buffer.of(LIST_END));
    } else if (typeof value === 'object' && !(value instanceof Uint8Array)) {
      parts.push(Buffer.of(SECTION_START), encodeName(name));
      encodeSection(value, parts);
      parts.push(Buffer.of(SECTION_END));
    } else parts.push(Buffer.of(KEY_VALUE), encodeName(name), encodeValue(name, value));
  }
}

/** Array.isArray does not know readonly arrays. */
const isList = (value: unknown): value is readonly (string | Uint8Array)[] => Array.isArray(value);

/** A name with its length in front of it, as packets have it too. */
export function encodeName(name: string): Buffer {
  const bytes = Buffer.from(name);
  if (bytes.length === 0 || bytes.length > LONGEST_NAME)
    throw new HnvError(
      'HNV_SITE',
      `A name of ${bytes.length} bytes cannot be told to the IKE daemon, which takes 1 to ${LONGEST_NAME}.`,
    );
  return Buffer.concat([Buffer.of(bytes.length), bytes]);
}

/** The value may be a secret: an error names only what it is called. */
function encodeValue(name: string, value: Value): Buffer {
  const bytes =
    value instanceof Uint8Array
      ? value
      : Buffer.from(typeof value === 'boolean' ? (value ? 'yes' : 'no') : String(value));
  if (bytes.length > LONGEST_VALUE)
    throw new HnvError(
      'HNV_SITE',
      `The value of ${name} has ${bytes.length} bytes; the IKE daemon takes ${LONGEST_VALUE}.`,
    );
  const length = Buffer.alloc(2);
  length.writeUInt16BE(bytes.length);
  return Buffer.concat([length, bytes]);
}

/** Throws HNV_SITE when the bytes are no message. */
export function decodeMessage(bytes: Uint8Array): ViciMessage {
  return new Decoder(bytes).message();
}

class Decoder {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  message(): ViciMessage {
    const outer: ViciMessage[] = [];
    let section = emptySection();
    while (this.#at < this.#bytes.length) {
      const type = this.#uint8();
      if (type === SECTION_START) {
        if (outer.length === DEEPEST)
          throw this.#malformed(`has sections in sections more than ${DEEPEST} deep`);
        outer.push(section);
        section = section[this.#text(this.#uint8())] = emptySection();
      } else if (type === SECTION_END) {
        const around = outer.pop();
        if (around === undefined) throw this.#malformed('ends a section that has not begun');
        section = around;
      } else if (type === KEY_VALUE) {
        const name = this.#text(this.#uint8());
        section[name] = this.#text(this.#uint16());
      } else if (type === LIST_START) section[this.#text(this.#uint8())] = this.#list();
      else throw this.#malformed(`has an element of type ${type}`);
    }
    if (outer.length > 0) throw this.#malformed('ends within a section');
    return section;
  }

  #list(): string[] {
    const items: string[] = [];
    for (let type = this.#uint8(); type !== LIST_END; type = this.#uint8()) {
      if (type !== LIST_ITEM) throw this.#malformed(`has an element of type ${type} within a list`);
      items.push(this.#text(this.#uint16()));
    }
    return items;
  }

  #uint8(): number {
    return this.#take(1).readUInt8();
  }

  #uint16(): number {
    return this.#take(2).readUInt16BE();
  }

  #text(length: number): string {
    return this.#take(length).toString();
  }

  #take(length: number): Buffer {
    const end = this.#at + length;
    if (end > this.#bytes.length) throw this.#malformed('ends within an element');
    const taken = this.#bytes.subarray(this.#at, end);
    this.#at = end;
    return taken;
  }

  #malformed(what: string): HnvError {
    return new HnvError('HNV_SITE', `A message of the IKE daemon ${what} (at byte ${this.#at}).`);
  }
}

function emptySection(): ViciMessage {
  return Object.create(null) as ViciMessage;
}
