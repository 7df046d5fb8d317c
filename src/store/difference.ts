/** What tells two states apart, resource by resource, in the order of the keys. */
import { getHeld, type Held, type ListedKind, listHeld } from './held.ts';
import { keyOrder } from './keys.ts';
import type { MemoryState } from './memory-state.ts';
import type { ResourceKey } from './store.ts';

/** A resource of either state, or of both; the same object on both sides when it is the same. */
export interface Compared {
  readonly key: ResourceKey;
  readonly before: Held | undefined;
  readonly after: Held | undefined;
}

const pageLength = 256;
const none: Held | undefined = undefined;

/** Everything but what is in domains that are the same object in both. */
export function* compare(before: MemoryState, after: MemoryState): Generator<Compared> {
  for (const kind of [
    'routingDomain',
    'externalAddressPool',
    'port',
    'providerAddress',
    'providerRoute',
  ] as const) {
    yield* compareList(before, after, kind);
  }
  for (const { key } of [...compareList(before, after, 'routingDomain')]) {
    const rdid = key.rdid ?? '';
    const own = before.domains.get(rdid);
    if (own !== after.domains.get(rdid)) yield* compareDomain(before, after, rdid);
  }
}

function* compareDomain(before: MemoryState, after: MemoryState, rdid: string): Generator<Compared> {
  yield* compareOnly(before, after, { kind: 'bgp', rdid });
  yield* compareList(before, after, 'customerRoute', rdid);
  yield* compareOnly(before, after, { kind: 'forwarding', rdid });
  yield* compareOnly(before, after, { kind: 'gateway', rdid });
  yield* compareList(before, after, 'lookupRecord', rdid);
  yield* compareOnly(before, after, { kind: 'nat', rdid });
  yield* compareList(before, after, 'siteConnection', rdid);
  yield* compareList(before, after, 'virtualSubnet', rdid);
}

function* compareOnly(before: MemoryState, after: MemoryState, key: ResourceKey): Generator<Compared> {
  const compared = { key, before: getHeld(before, key), after: getHeld(after, key) };
  if (compared.before !== undefined || compared.after !== undefined) yield compared;
}

function* compareList(
  before: MemoryState,
  after: MemoryState,
  kind: ListedKind,
  rdid?: string,
): Generator<Compared> {
  const left = held(before, kind, rdid);
  const right = held(after, kind, rdid);
  let old = left.next().value;
  let young = right.next().value;
  while (old !== undefined || young !== undefined) {
    const order = old === undefined ? 1 : young === undefined ? -1 : keyOrder(old[0], young[0]);
    if (order < 0 && old !== undefined) yield { key: old[0], before: old[1], after: none };
    else if (young !== undefined)
      yield { key: young[0], before: order === 0 ? old?.[1] : none, after: young[1] };
    if (order <= 0) old = left.next().value;
    if (order >= 0) young = right.next().value;
  }
}

function* held(
  state: MemoryState,
  kind: ListedKind,
  rdid: string | undefined,
): Generator<[ResourceKey, Held], undefined> {
  let after: string | undefined;
  for (;;) {
    const page = listHeld(state, kind, { rdid, after, limit: pageLength });
    yield* page;
    const last = page.at(-1)?.[0];
    if (last === undefined || page.length < pageLength) return;
    after = last.id ?? last.rdid;
  }
}
