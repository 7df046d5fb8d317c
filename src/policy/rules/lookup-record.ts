/**
 * Rules of lookup records. All cost the same however many records the domain has.
 */
import type { LookupRecord } from '../resources.ts';
import { effectiveGatewayMac } from '../router.ts';
import type { DomainState } from '../state.ts';
import { addressField, isUnspecified, macField, unicastField } from './field.ts';
import { conflict, invalid } from './refusal.ts';
import { requireHostAddress, requireSubnet } from './subnet-address.ts';

export function normalizeLookupRecord(value: LookupRecord): LookupRecord {
  const type = value.type ?? 'static';
  const customerAddress = addressField('/customerAddress', value.customerAddress);
  if (!hasCustomerAddress(type) && !isUnspecified(customerAddress)) {
    const why = `must be 0.0.0.0 or :: in a record of type ${type}, which stands for a MAC address only`;
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
  if (subnet.providerMulticastAddress === undefined) checkProviderAddressCount(domain, id, value);
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

/**
 * Broadcasts and multicasts of a subnet without multicast group are copied to every provider address that has the VSID,
 * and the data plane makes this many copies at most.
 */
export const maxProviderAddresses = 256;

function checkProviderAddressCount(domain: DomainState, id: string, value: LookupRecord): void {
  const { virtualSubnetId: vsid, providerAddress } = value;
  const use = domain.providerAddressUse.get(vsid);
  if (use === undefined || use.has(providerAddress)) return;
  const before = domain.lookupRecords.get(id);
  const isLast = before?.virtualSubnetId === vsid && use.get(before.providerAddress) === 1;
  if (use.size - (isLast ? 1 : 0) < maxProviderAddresses) return;
  const why = `would be provider address ${maxProviderAddresses + 1} of virtual subnet ${vsid}: without providerMulticastAddress, a virtual subnet has at most ${maxProviderAddresses}`;
  throw conflict('subnet-provider-addresses', '/providerAddress', providerAddress, why);
}

/** Whether records of the type place a customer address; the others stand for a MAC address only. */
export function hasCustomerAddress(type: LookupRecord['type']): boolean {
  return type === 'static' || type === 'dynamic';
}
