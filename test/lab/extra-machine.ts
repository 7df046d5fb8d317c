/** A VM beside those that a VM network has on every host: its specification and its lookup records. */
import { addressAt, prefixLengthOf, routerAddress } from './address.ts';
import type { PolicyRecord } from './hnv-flows.ts';
import { innerMtu, type VmSpec } from './vm.ts';
import { providerAddress, type VmNetwork } from './vm-network.ts';

export interface ExtraMachine {
  spec: VmSpec & { ip6: string };
  /** For `records` of the VM network. */
  records: PolicyRecord[];
}

/**
 * A VM of a virtual subnet (1 and up) on a host (1 to 3); `number` (2 to 99) is the last part of its addresses, and no
 * other VM of the subnet has it.
 */
export function extraMachine(
  network: Pick<VmNetwork, 'name' | 'subnets'>,
  subnet: number,
  number: number,
  host: number,
  family: 4 | 6,
): ExtraMachine {
  const found = network.subnets[subnet - 1];
  if (found === undefined) throw new Error(`${network.name} has no virtual subnet ${subnet}`);
  const { vsid, prefix, prefix6 } = found;
  const spec = {
    name: `${network.name}-s${subnet}x${number}`,
    vsid,
    mac: `02:00:00:02:0${subnet}:${String(number).padStart(2, '0')}`,
    ip: addressAt(prefix, number),
    prefixLength: prefixLengthOf(prefix),
    gateway: routerAddress(prefix),
    ip6: addressAt(prefix6, number),
    prefixLength6: prefixLengthOf(prefix6),
    gateway6: routerAddress(prefix6),
    mtu: innerMtu(family),
  };
  const pa = providerAddress(family, host - 1);
  return { spec, records: [spec.ip, spec.ip6].map((ip) => ({ ip, mac: spec.mac, vsid, pa })) };
}
