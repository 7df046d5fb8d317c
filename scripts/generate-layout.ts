/**
 * Writes src/encap/layout.generated.ts from the BTF of the eBPF object: for every key and value of a map an interface
 * with encode and decode functions, the enums of the data plane, and a version that changes with any of it. With
 * `--check` it writes nothing and fails when the file is not current.
 */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';

const OBJECT = 'dist/bpf/hnvgw.bpf.o';
const OUTPUT = 'src/encap/layout.generated.ts';
const PREFIX = 'hnv_';

interface BtfType {
  id: number;
  kind: string;
  name: string;
  size?: number;
  type_id?: number;
  nr_elems?: number;
  members?: { name: string; type_id: number; bits_offset: number }[];
  values?: { name: string; val: number }[];
  vars?: { type_id: number }[];
}

/** How a field is written in TypeScript, and read from and put into a DataView `view`. */
interface Codec {
  type: string;
  read: (offset: number) => string;
  write: (offset: number, value: string) => string;
}

const dump = execFileSync('bpftool', ['btf', 'dump', 'file', OBJECT, '-j'], { encoding: 'utf8' });
const types = new Map((JSON.parse(dump) as { types: BtfType[] }).types.map((type) => [type.id, type]));

function typeOf(id: number | undefined): BtfType {
  const type = types.get(id ?? -1);
  if (type === undefined) throw new Error(`${OBJECT}: its BTF has no type ${id}`);
  return type;
}

/** Through typedefs and qualifiers to the type itself; network byte order is a typedef's name and nothing else. */
function resolve(id: number | undefined): { type: BtfType; bigEndian: boolean } {
  let type = typeOf(id);
  let bigEndian = false;
  while (['TYPEDEF', 'CONST', 'VOLATILE'].includes(type.kind)) {
    bigEndian ||= type.name.startsWith('__be');
    type = typeOf(type.type_id);
  }
  return { type, bigEndian };
}

const camel = (name: string): string => name.replace(/_([a-z0-9])/g, (_, letter: string) => letter.toUpperCase());
const pascal = (name: string): string => {
  const plain = camel(name.startsWith(PREFIX) ? name.slice(PREFIX.length) : name);
  return plain.charAt(0).toUpperCase() + plain.slice(1);
};

function integer(size: number, bigEndian: boolean): Codec {
  const method = { 1: 'Uint8', 2: 'Uint16', 4: 'Uint32', 8: 'BigUint64' }[size];
  if (method === undefined) throw new Error(`no integer of ${size} bytes`);
  const order = size === 1 ? '' : `, ${!bigEndian}`;
  return {
    type: size === 8 ? 'bigint' : 'number',
    read: (offset) => `view.get${method}(${offset}${order})`,
    write: (offset, value) => `view.set${method}(${offset}, ${value}${order});`,
  };
}

function array(element: BtfType, count: number): Codec {
  if (element.kind !== 'INT') throw new Error(`an array of ${element.kind} has no TypeScript form`);
  if (element.size === 1)
    return {
      type: 'Uint8Array',
      read: (offset) => `bytes.slice(${offset}, ${offset + count})`,
      write: (offset, value) => `bytes.set(${value}, ${offset});`,
    };
  if (element.size !== 8) throw new Error(`an array of ${element.size} byte integers has no TypeScript form`);
  return {
    type: 'BigUint64Array',
    read: (offset) => `BigUint64Array.from({ length: ${count} }, (_, i) => view.getBigUint64(${offset} + i * 8, true))`,
    write: (offset, value) => `${value}.forEach((word, i) => view.setBigUint64(${offset} + i * 8, word, true));`,
  };
}

function codecOf(id: number): Codec {
  const { type, bigEndian } = resolve(id);
  if (type.kind === 'INT') return integer(type.size ?? 0, bigEndian);
  if (type.kind === 'ENUM') return integer(type.size ?? 0, false);
  if (type.kind === 'ARRAY') return array(resolve(type.type_id).type, type.nr_elems ?? 0);
  throw new Error(`a field of kind ${type.kind} has no TypeScript form`);
}

function structSource(struct: BtfType): string {
  const name = pascal(struct.name);
  const fields = (struct.members ?? []).map((member) => ({
    name: camel(member.name),
    offset: member.bits_offset / 8,
    codec: codecOf(member.type_id),
  }));
  const sizeName = `${name.charAt(0).toLowerCase()}${name.slice(1)}Size`;
  const view = 'new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)';
  return [
    `/** struct ${struct.name} */`,
    `export interface ${name} {`,
    ...fields.map((field) => `  ${field.name}: ${field.codec.type};`),
    '}',
    `export const ${sizeName} = ${struct.size};`,
    `export function encode${name}(value: ${name}): Uint8Array {`,
    `  const bytes = new Uint8Array(${struct.size});`,
    ...(fields.some((f) => f.codec.type !== 'Uint8Array') ? [`  const view = ${view};`] : []),
    ...fields.map((field) => `  ${field.codec.write(field.offset, `value.${field.name}`)}`),
    '  return bytes;',
    '}',
    `export function decode${name}(bytes: Uint8Array): ${name} {`,
    ...(fields.some((f) => f.codec.type !== 'Uint8Array') ? [`  const view = ${view};`] : []),
    '  return {',
    ...fields.map((field) => `    ${field.name}: ${field.codec.read(field.offset)},`),
    '  };',
    '}',
  ].join('\n');
}

function enumSource(type: BtfType): string {
  const values = (type.values ?? []).map(({ name, val }) => `  ${name}: ${val},`);
  return [`/** enum ${type.name} */`, `export const ${pascal(type.name)} = {`, ...values, '} as const;'].join('\n');
}

/** Keys and values of all maps, each once, in the order of the source. */
function mapStructs(): BtfType[] {
  const section = [...types.values()].find((type) => type.kind === 'DATASEC' && type.name === '.maps');
  const found = new Map<string, BtfType>();
  for (const { type_id } of section?.vars ?? []) {
    const definition = typeOf(typeOf(type_id).type_id);
    for (const member of definition.members ?? []) {
      if (member.name !== 'key' && member.name !== 'value') continue;
      const { type } = resolve(typeOf(member.type_id).type_id);
      if (type.kind === 'STRUCT') found.set(type.name, type);
    }
  }
  return [...found.values()];
}

const enums = [...types.values()].filter((type) => type.kind === 'ENUM' && type.name.startsWith(PREFIX));
const structs = mapStructs().map(structSource).join('\n\n');
const body = [...enums.map(enumSource), structs].join('\n\n');
const version = createHash('sha256').update(structs).digest('hex').slice(0, 8);
const source = `// Generated by scripts/generate-layout.ts from the BTF of ${OBJECT}; \`npm run generate\` renews it.
// Integers are in the byte order of the machines that hnvgw runs on, little endian, but where the source says __be.

/** Changes whenever a map's key or value does. */
export const layoutVersion = '${version}';

${body}
`;

if (process.argv.includes('--check')) {
  if (readFileSync(OUTPUT, 'utf8') !== source) {
    console.error(`${OUTPUT} is not what ${OBJECT} says: run npm run generate and commit the result.`);
    process.exitCode = 1;
  }
} else {
  writeFileSync(OUTPUT, source);
}
