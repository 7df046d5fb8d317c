/** Takes large JSON apart while it comes, member by member, so that no turn has to read all of it. */

/** What of JSON's text changes how deep one is, or begins or ends a string. */
const MARKS = /["{}[\]]/g;

/**
 * Finds the members with objects or arrays as values at one depth of a document: 1 is that of the outermost object. Of those on the
 * way down there, nothing is told.
 */
export class JsonMembers {
  readonly #depth: number;
  #now = 0;
  #text = '';
  /** Of #text: how far it is read, and where the value begins that is being read. */
  #at = 0;
  #value = -1;
  #key = '';

  constructor(depth: number) {
    this.#depth = depth;
  }

  /** Takes the next piece of text; answers names and values of what is complete with it. */
  take(piece: string): [name: string, value: string][] {
    const found: [string, string][] = [];
    this.#text += piece;
    for (;;) {
      MARKS.lastIndex = this.#at;
      const mark = MARKS.exec(this.#text);
      if (mark === null) {
        this.#at = this.#text.length;
        break;
      }
      if (mark[0] === '"') {
        const end = endOfString(this.#text, mark.index + 1);
        if (end < 0) {
          this.#at = mark.index;
          break;
        }
        if (this.#now === this.#depth) this.#key = JSON.parse(this.#text.slice(mark.index, end));
        this.#at = end;
      } else {
        this.#at = mark.index + 1;
        if (mark[0] === '{' || mark[0] === '[') {
          if (this.#now === this.#depth) this.#value = mark.index;
          this.#now++;
        } else if (--this.#now === this.#depth)
          found.push([this.#key, this.#text.slice(this.#value, this.#at)]);
      }
    }
    // What is read is needed no more, but for a value that goes on.
    const from = this.#now > this.#depth ? this.#value : this.#at;
    this.#text = this.#text.slice(from);
    this.#at -= from;
    this.#value -= from;
    return found;
  }
}

/** Behind the quotation mark that ends the string; -1 when it has not come. */
function endOfString(text: string, from: number): number {
  for (let at = from; ; ) {
    const end = text.indexOf('"', at);
    if (end < 0) return -1;
    let slashes = 0;
    while (text[end - 1 - slashes] === '\\') slashes++;
    if (slashes % 2 === 0) return end + 1;
    at = end + 1;
  }
}
