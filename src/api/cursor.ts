/** Cursors of lists: the name of the last item of a page, made opaque, so that nobody builds one. */
import { HnvError } from '../errors.ts';

export function cursorOf(lastName: string): string {
  return Buffer.from(lastName).toString('base64url');
}

/** The name of the item to go on after. Throws HNV_INVALID_FIELD when no answer can have had this cursor; `form` is that of its names. */
export function readCursor(cursor: string, form: Pick<RegExp, 'test'> = /./): string {
  const name = Buffer.from(cursor, 'base64url').toString();
  if (form.test(name) && cursorOf(name) === cursor) return name;
  throw new HnvError(
    'HNV_INVALID_FIELD',
    `The parameter cursor is "${cursor}", which is no cursor of a list.`,
    {
      rule: 'cursor',
    },
  );
}
