/**
 * Rules of external address pools: what one gives out is no other's, and what it has given it goes on having.
 */
import { overlaps } from '../address.ts';
import { externalAddressesOf } from '../external-addresses.ts';
import { addressCount, maxPoolAddresses, PoolSpace } from '../pool-space.ts';
import type { ExternalAddressPool } from '../resources.ts';
import type { DesiredState } from '../state.ts';
import { prefixField, requireUnicastPrefix } from './field.ts';
import { changeInUse, conflict, deleteInUse, invalid } from './refusal.ts';

export function normalizeExternalAddressPool(value: ExternalAddressPool): ExternalAddressPool {
  const prefixes: string[] = [];
  let addresses = 0;
  for (const [index, text] of value.prefixes.entries()) {
    const pointer = `/prefixes/${index}`;
    const prefix = prefixField(pointer, text);
    requireUnicastPrefix(pointer, prefix);
    const other = prefixes.find((candidate) => overlaps(candidate, prefix));
    if (other !== undefined) {
      const why = `overlaps ${other}: prefixes must not overlap inside an external address pool`;
      throw invalid('prefix-overlap', pointer, prefix, why);
    }
    addresses += addressCount(prefix);
    if (addresses > maxPoolAddresses) {
      const why = `makes the pool too large: an external address pool has at most ${maxPoolAddresses} addresses`;
      throw invalid('pool-size', pointer, prefix, why);
    }
    prefixes.push(prefix);
  }
  return { ...value, prefixes };
}

export function checkExternalAddressPool(
  state: DesiredState,
  name: string,
  value: ExternalAddressPool,
): void {
  for (const [otherName, other] of state.externalAddressPools) {
    if (otherName === name) continue;
    for (const [index, prefix] of value.prefixes.entries()) {
      const overlap = other.prefixes.find((candidate) => overlaps(candidate, prefix));
      if (overlap === undefined) continue;
      const why = `overlaps ${overlap} of external address pool ${otherName}: an address is in one pool at most`;
      throw conflict('pool-overlap', `/prefixes/${index}`, prefix, why);
    }
  }
  checkStillGiven(state, name, value);
}

export function checkExternalAddressPoolDelete(state: DesiredState, name: string): void {
  const [user] = state.externals.poolUsers.get(name) ?? [];
  if (user === undefined) return;
  throw deleteInUse('pool-in-use', `External address pool ${name}`, `the NAT of routing domain ${user}`);
}

/** What domains were given must be what the new value gives out. */
function checkStillGiven(state: DesiredState, name: string, value: ExternalAddressPool): void {
  const space = new PoolSpace(value);
  for (const rdid of state.externals.poolUsers.get(name) ?? []) {
    const nat = state.domains.get(rdid)?.nat;
    const [given] = nat === undefined ? [] : externalAddressesOf(nat);
    if (given === undefined || space.hasSlot(given)) continue;
    const user = `routing domain ${rdid} has an address from it,`;
    if (!space.hasAddress(given.ipAddress)) {
      const why = `is refused: ${user} ${given.ipAddress}, which must stay in the pool`;
      throw changeInUse('pool-in-use', '/prefixes', value.prefixes.join(', '), why);
    }
    const why = `is refused: ${user} and what was given out must stay a block of the pool`;
    throw changeInUse('pool-in-use', '/portBlockSize', value.portBlockSize, why);
  }
}
