/**
 * Rules of the gateway: one address in the domain's gateway subnet, and one MAC address for it.
 */
import type { Gateway } from '../resources.ts';
import { effectiveGatewayMac } from '../router.ts';
import type { DomainState } from '../state.ts';
import { macField, unicastField } from './field.ts';
import { conflict, invalid } from './refusal.ts';
import { requireHostAddress, requireSubnet } from './subnet-address.ts';

export function normalizeGateway(value: Gateway): Gateway {
  const customerAddresses = value.customerAddresses.map((text, index) => {
    const pointer = `/customerAddresses/${index}`;
    const address = unicastField(pointer, text);
    if (index > 0) {
      throw invalid(
        'one-address-per-family',
        pointer,
        text,
        'is a second IPv4 address: a gateway has one of a family',
      );
    }
    return address;
  });
  if (value.macAddress === undefined) return { ...value, customerAddresses };
  return { ...value, customerAddresses, macAddress: macField('/macAddress', value.macAddress) };
}

export function checkGateway(domain: DomainState, value: Gateway): void {
  const subnet = requireSubnet(domain, '/virtualSubnetId', value.virtualSubnetId);
  if (!subnet.isGatewaySubnet) {
    const why =
      'must be the gateway subnet of this routing domain: a virtual subnet with isGatewaySubnet true';
    throw invalid('gateway-subnet', '/virtualSubnetId', value.virtualSubnetId, why);
  }
  const mac = effectiveGatewayMac(domain.rdid, value);
  for (const [index, address] of value.customerAddresses.entries()) {
    const pointer = `/customerAddresses/${index}`;
    requireHostAddress(pointer, subnet.addressPrefixes, address);
    const id = domain.recordByAddress.get(address);
    const record = id === undefined ? undefined : domain.lookupRecords.get(id);
    if (record !== undefined && record.macAddress !== mac) {
      const why = `has lookup record ${id} with MAC address ${record.macAddress}: the record of the gateway's address carries the gateway's MAC address, ${mac}`;
      throw conflict('gateway-mac', pointer, address, why);
    }
  }
}
