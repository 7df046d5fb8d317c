/** What a check found. */
export interface Finding {
  /** `wrong`: something does not work; `note`: it may be as it should be. */
  readonly level: 'ok' | 'note' | 'wrong';
  readonly what: string;
  /** What to do about it. */
  readonly todo?: string;
}

export const ok = (what: string): Finding => ({ level: 'ok', what });
export const note = (what: string, todo?: string): Finding => finding('note', what, todo);
export const wrong = (what: string, todo?: string): Finding => finding('wrong', what, todo);

function finding(level: Finding['level'], what: string, todo: string | undefined): Finding {
  return todo === undefined ? { level, what } : { level, what, todo };
}

/** Days before its end from which a certificate is told of. */
export const certificateNoticeDays = 30;

/** Whether a certificate lasts. */
export function certificateFinding(name: string, validTo: string): Finding {
  const days = Math.floor((Date.parse(validTo) - Date.now()) / 86_400_000);
  const todo = 'Put a new one in its place; the node reads it again by itself.';
  if (days < 0) return wrong(`The certificate ${name} has expired (${validTo}).`, todo);
  if (days < certificateNoticeDays) return note(`The certificate ${name} expires in ${days} days.`, todo);
  return ok(`The certificate ${name} is valid for ${days} days.`);
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
