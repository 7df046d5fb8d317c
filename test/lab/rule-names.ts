/** Every rule that the API can refuse a request by, read from the source: one without a breaker shows. */
import { globSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const source = fileURLToPath(new URL('../../src/', import.meta.url));
const folders = [
  'policy/*.ts',
  'policy/rules/*.ts',
  'store/*.ts',
  'access/*.ts',
  'api/**/*.ts',
  'config/schema-violation.ts',
];
/** Its rules are of the configuration. */
const notOfRequests = ['api/listeners.ts'];

const patterns = [
  /\b(?:invalid|conflict|nameConflict|changeInUse|deleteInUse|invalidName|refuse)\(\s*'([a-z0-9-]+)'/g,
  /\brule(?::| =) '([a-z0-9-]+)'/g,
  // The table of a schema's rules: `maximum: ['maximum', `be at most …`]`.
  /^ +\w+: \['([a-z-]+)', [`'](?:be|match|have) /gm,
];

export function rulesOfSource(): Set<string> {
  const files = globSync(folders, { cwd: source }).filter((file) => !notOfRequests.includes(file));
  const text = files.map((file) => readFileSync(source + file, 'utf8')).join('\n');
  return new Set(patterns.flatMap((pattern) => [...text.matchAll(pattern)].map(([, rule = '']) => rule)));
}
