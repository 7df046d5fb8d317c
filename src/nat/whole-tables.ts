/**
 * Tables of nftables, of family inet, that are one text each: such a table is as its text makes it, or it is replaced as a
 * whole, atomically. What the kernel tells of one (table-reading.ts) is compared with what it tells of the same text in a
 * namespace that was made for that.
 */
import { createHash } from 'node:crypto';
import { inNewNetns } from '../linux/netns.ts';
import { nftScript } from '../linux/nftables.ts';
import { readTables } from './table-reading.ts';

export interface WholeTable {
  text: string;
  /** Stands for what the kernel tells of it. */
  digest: string;
}

/** By name, those that there should be. */
export type WholeTables<Name extends string> = ReadonlyMap<Name, WholeTable>;

const digestOf = (text: string): string => createHash('sha256').update(text).digest('base64');

/** Digests of readings by those of texts. */
const readings = new Map<string, string>();
/** Some megabytes. */
const READINGS = 16_384;

function readingOf(name: string, text: string): string {
  const key = digestOf(text);
  let reading = readings.get(key);
  if (reading === undefined) {
    reading = inNewNetns(() => {
      nftScript(text);
      return presentDigest(readTables([name]).get(name) ?? []);
    });
    if (readings.size >= READINGS) readings.clear();
    readings.set(key, reading);
  }
  return reading;
}

const presentDigest = (lines: readonly string[]): string => digestOf(lines.join('\n'));

/** Of names and texts; an undefined text is of a table that there should not be. Not to be called within inNetns(). */
export function wholeTables<Name extends string>(
  texts: Iterable<readonly [Name, string | undefined]>,
): WholeTables<Name> {
  return new Map(
    [...texts].flatMap(([name, text]) =>
      text === undefined ? [] : [[name, { text, digest: readingOf(name, text) }] as const],
    ),
  );
}

/** Of these names, tables of the current namespace that are not as they should be: missing, changed, or not wanted. */
function wrongTables<Name extends string>(
  names: readonly Name[],
  want: WholeTables<Name>,
  have: ReadonlyMap<string, string[]>,
): Name[] {
  return names.filter((name) => {
    const present = have.get(name);
    return want.get(name)?.digest !== (present === undefined ? undefined : presentDigest(present));
  });
}

/** The script that puts those of these names right in the current namespace; empty when they are. */
export function tableChanges<Name extends string>(names: readonly Name[], want: WholeTables<Name>): string {
  const have = readTables(names);
  return wrongTables(names, want, have)
    .map((name) => `${have.has(name) ? `delete table inet ${name}\n` : ''}${want.get(name)?.text ?? ''}`)
    .join('');
}

/** What of those of these names is otherwise in the current namespace, as parts of a sentence. */
export function tableDifferences<Name extends string>(
  names: readonly Name[],
  want: WholeTables<Name>,
): string[] {
  const have = readTables(names);
  return wrongTables(names, want, have).map((name) =>
    want.has(name)
      ? `the nft table inet ${name} was ${have.has(name) ? 'changed' : 'missing'}`
      : `the nft table inet ${name} was there`,
  );
}
