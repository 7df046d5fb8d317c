/** From a NAT policy to the plan of it. */
import { addressOrder, contains } from '../address.ts';
import { externalAddressesOf } from '../external-addresses.ts';
import { sorted } from '../order.ts';
import type { NatPlan, OneToOnePlan, PortMappingPlan, PrefixPlan } from '../plan.ts';
import type { Nat } from '../resources.ts';
import { isEverybody } from '../rules/nat-mappings.ts';
import { insideOf } from '../rules/nat-prefixes.ts';

/** Addresses that are no tenant's to have, with whose they are. */
type Taken = ReadonlyMap<string, string>;

/** What has addresses that are in `taken` is left out, with all that uses it. What site connections add is left to their plans. */
export function compileNat(nat: Nat, taken: Taken): Omit<NatPlan, 'peers' | 'sitePrefixes'> {
  const isFree = ({ externalIpAddress }: { externalIpAddress: string }) => !taken.has(externalIpAddress);
  const externalAddresses = externalAddressesOf(nat)
    .filter(({ ipAddress }) => !taken.has(ipAddress))
    .map(({ ipAddress, ...ports }) => ({ address: ipAddress, ...ports }));
  const prefixes = nat.externalPrefixes
    .filter(({ prefix }) => takenWithin(prefix, taken) === undefined)
    .map((external): PrefixPlan => ({ external: external.prefix, internal: insideOf(external) }));
  const portMappings = nat.staticMappings.filter(isFree).map((mapping): PortMappingPlan => {
    const plan: PortMappingPlan = {
      protocol: mapping.protocol,
      externalAddress: mapping.externalIpAddress,
      externalPort: mapping.externalPort,
      internalAddress: mapping.internalIpAddress,
      internalPort: mapping.internalPort,
    };
    const remotePrefix = mapping.remoteExternalIpAddressPrefix;
    if (remotePrefix !== undefined && !isEverybody(remotePrefix)) plan.remotePrefix = remotePrefix;
    return plan;
  });
  const oneToOne = nat.oneToOne.filter(isFree).map(
    ({ externalIpAddress: external, internalIpAddress: internal }): OneToOnePlan => ({
      external,
      internal,
    }),
  );
  return {
    externalAddresses: sorted(externalAddresses, ({ address }) => addressOrder(address)),
    prefixes: sorted(prefixes, ({ external }) => addressOrder(external)),
    portMappings: sorted(portMappings, portMappingOrder),
    oneToOne: sorted(oneToOne, ({ external }) => addressOrder(external)),
    timeouts: nat.timeouts,
    filtering: nat.filtering,
    hairpinning: nat.hairpinning,
    algs: nat.algs,
    ...(nat.maxSessions === undefined ? {} : { maxSessions: nat.maxSessions }),
  };
}

/** A sentence for each external address and prefix that compileNat() leaves out. */
export function withheldOf(nat: Nat, taken: Taken): string[] {
  const addresses = externalAddressesOf(nat).flatMap(({ ipAddress }) => {
    const whose = taken.get(ipAddress);
    return whose === undefined ? [] : `${ipAddress} is ${whose}, and cannot be an external address.`;
  });
  const prefixes = nat.externalPrefixes.flatMap(({ prefix }) => {
    const within = takenWithin(prefix, taken);
    if (within === undefined) return [];
    return `${within} is ${taken.get(within)}, and ${prefix}, which it is in, cannot be an external prefix.`;
  });
  return [...addresses, ...prefixes];
}

/** The lowest, so that it is the same each time. */
function takenWithin(prefix: string, taken: Taken): string | undefined {
  return sorted(taken.keys(), addressOrder).find((address) => contains(prefix, address));
}

function portMappingOrder(mapping: PortMappingPlan): string {
  const port = String(mapping.externalPort).padStart(5, '0');
  const remote = mapping.remotePrefix === undefined ? '' : addressOrder(mapping.remotePrefix);
  return [addressOrder(mapping.externalAddress), mapping.protocol, port, remote].join(' ');
}
