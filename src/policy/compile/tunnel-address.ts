/**
 * Which of this node's provider addresses a domain's tunnels begin and end at: the one that other nodes were told, else
 * one that the customers are spread over.
 */
import { createHash } from 'node:crypto';
import { addressFamily } from '../address.ts';
import type { ProviderAddress } from '../resources.ts';
import type { DomainState } from '../state.ts';

/** The first provider address of this node that a record gives to one of the customer addresses. */
export function announcedAddress(
  domain: DomainState,
  customerAddresses: readonly string[],
  own: ReadonlyMap<string, ProviderAddress>,
): string | undefined {
  for (const address of customerAddresses) {
    const id = domain.recordByAddress.get(address);
    const announced = id === undefined ? undefined : domain.lookupRecords.get(id)?.providerAddress;
    if (announced !== undefined && own.has(announced)) return announced;
  }
  return undefined;
}

/**
 * This node's address for a domain that no record decides about, undefined when the node has none. Of `family` if there
 * is one, since a tunnel has one family at both ends. The choice follows from RDID and addresses alone (the highest
 * digest of the pair wins), so a change of the addresses moves no more domains than it must.
 */
export function spreadAddress(
  rdid: string,
  family: 4 | 6 | undefined,
  own: ReadonlyMap<string, ProviderAddress>,
): string | undefined {
  const all = [...own.keys()];
  const fitting = all.filter((address) => addressFamily(address) === family);
  let best: { address: string; weight: string } | undefined;
  for (const address of fitting.length > 0 ? fitting : all) {
    const weight = createHash('sha256').update(`${rdid} ${address}`).digest('hex');
    if (best === undefined || weight > best.weight) best = { address, weight };
  }
  return best?.address;
}
