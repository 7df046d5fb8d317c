/** YAML (and so JSON) text with the way back from a value to its line, for messages about files that people write. */
import { type Document, isAlias, isMap, isNode, isScalar, isSeq, LineCounter, parseAllDocuments } from 'yaml';
import { segments } from './schema-violation.ts';

export interface SyntaxMistake {
  readonly line: number;
  /** A sentence without its full stop. */
  readonly reason: string;
}

export class YamlSource {
  /** The first thing that is no YAML; the documents are then not to be used. */
  readonly mistake: SyntaxMistake | undefined;
  readonly #documents: readonly Document.Parsed[];
  readonly #lines = new LineCounter();

  constructor(text: string) {
    const parsed = parseAllDocuments(text, { lineCounter: this.#lines, prettyErrors: false });
    this.#documents = Array.isArray(parsed) ? parsed : [];
    const [error] = this.#documents.flatMap(({ errors }) => errors);
    if (error !== undefined)
      this.mistake = { line: this.#line(error.pos[0]), reason: error.message.replace(/\.$/, '') };
  }

  /** How many documents there are, parted by `---`. */
  get count(): number {
    return this.#documents.length;
  }

  /** The value of a document; null for an empty one. Throws ReferenceError when aliases make it huge. */
  value(index: number): unknown {
    return this.#documents[index]?.toJS() ?? null;
  }

  has(key: string): boolean {
    return this.#documents[0]?.has(key) ?? false;
  }

  /** The line of the field that a JSON pointer names; where it is missing, the nearest one around it. */
  lineOf(pointer: string, index = 0): number {
    const document = this.#documents[index];
    let node: unknown = document?.contents;
    let offset = isNode(node) ? (node.range?.[0] ?? 0) : 0;
    for (const step of segments(pointer)) {
      if (isAlias(node) && document !== undefined) node = node.resolve(document);
      if (isSeq(node)) {
        node = node.items[Number(step)];
        if (isNode(node)) offset = node.range?.[0] ?? offset;
        continue;
      }
      if (!isMap(node)) break;
      const pair = node.items.find((item) => isScalar(item.key) && String(item.key.value) === step);
      if (pair === undefined) break;
      if (isScalar(pair.key)) offset = pair.key.range?.[0] ?? offset;
      node = pair.value;
    }
    return this.#line(offset);
  }

  #line(offset: number): number {
    return this.#lines.linePos(offset).line;
  }
}
