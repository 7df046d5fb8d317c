/** Which version of the program this is. */
import { readFileSync } from 'node:fs';

/** The package's. */
export function programVersion(): string {
  return JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')).version;
}
