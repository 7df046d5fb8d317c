/** What the writer that is killed writes in each round: policies that differ in everything, and writes on top of them. */
import type { LookupRecord } from '../../src/policy/resources.ts';
import type { DocumentEntry, Entry, ResourceKey } from '../../src/store/store.ts';
import { record } from './store-folder.ts';

/** Enough that a policy is several slices of its transaction. */
const recordsPerDomain = 300;

/** Even rounds have the domains 1 to 3, odd ones 2 to 4. */
export const rdidsOfRound = (round: number): string[] =>
  [1, 2, 3].map((number) => rdidOf(number + (round % 2)));

function rdidOf(number: number): string {
  return `00000000-0000-0000-0000-00000000000${number}`;
}

function entries(all: Entry[]): DocumentEntry[] {
  return all.map((entry, index) => ({ entry, pointer: `/${index}` }));
}

function recordOfRound(round: number, address: string, vsid: number): LookupRecord {
  return { ...record(address, vsid), vmName: `of round ${round}` };
}

/** The whole policy of a round: it says everywhere which round it is. */
export function policyOfRound(round: number): DocumentEntry[] {
  return entries(
    rdidsOfRound(round).flatMap((rdid): Entry[] => {
      const vsid = 5000 + Number(rdid.at(-1));
      const records = Array.from({ length: recordsPerDomain }, (_, index): Entry => {
        const value = recordOfRound(round, `10.1.${index >> 7}.${(index & 127) + 2}`, vsid);
        return { kind: 'lookupRecord', rdid, id: `base-${index}`, value };
      });
      return [
        { kind: 'routingDomain', rdid, id: '', value: { name: `${round}` } },
        { kind: 'virtualSubnet', rdid, id: `${vsid}`, value: { addressPrefixes: ['10.0.0.0/8'] } },
        ...records,
      ];
    }),
  );
}

/** Single records that are written on top of it. */
export function singlesOfRound(round: number): { key: ResourceKey<'lookupRecord'>; value: LookupRecord }[] {
  return Array.from({ length: 20 }, (_, index) => ({
    key: { kind: 'lookupRecord', rdid: rdidOf(2), id: `single-${index}` },
    value: recordOfRound(round, `10.2.0.${index + 2}`, 5002),
  }));
}

/** A part of a policy that is written on top of it, in two domains. */
export function partOfRound(round: number): DocumentEntry[] {
  return entries(
    [2, 3].flatMap((number) =>
      Array.from({ length: 10 }, (_, index): Entry => {
        const value = recordOfRound(round, `10.3.0.${index + 2}`, 5000 + number);
        return { kind: 'lookupRecord', rdid: rdidOf(number), id: `part-${index}`, value };
      }),
    ),
  );
}
