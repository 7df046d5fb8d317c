/**
 * Rules of VM ports: what a VM may be and send from. A port without virtual subnet is outside HNV and says nothing else.
 */
import { Check } from 'typebox/value';
import { InterfaceName, type VmPort } from '../resources.ts';
import { effectiveGatewayMac } from '../router.ts';
import type { DesiredState } from '../state.ts';
import { macField, unicastField } from './field.ts';
import { conflict, invalid, invalidName, nameConflict } from './refusal.ts';
import { requireHostAddress } from './subnet-address.ts';

export function normalizePort(value: VmPort): VmPort {
  const customerAddresses: string[] = [];
  for (const [index, text] of (value.customerAddresses ?? []).entries()) {
    const pointer = `/customerAddresses/${index}`;
    const address = unicastField(pointer, text);
    if (customerAddresses.includes(address)) {
      const why = 'is listed more than once: a port lists a customer address once';
      throw invalid('customer-address-once', pointer, address, why);
    }
    customerAddresses.push(address);
  }
  const learn = value.learn ?? false;
  if (value.virtualSubnetId === undefined) {
    requireNothingElse(value.macAddress, customerAddresses, learn);
    return { customerAddresses, learn };
  }
  if (value.macAddress === undefined) {
    const why = `must be given: a port with virtualSubnetId ${value.virtualSubnetId} has the MAC address of its VM`;
    throw invalid('port-mac', '/macAddress', undefined, why);
  }
  return { ...value, macAddress: macField('/macAddress', value.macAddress), customerAddresses, learn };
}

function requireNothingElse(mac: string | undefined, addresses: readonly string[], learn: boolean): void {
  const why =
    'is refused without virtualSubnetId: such a port is outside HNV, and its packets pass unmodified';
  if (mac !== undefined) throw invalid('port-outside', '/macAddress', mac, why);
  if (addresses.length > 0) throw invalid('port-outside', '/customerAddresses', addresses.join(', '), why);
  if (learn) throw invalid('port-outside', '/learn', true, why);
}

export function checkPort(state: DesiredState, name: string, value: VmPort): void {
  if (!Check(InterfaceName, name)) {
    const form = 'name of a network interface, 1 to 15 of printable ASCII without blank, slash and colon';
    throw invalidName('interface-name', 'port', name, form);
  }
  for (const [address, provider] of state.providerAddresses) {
    if (provider.interface !== name) continue;
    const why = `carries provider address ${address}, so it cannot be a port too`;
    throw nameConflict('port-provider-interface', 'Interface', name, why);
  }
  const { virtualSubnetId: vsid, macAddress: mac } = value;
  if (vsid === undefined || mac === undefined) return;

  const domain = state.domains.get(state.vsidOwners.get(vsid) ?? '');
  const prefixes = domain?.virtualSubnets.get(vsid)?.addressPrefixes;
  if (domain === undefined || prefixes === undefined) {
    const why = 'must be the VSID of a virtual subnet of a routing domain';
    throw invalid('port-vsid', '/virtualSubnetId', vsid, why);
  }
  for (const [index, address] of value.customerAddresses.entries()) {
    requireHostAddress(`/customerAddresses/${index}`, prefixes, address);
  }
  requireUnused(state, name, value, vsid, mac);
  if (domain.gateway?.virtualSubnetId === vsid) requireNotGateway(domain.rdid, domain.gateway, value);
}

/** An address is inside one virtual subnet of its domain only, so that the ports of that one are all to look at. */
function requireUnused(state: DesiredState, name: string, value: VmPort, vsid: number, mac: string): void {
  for (const otherName of state.portsByVsid.get(vsid) ?? []) {
    const other = state.ports.get(otherName);
    if (otherName === name || other === undefined) continue;
    if (other.macAddress === mac) {
      const why = `is the MAC address of port ${otherName}: a MAC address is unique inside a virtual subnet`;
      throw conflict('port-mac-unique', '/macAddress', mac, why);
    }
    for (const [index, address] of value.customerAddresses.entries()) {
      if (!other.customerAddresses.includes(address)) continue;
      const why = `is an address of port ${otherName}: a customer address is unique inside a routing domain`;
      throw conflict('port-address-unique', `/customerAddresses/${index}`, address, why);
    }
  }
}

/** This node is the gateway: its routing context stands behind the same VSID. */
function requireNotGateway(
  rdid: string,
  gateway: Parameters<typeof effectiveGatewayMac>[1],
  value: VmPort,
): void {
  if (value.macAddress === effectiveGatewayMac(rdid, gateway)) {
    const why = "is the MAC address of this node's gateway: a MAC address is unique inside a virtual subnet";
    throw conflict('port-mac-unique', '/macAddress', value.macAddress, why);
  }
  for (const [index, address] of value.customerAddresses.entries()) {
    if (!gateway.customerAddresses.includes(address)) continue;
    const why = "is the address of this node's gateway: a customer address is unique inside a routing domain";
    throw conflict('port-address-unique', `/customerAddresses/${index}`, address, why);
  }
}
