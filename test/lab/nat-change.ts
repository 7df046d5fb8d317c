/** Tells a gateway of another NAT for its domains over REST, in an order in which nobody takes what another still has. */
import type { ApiClient } from './api-client.ts';
import type { DomainNat, NatModel, Share } from './nat-model.ts';
import type { RandomNumbers } from './random-nat.ts';

/** The domains' `nat`, `rdids` in the order of the models. In force when this resolves. */
export async function applyNat(
  api: ApiClient,
  rdids: readonly string[],
  before: NatModel,
  after: NatModel,
  numbers: RandomNumbers,
): Promise<void> {
  const changed = [...rdids.keys()].filter((index) => before.nats[index] !== after.nats[index]);
  const path = (index: number) => `/v1/routing-domains/${rdids[index]}/nat?wait=10s`;
  const losing = changed.filter((index) => {
    const nat = before.nats[index];
    return (
      nat !== undefined && changed.some((other) => other !== index && isInTheWay(nat, after.nats[other]))
    );
  });
  for (const index of numbers.some(
    [...new Set([...losing, ...changed.filter((each) => !after.nats[each])])],
    Number.POSITIVE_INFINITY,
  ))
    if (before.nats[index]) await api.delete(path(index));
  for (const index of numbers.some(changed, Number.POSITIVE_INFINITY)) {
    const nat = after.nats[index];
    if (nat !== undefined) await put(api, path(index), nat);
  }
}

async function put(api: ApiClient, path: string, { isAuto, ...nat }: DomainNat): Promise<void> {
  const body = isAuto ? { ...nat, externalAddresses: 'auto' } : nat;
  const { allocatedAddress } = (await api.put(path, body)) as { allocatedAddress?: Share };
  if (isAuto && allocatedAddress !== undefined) nat.externalAddresses.push(allocatedAddress);
}

function isInTheWay(old: DomainNat, wanted: DomainNat | undefined): boolean {
  return old.externalAddresses.some((had) =>
    wanted?.externalAddresses.some(
      ({ ipAddress, portStart = 0, portEnd = 65535 }) =>
        ipAddress === had.ipAddress && portStart <= (had.portEnd ?? 65535) && portEnd >= (had.portStart ?? 0),
    ),
  );
}
