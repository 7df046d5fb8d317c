/**
 * How a rule says no: one constructor for each kind of refusal, so that every message names the field, its value and
 * the whole rule in the same way.
 */
import { type ErrorDetails, HnvError } from '../../errors.ts';

/** A sentence that names what a tenant must not learn of. */
type Whose = Pick<ErrorDetails, 'forOperators'>;

/** The field by itself is wrong. `why` continues the sentence "field: value …" and says the whole rule. */
export function invalid(rule: string, pointer: string, value: unknown, why: string): HnvError {
  return new HnvError('HNV_INVALID_FIELD', sentence(pointer, value, why), { pointer, rule });
}

/** The field collides with another resource. */
export function conflict(
  rule: string,
  pointer: string,
  value: unknown,
  why: string,
  whose: Whose = {},
): HnvError {
  return new HnvError('HNV_CONFLICT', sentence(pointer, value, why), { pointer, rule, ...whose });
}

/** The resource's name, which is in the path, collides with another resource. */
export function nameConflict(
  rule: string,
  what: string,
  value: unknown,
  why: string,
  whose: Whose = {},
): HnvError {
  return new HnvError('HNV_CONFLICT', `${what} ${value} ${why}.`, { rule, ...whose });
}

/** The field's new value would take away what another resource depends on. */
export function changeInUse(rule: string, pointer: string, value: unknown, why: string): HnvError {
  return new HnvError('HNV_IN_USE', sentence(pointer, value, why), { pointer, rule });
}

/** A resource cannot be deleted while `user` depends on it. */
export function deleteInUse(rule: string, what: string, user: string): HnvError {
  return new HnvError('HNV_IN_USE', `${what} is used by ${user}: delete or change that first.`, { rule });
}

/** The resource's name, which is in the path and so has no pointer into the body. */
export function invalidName(rule: string, what: string, value: unknown, form: string): HnvError {
  return new HnvError('HNV_INVALID_FIELD', `The name of a ${what} cannot be ${value}: it is a ${form}.`, {
    rule,
  });
}

export function notFound(what: string): HnvError {
  return new HnvError('HNV_NOT_FOUND', `There is no ${what}.`, { rule: 'exists' });
}

/** A field that is not there has no value to show. */
function sentence(pointer: string, value: unknown, why: string): string {
  return `${pointer.slice(1)}: ${value === undefined ? '' : `${value} `}${why}.`;
}
