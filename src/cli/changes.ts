/** What a policy document changed, or would change, for people. */

import { harmless } from './harmless.ts';
import { paint, type Style } from './table.ts';

/** Answer of /v1/policy. */
export interface PolicyOutcome {
  readonly revision: number;
  readonly dryRun: boolean;
  readonly created: number;
  readonly changed: number;
  readonly deleted: number;
  readonly unchanged: number;
  readonly changes: readonly Change[];
  /** How many more there are than are listed. */
  readonly moreChanges?: number;
  /** Of a write that waited: how much of it the kernel has, and the first of what it does not have. */
  readonly status?: {
    readonly ready: number;
    readonly pending: number;
    readonly failed: number;
    readonly notReady: readonly { readonly path: string; readonly state: string; readonly reason?: string }[];
  };
}

interface Change {
  readonly change: 'created' | 'changed' | 'deleted';
  readonly path: string;
  readonly fields?: readonly {
    readonly pointer: string;
    readonly before?: unknown;
    readonly after?: unknown;
  }[];
}

const marks: Record<Change['change'], { mark: string; style: Style }> = {
  created: { mark: '+', style: 'green' },
  changed: { mark: '~', style: 'yellow' },
  deleted: { mark: '-', style: 'red' },
};

/** Longest value of a field that is shown whole. */
const SHOWN = 200;

/** A line for each resource, and one for each field of those that change. */
export function changeLines({ changes, moreChanges = 0 }: PolicyOutcome): string[] {
  const lines = changes.flatMap(({ change, path, fields = [] }) => {
    const { mark, style } = marks[change];
    return [
      paint(style, harmless(`${mark} ${path.replace(/^\/v1\//, '')}`)),
      ...(change === 'changed' ? fields : []).map(({ pointer, before, after }) =>
        harmless(`    ${pointer.slice(1).replaceAll('/', '.')}: ${difference(before, after)}`),
      ),
    ];
  });
  return moreChanges > 0 ? [...lines, `... and ${moreChanges} more`] : lines;
}

/** `2 created, 1 unchanged`. */
export function countsText({ created, changed, deleted, unchanged }: PolicyOutcome): string {
  const counts = { created, changed, deleted, unchanged };
  const told = Object.entries(counts).filter(([, count]) => count > 0);
  return told.length === 0 ? 'nothing there' : told.map(([what, count]) => `${count} ${what}`).join(', ');
}

/** Nothing is told of a secret. */
function difference(before: unknown, after: unknown): string {
  return before === undefined && after === undefined
    ? 'changed, not shown'
    : `${shown(before)} -> ${shown(after)}`;
}

function shown(value: unknown): string {
  const text = JSON.stringify(value) ?? 'absent';
  return text.length > SHOWN ? `${text.slice(0, SHOWN - 3)}...` : text;
}
