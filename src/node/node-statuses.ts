/** Tells when the status of a provider address or provider route is another one: these belong to no domain's progress. */
import type { ResourceStatus } from '../api/operations.ts';
import { resourcePath } from '../store/resource-path.ts';
import type { ResourceKey, Store } from '../store/store.ts';
import type { NodeLinks } from './node-links.ts';
import type { TellStatus } from './sequencer.ts';

type LinkFailures = Pick<NodeLinks, 'providerFailure' | 'hasProvider' | 'routeFailure'>;

export class NodeStatuses {
  readonly #store: Pick<Store, 'state'>;
  readonly #links: LinkFailures;
  readonly #tell: TellStatus;
  /** State and reason that were told last, by path. */
  #told = new Map<string, string>();

  constructor(store: Pick<Store, 'state'>, links: LinkFailures, tell: TellStatus) {
    this.#store = store;
    this.#links = links;
    this.#tell = tell;
  }

  /** To be called after each try at the node's own links. */
  look(): void {
    const before = this.#told;
    this.#told = new Map();
    const { providerAddresses, providerRoutes } = this.#store.state;
    for (const id of providerAddresses.keys())
      this.#note(
        before,
        { kind: 'providerAddress', id },
        this.#links.providerFailure(id),
        this.#links.hasProvider(id),
      );
    for (const id of providerRoutes.keys())
      this.#note(before, { kind: 'providerRoute', id }, this.#links.routeFailure(id), true);
  }

  /** What is on its way, as an address that is checked for duplicates, is told when it has arrived or failed. */
  #note(
    before: ReadonlyMap<string, string>,
    key: ResourceKey,
    reason: string | undefined,
    isThere: boolean,
  ): void {
    const path = resourcePath(key);
    const known = before.get(path);
    const isFinal = reason !== undefined || isThere;
    const text = isFinal ? (reason ?? '') : known;
    if (text === undefined) return;
    this.#told.set(path, text);
    if (text === known) return;
    const since = new Date().toISOString();
    const status: ResourceStatus =
      reason === undefined ? { state: 'ready', since } : { state: 'failed', reason, since };
    this.#tell(key, status);
  }
}
