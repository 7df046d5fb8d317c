/**
 * What NAT must do, as far as the outside can tell, said with nothing of the product's own code: whose an address and port
 * are, as what a VM may be seen, and who hears what is sent to an external address. IPv4.
 */
import ipaddr from 'ipaddr.js';

/** A whole address, or a block of its ports and ping identifiers; as REST has it. */
export interface Share {
  ipAddress: string;
  portStart?: number;
  portEnd?: number;
}

export interface Mapping {
  protocol: 'tcp' | 'udp';
  externalIpAddress: string;
  externalPort: number;
  internalIpAddress: string;
  internalPort: number;
  remoteExternalIpAddressPrefix?: string;
}

export type Filtering = 'endpointIndependent' | 'addressDependent' | 'addressAndPortDependent';

/** A domain's NAT. */
export interface DomainNat {
  /** Its one external address is a pool's to give, and known when it was given. */
  isAuto: boolean;
  externalAddresses: Share[];
  staticMappings: Mapping[];
  oneToOne: { externalIpAddress: string; internalIpAddress: string }[];
  filtering: { tcp: Filtering; udp: Filtering };
  hairpinning: 'local' | 'external';
}

export interface Endpoint {
  address: string;
  port: number;
}

/** Where a packet from outside goes. */
export interface Target {
  domain: number;
  address: string;
  port: number;
}

export function covers(share: Share, { address, port }: Endpoint): boolean {
  const { ipAddress, portStart = 0, portEnd = 65535 } = share;
  return ipAddress === address && port >= portStart && port <= portEnd;
}

export class NatModel {
  /** By the number of the domain; undefined: has no NAT. */
  readonly nats: readonly (DomainNat | undefined)[];

  constructor(nats: readonly (DomainNat | undefined)[]) {
    this.nats = nats;
  }

  /** The domain that has the address and port, or identifier. */
  ownerOf(endpoint: Endpoint): number | undefined {
    const owner = this.nats.findIndex((nat) =>
      nat?.externalAddresses.some((share) => covers(share, endpoint)),
    );
    return owner < 0 ? undefined : owner;
  }

  /** Somebody has the address or a part of it. */
  isExternal(address: string): boolean {
    return this.nats.some((nat) => nat?.externalAddresses.some(({ ipAddress }) => ipAddress === address));
  }

  /** What an inside host may be seen as, outside and in other domains. */
  sharesOf(domain: number, address: string): Share[] {
    const { externalAddresses = [], oneToOne = [] } = this.nats[domain] ?? {};
    const own = oneToOne.find(({ internalIpAddress }) => internalIpAddress === address);
    if (own) return [{ ipAddress: own.externalIpAddress }];
    const taken = new Set(oneToOne.map(({ externalIpAddress }) => externalIpAddress));
    return externalAddresses.filter(({ ipAddress }) => !taken.has(ipAddress));
  }

  /** Who hears a new session from the address `remote`; undefined: nobody. */
  targetOf(protocol: 'tcp' | 'udp', to: Endpoint, remote: string): Target | undefined {
    const domain = this.ownerOf(to);
    const nat = domain === undefined ? undefined : this.nats[domain];
    if (domain === undefined || nat === undefined) return undefined;
    const pair = nat.oneToOne.find(({ externalIpAddress }) => externalIpAddress === to.address);
    if (pair) return { domain, address: pair.internalIpAddress, port: to.port };
    const mapping = nat.staticMappings.find(
      (each) =>
        each.protocol === protocol &&
        each.externalIpAddress === to.address &&
        each.externalPort === to.port &&
        isIn(each.remoteExternalIpAddressPrefix ?? '0.0.0.0/0', remote),
    );
    return mapping && { domain, address: mapping.internalIpAddress, port: mapping.internalPort };
  }
}

function isIn(prefix: string, address: string): boolean {
  return ipaddr.IPv4.parse(address).match(ipaddr.IPv4.parseCIDR(prefix));
}
