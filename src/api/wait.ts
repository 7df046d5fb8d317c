/** The `?wait=` parameter: how long a write may wait for the kernel before it is answered. */
import { Type } from 'typebox';
import { HnvError } from '../errors.ts';

const longestWaitMs = 60_000;

export const Wait = Type.String({
  pattern: '^[0-9]{1,5}(ms|s)$',
  description: 'answer when the resource is ready or failed, or after this time: 5s or 500ms, at most 60s',
});

/** Milliseconds. Throws HNV_INVALID_FIELD above a minute. */
export function waitMs(text: string): number {
  const ms = text.endsWith('ms') ? Number(text.slice(0, -2)) : Number(text.slice(0, -1)) * 1000;
  if (ms <= longestWaitMs) return ms;
  throw new HnvError('HNV_INVALID_FIELD', `The parameter wait is "${text}", but must be at most 60s.`, {
    rule: 'maximum',
  });
}
