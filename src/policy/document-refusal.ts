/** Refusals of a resource that stands in a document of many: they say which one it is, and where. */
import { HnvError } from '../errors.ts';
import { sentenceName } from '../store/resource-name.ts';
import type { ResourceKey } from '../store/store.ts';

/** The refusal of the resource at `pointer`: a sentence that begins with its name, and the pointer in the document. */
export function refusalInDocument(key: ResourceKey, pointer: string, error: HnvError): HnvError {
  const { code, message, rule, forOperators, cause } = error;
  return new HnvError(code, `${sentenceName(key)}: ${message}`, {
    pointer: pointer + (error.pointer ?? ''),
    ...(rule === undefined ? {} : { rule }),
    ...(forOperators === undefined ? {} : { forOperators }),
    cause,
  });
}
