/** How long a command waits until the kernel has what was written. */
import type { Query } from './api.ts';
import type { Options } from './command.ts';
import { durationMs } from './duration.ts';
import { UsageError } from './failures.ts';

const standard = '30s';
/** The API waits no longer. */
const LONGEST_MS = 60_000;
/** What the node may take beside the waiting. */
const WORK_MS = 120_000;

export const waitOption = {
  wait: {
    type: 'string',
    value: 'TIME',
    summary: `how long to wait until the kernel has it: 500ms, 5s, at most 60s; 0s not at all; ${standard} by default`,
  },
} as const satisfies Options;

export interface Wait {
  readonly text: string;
  readonly query: Query;
  readonly silenceMs: number;
}

/** Throws UsageError. */
export function readWait(text = standard, command: string): Wait {
  const ms = durationMs(text);
  if (ms === undefined || ms > LONGEST_MS)
    throw new UsageError(`--wait is ${text}, but must be a time such as 500ms or 5s, at most 60s`, command);
  return { text, query: ms === 0 ? {} : { wait: `${ms}ms` }, silenceMs: ms + WORK_MS };
}
