/**
 * Contexts whose rules have changed and whose sessions have not been looked through since: whoever finds one noted goes on
 * with that, and nobody else need do it. In files, because taking anything out of a ruleset waits for RCU; under /run, which
 * goes when the kernel's state goes.
 */
import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** A file by the name of each such namespace. */
export const UNFINISHED = '/run/hnvgw/unfinished';

const fileOf = (netns: string): string => join(UNFINISHED, netns);

/** To be called before the rules change. */
export function noteUnfinished(netns: string): void {
  mkdirSync(UNFINISHED, { recursive: true });
  writeFileSync(fileOf(netns), '');
}

export function isUnfinished(netns: string): boolean {
  return existsSync(fileOf(netns));
}

/** The sessions have been looked through, or there is no such context any more. */
export function noteFinished(netns: string): void {
  rmSync(fileOf(netns), { force: true });
}
