/**
 * Makes text of others harmless for a terminal. Names come from tenants: an escape sequence in one could rewrite the
 * operator's screen, and a mark of writing direction could show another name than there is.
 */

/** Control characters (C0, DEL, C1), formats such as bidirectional marks, line separators, private use, lone surrogates. */
const hostile = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Co}\p{Cs}]/gu;

/** What JSON itself leaves as it is, though a terminal would obey it. */
const hostileInJson = /[\x7f-\x9f\p{Cf}\p{Zl}\p{Zp}\p{Co}\p{Cs}]/gu;

function escaped(character: string): string {
  return Array.from({ length: character.length }, (_, at) =>
    character.charCodeAt(at).toString(16).padStart(4, '0'),
  )
    .map((digits) => `\\u${digits}`)
    .join('');
}

/** One line of text, with what a terminal would obey as `\u001b`. */
export function harmless(text: string): string {
  return text.replace(hostile, escaped);
}

/** Text of several lines, each of them harmless. */
export function harmlessLines(text: string): string {
  return text.split('\n').map(harmless).join('\n');
}

/** The same JSON, written so that a terminal has nothing to obey. */
export function harmlessJson(json: string): string {
  return json.replace(hostileInJson, escaped);
}

/** Whether the text has anything that harmless() would change. */
export function isHostile(text: string): boolean {
  return text.search(hostile) >= 0;
}
