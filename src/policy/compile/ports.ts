/** The ports of this node's VMs in a domain, and the records that they are without anybody having written them. */
import { addressOrder } from '../address.ts';
import { sorted } from '../order.ts';
import type { PortPlan, RecordPlan } from '../plan.ts';
import type { DomainState } from '../state.ts';
import type { CompileNode } from './node.ts';
import type { RecordIndex } from './record-index.ts';
import { announcedAddress } from './tunnel-address.ts';

/**
 * Ascending by interface. `spread` is the provider address of ports that no record announces one for; without it, such
 * a port is not among the plans, and `pending` gets the sentence that says why.
 */
export function compilePorts(
  domain: DomainState,
  node: CompileNode,
  records: RecordIndex,
  spread: string | undefined,
  pending: string[],
): PortPlan[] {
  const plans: PortPlan[] = [];
  const interfaces = [...domain.virtualSubnets.keys()].flatMap((vsid) => [
    ...(node.portsByVsid.get(vsid) ?? []),
  ]);
  for (const name of interfaces.sort()) {
    const { virtualSubnetId: vsid, macAddress: mac, customerAddresses, learn } = node.ports.get(name) ?? {};
    if (vsid === undefined || mac === undefined || customerAddresses === undefined) continue;
    const addresses = sorted(customerAddresses, addressOrder);
    const providerAddress =
      announcedAddress(domain, addresses, node.providerAddresses) ??
      records.ownProviderAddress(vsid, mac) ??
      spread;
    if (providerAddress === undefined) {
      pending.push(`Port ${name} waits for a provider address: this node has none.`);
      continue;
    }
    plans.push({
      interface: name,
      vsid,
      mac,
      addresses,
      learns: learn === true || records.learns(vsid, mac),
      isGateway: records.isGateway(vsid, mac),
      learnedMacs: [...records.learnedMacs(name)].filter((learned) => learned !== mac).sort(),
      providerAddress,
    });
  }
  return plans;
}

/** A local record for each address of a port that no lookup record has. */
export function implicitRecords(domain: DomainState, ports: readonly PortPlan[]): RecordPlan[] {
  return ports.flatMap(({ addresses, vsid, mac, providerAddress }) =>
    addresses
      .filter((address) => !domain.recordByAddress.has(address))
      .map((address) => ({ address, vsid, mac, providerAddress, isLocal: true, isDynamic: false })),
  );
}
