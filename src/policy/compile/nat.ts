/** From a NAT policy to the plan of it. */
import { addressOrder } from '../address.ts';
import { sorted } from '../order.ts';
import type { NatPlan, PortMappingPlan } from '../plan.ts';
import type { Nat } from '../resources.ts';
import { isEverybody } from '../rules/nat.ts';

/** External addresses that are in `taken` are left out, with the mappings of them. */
export function compileNat(nat: Nat, taken: ReadonlyMap<string, string>): NatPlan {
  const externalAddresses = nat.externalAddresses
    .filter(({ ipAddress }) => !taken.has(ipAddress))
    .map(({ ipAddress, ...ports }) => ({ address: ipAddress, ...ports }));
  const staticMappings = nat.staticMappings.filter(({ externalIpAddress }) => !taken.has(externalIpAddress));
  const portMappings = staticMappings.map((mapping): PortMappingPlan => {
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
  return {
    externalAddresses: sorted(externalAddresses, (external) => addressOrder(external.address)),
    portMappings: sorted(portMappings, portMappingOrder),
  };
}

function portMappingOrder(mapping: PortMappingPlan): string {
  const port = String(mapping.externalPort).padStart(5, '0');
  const remote = mapping.remotePrefix === undefined ? '' : addressOrder(mapping.remotePrefix);
  return [addressOrder(mapping.externalAddress), mapping.protocol, port, remote].join(' ');
}
