/** Changes that can be taken back: what a batch of writes does to the memory before it is on disk. */

/** How to take changes back: to be called from the last to the first. */
export interface UndoLog {
  push(takeBack: () => void): unknown;
}

/** For changes that stay. */
export const forGood: UndoLog = { push: () => undefined };

export function setEntry<K, V>(map: Map<K, V>, key: K, value: V, undo: UndoLog): void {
  const before = map.get(key);
  map.set(key, value);
  undo.push(before === undefined ? () => map.delete(key) : () => map.set(key, before));
}

export function deleteEntry<K, V>(map: Map<K, V>, key: K, undo: UndoLog): void {
  const before = map.get(key);
  if (before === undefined) return;
  map.delete(key);
  undo.push(() => map.set(key, before));
}

/** Adds to a set of the map, which is made when there is none. */
export function addMember<K, V>(map: Map<K, Set<V>>, key: K, member: V, undo: UndoLog): void {
  let members = map.get(key);
  if (members === undefined) {
    members = new Set();
    setEntry(map, key, members, undo);
  }
  const into = members.add(member);
  undo.push(() => into.delete(member));
}

/** A set that becomes empty goes. */
export function removeMember<K, V>(map: Map<K, Set<V>>, key: K, member: V, undo: UndoLog): void {
  const members = map.get(key);
  if (members === undefined) return;
  members.delete(member);
  undo.push(() => members.add(member));
  if (members.size === 0) deleteEntry(map, key, undo);
}
