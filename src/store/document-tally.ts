/** Counts and lists what a document changes: for the answer, for the followers, and for the file. */
import type { Compared } from './difference.ts';
import type { MemoryState } from './memory-state.ts';
import {
  type DocumentOutcome,
  listedChanges,
  type ResourceChange,
  type StoreChange,
  type ValueChange,
} from './store.ts';
import { type Touched, touch } from './touched.ts';

type Counts = Record<ResourceChange['change'], number>;

export class DocumentTally {
  readonly #before: MemoryState;
  readonly #after: MemoryState;
  readonly #revision: number;
  readonly #extent: 'part' | 'whole';
  readonly #counts: Counts = { created: 0, changed: 0, deleted: 0 };
  readonly #byDomain = new Map<string, Counts>();
  readonly #listed: ValueChange[] = [];
  readonly #changes: ResourceChange[] = [];
  readonly #touched: Touched = { domains: new Set(), node: false };

  /** `revision` is that of the changes. */
  constructor(before: MemoryState, after: MemoryState, revision: number, extent: 'part' | 'whole') {
    this.#extent = extent;
    this.#before = before;
    this.#after = after;
    this.#revision = revision;
  }

  get isEmpty(): boolean {
    return this.#byDomain.size === 0;
  }

  /** Takes the next one of `compare`; answers whether it is a change. */
  add({ key, before, after }: Compared): boolean {
    if (before !== undefined && before.value === after?.value) return false;
    const change = after === undefined ? 'deleted' : before === undefined ? 'created' : 'changed';
    this.#counts[change] += 1;
    this.#countsOf(key.rdid ?? '')[change] += 1;
    const common = { key, change, revision: this.#revision } as const;
    if (this.#changes.length <= listedChanges) this.#changes.push(common);
    if (this.#listed.length < listedChanges) {
      const was = before === undefined ? {} : { before: before.value };
      this.#listed.push({ ...common, ...was, ...(after === undefined ? {} : { after: after.value }) });
    }
    touch(this.#touched, this.#before, key);
    touch(this.#touched, this.#after, key);
    return true;
  }

  /** `revision` is the store's afterwards; the document names so many resources. */
  outcome(revision: number, named: number): DocumentOutcome {
    const { created, changed } = this.#counts;
    return {
      revision,
      ...this.#counts,
      unchanged: named - created - changed,
      changes: this.#listed,
      ...this.#touched,
    };
  }

  /** What followers hear: of a whole policy, and of more than they would read one by one, the numbers only. */
  change(): StoreChange {
    const common = { revision: this.#revision, ...this.#touched };
    return this.#extent === 'whole' || this.#changes.length > listedChanges
      ? { ...common, resources: [], replaced: this.#byDomain }
      : { ...common, resources: this.#changes };
  }

  #countsOf(rdid: string): Counts {
    const known = this.#byDomain.get(rdid);
    if (known !== undefined) return known;
    const counts = { created: 0, changed: 0, deleted: 0 };
    this.#byDomain.set(rdid, counts);
    return counts;
  }
}
