/**
 * Rules of lookup records. All cost the same however many records the domain has.
 */
import type { LookupRecord } from '../resources.ts';
import { effectiveGatewayMac } from '../router.ts';
import type { DomainState } from '../state.ts';
import { addressField, macField, UNSPECIFIED, unicastField } from './field.ts';
import { conflict, invalid } from './refusal.ts';
import { requireHostAddress, requireSubnet } from './subnet-address.ts';

export function normalizeLookupRecord(value: LookupRecord): LookupRecord {
  const type = value.type ?? 'static';
  const customerAddress = addressField('/customerAddress', value.customerAddress);
  if (!hasCustomerAddress(type) && customerAddress !== UNSPECIFIED) {
    const why = `must be ${UNSPECIFIED} in a record of type ${type}, which stands for a MAC address only`;
    throw invalid('address-unspecified', '/customerAddress', customerAddress, why);
  }
  return {
    ...value,
    type,
    customerAddress,
    macAddress: macField('/macAddress', value.macAddress),
    providerAddress: unicastField('/providerAddress', value.providerAddress),
  };
}

export function checkLookupRecord(domain: DomainState, id: string, value: LookupRecord): void {
  const subnet = requireSubnet(domain, '/virtualSubnetId', value.virtualSubnetId);
  if (!hasCustomerAddress(value.type)) return;

  const address = value.customerAddress;
  requireHostAddress('/customerAddress', subnet.addressPrefixes, address);
  const other = domain.recordByAddress.get(address);
  if (other !== undefined && other !== id) {
    const why = `is the address of lookup record ${other}: a customer address is unique inside a routing domain`;
    throw conflict('customer-address-unique', '/customerAddress', address, why);
  }
  if (domain.gateway?.customerAddresses.includes(address)) {
    const mac = effectiveGatewayMac(domain.rdid, domain.gateway);
    if (value.macAddress !== mac) {
      const why = `must be ${mac}: the record of the gateway's address ${address} carries the gateway's MAC address`;
      throw conflict('gateway-mac', '/macAddress', value.macAddress, why);
    }
  }
}

/** Whether records of the type place a customer address; the others stand for a MAC address only. */
export function hasCustomerAddress(type: LookupRecord['type']): boolean {
  return type === 'static' || type === 'dynamic';
}
