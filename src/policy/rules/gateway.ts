/**
 * Rules of the gateway: one address of a family in the domain's gateway subnet, and one MAC address for it.
 */
import { addressFamily } from '../address.ts';
import type { Gateway } from '../resources.ts';
import { effectiveGatewayMac } from '../router.ts';
import type { DesiredState, DomainState } from '../state.ts';
import { macField, unicastField } from './field.ts';
import { conflict, invalid } from './refusal.ts';
import { requireRouting, requireRoutingWithout } from './routing-in-use.ts';
import { requireHostAddress, requireSubnet } from './subnet-address.ts';

export function normalizeGateway(value: Gateway): Gateway {
  const customerAddresses: string[] = [];
  for (const [index, text] of value.customerAddresses.entries()) {
    const pointer = `/customerAddresses/${index}`;
    const address = unicastField(pointer, text);
    const family = addressFamily(address);
    if (customerAddresses.some((other) => addressFamily(other) === family)) {
      const why = `is a second IPv${family} address: a gateway has one of a family`;
      throw invalid('one-address-per-family', pointer, text, why);
    }
    customerAddresses.push(address);
  }
  if (value.macAddress === undefined) return { ...value, customerAddresses };
  return { ...value, customerAddresses, macAddress: macField('/macAddress', value.macAddress) };
}

export function checkGateway(state: DesiredState, domain: DomainState, value: Gateway): void {
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
  for (const name of state.portsByVsid.get(value.virtualSubnetId) ?? []) {
    const port = state.ports.get(name);
    const index = value.customerAddresses.findIndex((address) => port?.customerAddresses.includes(address));
    if (index >= 0) {
      const why = `is an address of port ${name}: a customer address is unique inside a routing domain`;
      throw conflict('gateway-port', `/customerAddresses/${index}`, value.customerAddresses[index], why);
    }
    if (port?.macAddress === mac) {
      const why = `is the MAC address of port ${name}: a MAC address is unique inside a virtual subnet`;
      throw conflict('gateway-port', '/macAddress', mac, why);
    }
  }
  requireRouting({ ...domain, gateway: value }, '/customerAddresses', value.customerAddresses);
}

export function checkGatewayDelete({ gateway: _, ...after }: DomainState): void {
  requireRoutingWithout(after, 'The gateway');
}
