/** Entity tags and the conditions on them (RFC 9110, section 13.1). A tag is the resource's revision in quotes. */
import { HnvError } from '../errors.ts';
import { sentenceName } from '../store/resource-name.ts';
import type { ResourceKey } from '../store/store.ts';

interface Conditions {
  'if-match'?: string | undefined;
  'if-none-match'?: string | undefined;
}

export function entityTag(revision: number): string {
  return `"${revision}"`;
}

/** Whether a GET may be answered with 304: If-None-Match names the revision, weakly compared. */
export function isFresh(headers: Conditions, revision: number): boolean {
  const header = headers['if-none-match'];
  return header !== undefined && matches(header, revision, 'weak');
}

/**
 * The revision (0: none) that the resource must still be at when it is written, undefined when the request puts no
 * condition. `what` begins a sentence when it is no resource. Throws HNV_PRECONDITION_FAILED when the condition is broken already. `current` is 0 when there is nothing.
 */
export function requiredRevision(
  headers: Conditions,
  what: ResourceKey | string,
  current: number,
  exists = current !== 0,
): number | undefined {
  const ifMatch = headers['if-match'];
  const ifNoneMatch = headers['if-none-match'];
  if (ifMatch !== undefined && !(exists && matches(ifMatch, current, 'strong'))) {
    throw failed(what, current, exists, `If-Match: ${ifMatch}`);
  }
  if (ifNoneMatch !== undefined && exists && matches(ifNoneMatch, current, 'weak')) {
    throw failed(what, current, exists, `If-None-Match: ${ifNoneMatch}`);
  }
  return ifMatch === undefined && ifNoneMatch === undefined ? undefined : current;
}

function matches(header: string, revision: number, comparison: 'strong' | 'weak'): boolean {
  if (header.trim() === '*') return true;
  const tags = header.split(',').map((tag) => tag.trim());
  return tags.some((tag) => (comparison === 'weak' ? tag.replace(/^W\//, '') : tag) === entityTag(revision));
}

function failed(what: ResourceKey | string, current: number, exists: boolean, condition: string): HnvError {
  const is = exists ? `is at ${entityTag(current)}` : 'does not exist';
  const name = typeof what === 'string' ? what : sentenceName(what);
  return new HnvError('HNV_PRECONDITION_FAILED', `${name} ${is}, which ${condition} excludes.`);
}
