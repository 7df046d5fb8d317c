/** The policy of the port blocks' bench: a thousand routing domains, alike inside, that share sixteen public addresses. */
import { PROVIDER_NIC } from '../test/lab/gateway-node.ts';
import { GATEWAY_ADDRESS, HOSTS } from './control-plane-policy.ts';

export const DOMAINS = 1000;
export const ADDRESSES = 16;
const BLOCK_PORTS = 1000;
const FIRST_PORT = 1024;
/** Blocks that there are beside those of the thousand. */
export const SPARE_BLOCKS = ADDRESSES * Math.floor((65_536 - FIRST_PORT) / BLOCK_PORTS) - DOMAINS;

/** Every domain's VM. */
export const VM = { address: '10.1.1.10', mac: '02:00:00:00:01:0a' } as const;

/** What a domain has of a public address. */
export interface PortBlock {
  ipAddress: string;
  portStart: number;
  portEnd: number;
}

export interface BlockDomain {
  readonly rdid: string;
  readonly vsid: number;
  readonly gatewayVsid: number;
  /** Of its own: the kernel counts how many ports have a MAC address. */
  readonly gatewayMac: string;
  readonly block: PortBlock;
}

const hex = (number: number): string => number.toString(16).padStart(2, '0');

/** Domain `number` with the block `block`. */
export function blockDomain(number: number, block = number): BlockDomain {
  const portStart = FIRST_PORT + Math.floor(block / ADDRESSES) * BLOCK_PORTS;
  return {
    rdid: `00000000-0000-4000-8000-${number.toString(16).padStart(12, '0')}`,
    vsid: 10_000 + 2 * number,
    gatewayVsid: 10_001 + 2 * number,
    gatewayMac: `02:00:00:${hex(number >> 8)}:${hex(number & 255)}:02`,
    block: {
      ipAddress: `100.64.0.${1 + (block % ADDRESSES)}`,
      portStart,
      portEnd: portStart + BLOCK_PORTS - 1,
    },
  };
}

/** A document of these domains, complete or without NAT. */
export function blockPolicy(domains: readonly BlockDomain[], { nat }: { nat: boolean }) {
  return {
    providerAddresses: [{ address: GATEWAY_ADDRESS, interface: PROVIDER_NIC, prefixLength: 24 }],
    routingDomains: domains.map(({ rdid, vsid, gatewayVsid, gatewayMac, block }) => ({
      rdid,
      name: `tenant ${vsid}`,
      virtualSubnets: [
        { vsid, addressPrefixes: ['10.1.1.0/24'] },
        { vsid: gatewayVsid, addressPrefixes: ['10.254.254.0/29'], isGatewaySubnet: true },
      ],
      lookupRecords: [
        {
          id: 'vm',
          customerAddress: VM.address,
          virtualSubnetId: vsid,
          macAddress: VM.mac,
          providerAddress: HOSTS[0],
          type: 'static',
        },
      ],
      gateway: {
        virtualSubnetId: gatewayVsid,
        customerAddresses: ['10.254.254.2'],
        macAddress: gatewayMac,
      },
      ...(nat ? { nat: { externalAddresses: [block] } } : {}),
    })),
  };
}
