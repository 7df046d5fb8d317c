/**
 * Writes src/encap/layout.generated.ts from the BTF of the eBPF object: the maps; for every struct that is a map's key
 * or value, or inside of one, an interface with encode and decode functions; the enums of the data plane; and a version
 * that changes with any of the maps. With `--check` it writes nothing and fails when the file is not current.
 */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const OBJECT = 'dist/bpf/hnvgw.bpf.o';
const OUTPUT = 'src/encap/layout.generated.ts';
/** Structs and enums lose it in TypeScript; enums without it are not the data plane's. */
const PREFIX = 'hnv_';
/** bpftool's name for what has none. */
const ANONYMOUS = '(anon)';

interface BtfMember {
  name: string;
  type_id: number;
  bits_offset: number;
  bitfield_size?: number;
}

interface BtfType {
  id: number;
  kind: string;
  name: string;
  size?: number;
  type_id?: number;
  nr_elems?: number;
  members?: BtfMember[];
  values?: { name: string; val: number }[];
  vars?: { type_id: number }[];
}

/** How a field is written in TypeScript, and read from and put into `bytes` and the DataView `view` over them. */
interface Codec {
  type: string;
  /** Whether `view` is used. */
  view: boolean;
  read: (offset: number) => string;
  write: (offset: number, value: string) => string;
}

/** A map as its definition in C has it; key and value are undefined where it has none. */
interface MapDefinition {
  name: string;
  /** `type`, `max_entries` and other numbers. */
  numbers: [string, number][];
  key?: BtfType;
  value?: BtfType;
}

/** The BTF of one object file. */
class Btf {
  readonly #types: Map<number, BtfType>;

  constructor(object: string) {
    const dump = execFileSync('bpftool', ['btf', 'dump', 'file', object, '-j'], { encoding: 'utf8' });
    const { types } = JSON.parse(dump) as { types: BtfType[] };
    this.#types = new Map(types.map((type) => [type.id, type]));
  }

  type(id: number | undefined): BtfType {
    const type = this.#types.get(id ?? -1);
    if (type === undefined) throw new Error(`there is no BTF type ${id}`);
    return type;
  }

  /** Through typedefs and qualifiers to the type itself; network byte order is a typedef's name and nothing else. */
  resolve(id: number | undefined): { type: BtfType; bigEndian: boolean } {
    let type = this.type(id);
    let bigEndian = false;
    while (['TYPEDEF', 'CONST', 'VOLATILE'].includes(type.kind)) {
      bigEndian ||= type.name.startsWith('__be');
      type = this.type(type.type_id);
    }
    return { type, bigEndian };
  }

  enums(): BtfType[] {
    return [...this.#types.values()].filter((type) => type.kind === 'ENUM' && type.name.startsWith(PREFIX));
  }

  /**
   * The variables of the section .maps, in the order of the source. In a definition, `__type` is a pointer to the type
   * and `__uint` is a pointer to an array of as many elements.
   */
  maps(): MapDefinition[] {
    const section = [...this.#types.values()].find(
      (type) => type.kind === 'DATASEC' && type.name === '.maps',
    );
    return (section?.vars ?? [])
      .map(({ type_id }) => this.type(type_id))
      .sort((a, b) => a.id - b.id)
      .map((variable) => {
        const map: MapDefinition = { name: variable.name, numbers: [] };
        for (const member of this.resolve(variable.type_id).type.members ?? []) {
          const { type } = this.resolve(this.type(member.type_id).type_id);
          if (member.name === 'key' || member.name === 'value') map[member.name] = type;
          else if (type.kind === 'ARRAY') map.numbers.push([member.name, type.nr_elems ?? 0]);
        }
        return map;
      });
  }
}

const camel = (name: string): string =>
  name.replace(/_([a-z0-9])/g, (_, letter: string) => letter.toUpperCase());
const pascal = (name: string): string => {
  const plain = camel(name.startsWith(PREFIX) ? name.slice(PREFIX.length) : name);
  return plain.charAt(0).toUpperCase() + plain.slice(1);
};
const lowerFirst = (name: string): string => name.charAt(0).toLowerCase() + name.slice(1);

function integer(size: number, bigEndian: boolean): Codec {
  const method = { 1: 'Uint8', 2: 'Uint16', 4: 'Uint32', 8: 'BigUint64' }[size];
  if (method === undefined) throw new Error(`an integer of ${size} bytes has no TypeScript form`);
  const order = size === 1 ? '' : `, ${!bigEndian}`;
  return {
    type: size === 8 ? 'bigint' : 'number',
    view: true,
    read: (offset) => `view.get${method}(${offset}${order})`,
    write: (offset, value) => `view.set${method}(${offset}, ${value}${order});`,
  };
}

function array(element: BtfType, count: number): Codec {
  if (element.kind !== 'INT') throw new Error(`an array of ${element.kind} has no TypeScript form`);
  if (element.size === 1)
    return {
      type: 'Uint8Array',
      view: false,
      read: (offset) => `bytes.slice(${offset}, ${offset + count})`,
      write: (offset, value) => `bytes.set(sized(${value}, ${count}), ${offset});`,
    };
  const size = element.size ?? 0;
  const [method, type] = { 4: ['Uint32', 'Uint32Array'], 8: ['BigUint64', 'BigUint64Array'] }[size] ?? [];
  if (type === undefined) throw new Error(`an array of ${size} byte integers has no TypeScript form`);
  return {
    type,
    view: true,
    read: (offset) =>
      `${type}.from({ length: ${count} }, (_, i) => view.get${method}(${offset} + i * ${size}, true))`,
    write: (offset, value) =>
      `sized(${value}, ${count}).forEach((word, i) => view.set${method}(${offset} + i * ${size}, word, true));`,
  };
}

function struct(type: BtfType): Codec {
  const name = pascal(type.name);
  return {
    type: name,
    view: false,
    read: (offset) => `decode${name}(bytes.subarray(${offset}, ${offset + (type.size ?? 0)}))`,
    write: (offset, value) => `bytes.set(encode${name}(${value}), ${offset});`,
  };
}

function codecOf(btf: Btf, member: BtfMember): Codec {
  const { type, bigEndian } = btf.resolve(member.type_id);
  if (member.bitfield_size) throw new Error(`the bit field ${member.name} has no TypeScript form`);
  if (type.kind === 'INT') return integer(type.size ?? 0, bigEndian);
  if (type.kind === 'ENUM') return integer(type.size ?? 0, false);
  if (type.kind === 'ARRAY') return array(btf.resolve(type.type_id).type, type.nr_elems ?? 0);
  if (type.kind === 'STRUCT' && type.name !== ANONYMOUS) return struct(type);
  throw new Error(`the field ${member.name} of kind ${type.kind} has no TypeScript form`);
}

function structSource(btf: Btf, type: BtfType): string {
  const name = pascal(type.name);
  const size = `${lowerFirst(name)}Size`;
  const fields = (type.members ?? []).map((member) => ({
    name: camel(member.name),
    offset: member.bits_offset / 8,
    codec: codecOf(btf, member),
  }));
  const view = fields.some((field) => field.codec.view)
    ? ['  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);']
    : [];
  return [
    `/** struct ${type.name} */`,
    `export interface ${name} {`,
    ...fields.map((field) => `  ${field.name}: ${field.codec.type};`),
    '}',
    `export const ${size} = ${type.size};`,
    `export function encode${name}(value: ${name}): Uint8Array {`,
    `  const bytes = new Uint8Array(${size});`,
    ...view,
    ...fields.map((field) => `  ${field.codec.write(field.offset, `value.${field.name}`)}`),
    '  return bytes;',
    '}',
    `export function decode${name}(bytes: Uint8Array): ${name} {`,
    `  sized(bytes, ${size});`,
    ...view,
    '  return {',
    ...fields.map((field) => `    ${field.name}: ${field.codec.read(field.offset)},`),
    '  };',
    '}',
  ].join('\n');
}

function enumSource(type: BtfType): string {
  const values = (type.values ?? []).map(({ name, val }) => `  ${name}: ${val},`);
  return [`/** enum ${type.name} */`, `export const ${pascal(type.name)} = {`, ...values, '} as const;'].join(
    '\n',
  );
}

function mapSource(map: MapDefinition): string {
  const sides = (['key', 'value'] as const).flatMap((side) => {
    const type = map[side];
    return type === undefined ? [] : [`${side}: '${type.kind === 'STRUCT' ? pascal(type.name) : type.name}'`];
  });
  return `  ${map.name}: { ${sides.join(', ')} },`.replace('{  }', '{}');
}

/** The structs that the maps' keys and values are made of, each once, inner ones before those that they are in. */
function structsOf(btf: Btf, maps: readonly MapDefinition[]): BtfType[] {
  const found = new Map<string, BtfType>();
  const add = (type: BtfType | undefined): void => {
    if (type?.kind !== 'STRUCT' || found.has(type.name)) return;
    for (const member of type.members ?? []) add(btf.resolve(member.type_id).type);
    found.set(type.name, type);
  };
  for (const map of maps) {
    add(map.key);
    add(map.value);
  }
  return [...found.values()];
}

/** The TypeScript source for an object file. Errors name what has no TypeScript form. */
export function layoutSource(object: string): string {
  const btf = new Btf(object);
  const maps = btf.maps();
  const structs = structsOf(btf, maps).map((type) => structSource(btf, type));
  const mapLines = maps.map(mapSource);
  const numbers = maps.map((map) => map.numbers);
  const version = createHash('sha256')
    .update(JSON.stringify([mapLines, numbers, structs]))
    .digest('hex');
  return `// Generated by scripts/generate-layout.ts from the BTF of the eBPF object; \`npm run generate\` renews it.
// Integers are in the byte order of the machines that hnvgw runs on, little endian, but where the source says __be.
import { endianness } from 'node:os';

if (endianness() !== 'LE') throw new Error('hnvgw runs on little-endian machines only.');

function sized<T extends { readonly length: number }>(list: T, length: number): T {
  if (list.length !== length) throw new RangeError(\`\${list.length} elements where the data plane has \${length}.\`);
  return list;
}

/** Changes whenever a map, its key or its value does. */
export const layoutVersion = '${version.slice(0, 8)}';

/** The maps by name, with the types of their keys and values. */
export const maps = {
${mapLines.join('\n')}
} as const;

${[...btf.enums().map(enumSource), ...structs].join('\n\n')}
`;
}

if (import.meta.main) {
  const root = join(import.meta.dirname, '..');
  const source = layoutSource(join(root, OBJECT));
  const output = join(root, OUTPUT);
  if (!process.argv.includes('--check')) {
    writeFileSync(output, source);
  } else if (readFileSync(output, 'utf8') !== source) {
    console.error(`${OUTPUT} is not what ${OBJECT} says: run npm run generate and commit the result.`);
    process.exitCode = 1;
  }
}
