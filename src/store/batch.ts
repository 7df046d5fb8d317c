/**
 * Writes that share one transaction. Each is checked against the memory that the writes before it have left; then all of
 * it is taken back, and done again when the transaction is on disk: so nobody sees what could still be lost.
 */
import type { AuditRequest } from './audit.ts';
import { auditStatement } from './audit-trail.ts';
import type { Version } from './ordered.ts';
import type { Statement } from './statements.ts';
import type { ResourceChange, ResourceKey } from './store.ts';
import { forGood, type UndoLog } from './undo.ts';

/** A change of the memory, which does the same each time when what was there before is the same. */
type Change = (undo: UndoLog) => void;

export class Batch {
  /** What the transaction consists of. */
  readonly statements: Statement[] = [];
  /** What a StoreChange tells of. */
  readonly resources: ResourceChange[] = [];
  readonly domains = new Set<string>();
  node = false;
  readonly #modified = new Date().toISOString();
  readonly #changes: Change[] = [];
  readonly #undo: (() => void)[] = [];
  #revision: number;

  /** `revision` is the store's. */
  constructor(revision: number) {
    this.#revision = revision;
  }

  /** Of the last accepted write. */
  get revision(): number {
    return this.#revision;
  }

  /** The version that a write gives, if it is accepted. */
  nextVersion(): Version {
    return { revision: this.#revision + 1, modified: this.#modified };
  }

  /** Changes the memory. Everything that a write may be refused for must have been checked. */
  apply(change: Change): void {
    change(this.#undo);
    this.#changes.push(change);
  }

  /** The write of a resource is accepted. */
  accept(key: ResourceKey, change: ResourceChange['change'], audit: AuditRequest | undefined): void {
    this.#revision += 1;
    this.resources.push({ key, change, revision: this.#revision });
    const status = { created: 201, changed: 200, deleted: 204 }[change];
    if (audit !== undefined) this.audit(audit, status, this.#revision);
  }

  audit(request: AuditRequest, status: number, revision?: number): void {
    const record = { ...request, at: this.#modified, status };
    this.statements.push(auditStatement(revision === undefined ? record : { ...record, revision }));
  }

  /** The memory is as it was before the batch. */
  takeBack(): void {
    for (const takeBack of this.#undo.splice(0).reverse()) takeBack();
  }

  /** Changes the memory again, for good. */
  applyAgain(): void {
    for (const change of this.#changes) change(forGood);
  }
}
