/** Rules of the proposals of site connections: what is broken needs the operator's word for it (`ipsec.allowWeakAlgorithms`). */
import type { SiteConnection } from '../resources.ts';
import { invalid } from './refusal.ts';

/** RFC 8221 and RFC 8247 say MUST NOT or SHOULD NOT of each. */
const weak: ReadonlySet<string> = new Set(['DES', 'DES3', 'MD5', 'Group1', 'Group2', 'Group24']);

const lists = {
  mainMode: ['encryptionAlgorithms', 'integrityAlgorithms', 'diffieHellmanGroups'],
  quickMode: ['encryptionAlgorithms', 'integrityAlgorithms', 'perfectForwardSecrecy'],
} as const;

type Modes = Pick<SiteConnection, 'mainMode' | 'quickMode'>;

/** Each algorithm once, in the order of preference. */
export function normalizeAlgorithms({ mainMode, quickMode }: Modes): Modes {
  return {
    mainMode: {
      ...mainMode,
      encryptionAlgorithms: unique(mainMode.encryptionAlgorithms),
      integrityAlgorithms: unique(mainMode.integrityAlgorithms),
      diffieHellmanGroups: unique(mainMode.diffieHellmanGroups),
    },
    quickMode: {
      ...quickMode,
      encryptionAlgorithms: unique(quickMode.encryptionAlgorithms),
      integrityAlgorithms: unique(quickMode.integrityAlgorithms),
      perfectForwardSecrecy: unique(quickMode.perfectForwardSecrecy),
    },
  };
}

const unique = <T>(values: readonly T[]): T[] => [...new Set(values)];

/** The first that is broken, and where it stands. */
export function weakAlgorithm(connection: Modes): { algorithm: string; pointer: string } | undefined {
  for (const mode of ['mainMode', 'quickMode'] as const) {
    for (const list of lists[mode]) {
      const algorithms = (connection[mode] as Record<string, unknown>)[list] as readonly string[];
      const index = algorithms.findIndex((algorithm) => weak.has(algorithm));
      if (index >= 0) return { algorithm: algorithms[index] ?? '', pointer: `/${mode}/${list}/${index}` };
    }
  }
  return undefined;
}

export function requireStrongAlgorithms(connection: Modes): void {
  const found = weakAlgorithm(connection);
  if (found === undefined) return;
  const why = `is broken: ${[...weak].join(', ')} are refused unless the configuration of the node says ipsec.allowWeakAlgorithms`;
  throw invalid('weak-algorithm', found.pointer, found.algorithm, why);
}
