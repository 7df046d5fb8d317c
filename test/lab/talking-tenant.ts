/** Two tenants alike inside, for conversations by hand: two VMs on two hosts, NAT, and a network without NAT that may be asked for. */
import { derivedMac } from '../../src/policy/router.ts';
import { PROVIDER_NIC } from './node-process.ts';
import type { TalkSpec } from './numbered-talk.ts';
import { putReady } from './three-hosts.ts';
import { HOSTS, NICS, type Station, type WiredGateway } from './wired-gateway.ts';

export const GATEWAY = ['10.254.254.2', 'fd00:fe::2'] as const;
export const REMOTE = { 4: '203.0.113.5', 6: '2001:db8:9::5' } as const;
/** On the VLAN. */
export const NEIGHBOURS: readonly [Station, Station] = [
  { mac: '02:9a:00:02:00:01', addresses: { 4: '172.31.0.1', 6: 'fd00:31::1' } },
  { mac: '02:9a:00:02:00:02', addresses: { 4: '172.31.0.2', 6: 'fd00:31::2' } },
];
export const VLAN = 100;
/** Behind the neighbours. */
export const CORPORATE = '172.16.0.9';

export interface Vm {
  mac: string;
  host: Station;
  addresses: Readonly<Record<4 | 6, string>>;
}

/** The first one on the first host. */
export const VMS: readonly [Vm, Vm] = [
  { mac: '02:9a:00:03:00:11', host: HOSTS[0], addresses: { 4: '10.1.1.11', 6: 'fd00:1:1::11' } },
  { mac: '02:9a:00:03:00:12', host: HOSTS[1], addresses: { 4: '10.1.1.12', 6: 'fd00:1:1::12' } },
];

let port = 20_000;

export class TalkingTenant {
  readonly rdid: string;
  readonly vsid: number;
  readonly gatewayVsid: number;
  readonly gatewayMac: string;
  readonly external: Readonly<Record<4 | 6, string>>;
  readonly #gateway: WiredGateway;

  /** Number 1 to 9. */
  constructor(gateway: WiredGateway, number: number) {
    this.#gateway = gateway;
    this.rdid = [8, 4, 4, 4, 12].map((length) => `${number}`.repeat(length)).join('-');
    this.vsid = 4001 + 1000 * number;
    this.gatewayVsid = this.vsid + 1;
    this.gatewayMac = `02:9a:00:04:0${number}:02`;
    this.external = { 4: `203.0.113.${100 + number}`, 6: `2001:db8:200::${100 + number}` };
  }

  get base(): string {
    return `/v1/routing-domains/${this.rdid}`;
  }

  /** What a resource of the domain is; in effect when this resolves. */
  put(path: string, body: object): Promise<void> {
    return putReady(this.#gateway.api, `${this.base}/${path}`, body);
  }

  /** Gone when this resolves. */
  async delete(path: string): Promise<void> {
    await this.#gateway.api.delete(`${this.base}/${path}?wait=10s`);
  }

  putRecord(
    address: string,
    mac: string,
    providerAddress: string,
    virtualSubnetId = this.vsid,
  ): Promise<void> {
    return this.put(`lookup-records/${address}`, {
      ...{ customerAddress: address, virtualSubnetId, macAddress: mac, providerAddress, type: 'static' },
    });
  }

  /** The record as it is at first. */
  putVm(vm: Vm, family: 4 | 6 = 4): Promise<void> {
    return this.putRecord(vm.addresses[family], vm.mac, vm.host.addresses[4]);
  }

  /** The domain's own external addresses, unless there are others. */
  putNat(more: object = {}): Promise<void> {
    const externalAddresses = Object.values(this.external).map((ipAddress) => ({ ipAddress }));
    return this.put('nat', { externalAddresses, ...more });
  }

  putGateway(): Promise<void> {
    return this.put('gateway', {
      ...{ virtualSubnetId: this.gatewayVsid, customerAddresses: GATEWAY, macAddress: this.gatewayMac },
    });
  }

  /** By way of one of the neighbours. */
  putForwarding(neighbour: Station = NEIGHBOURS[0]): Promise<void> {
    return this.put('forwarding', {
      ...{ vlanId: VLAN, addresses: ['172.31.0.254/24'], nextHops: [neighbour.addresses[4]] },
      destinationPrefixes: ['172.16.0.0/16'],
    });
  }

  /** Where hosts send frames for the gateway. */
  announce(providerAddress: string = NICS.provider.addresses[4]): Promise<void> {
    return this.putRecord(GATEWAY[0], this.gatewayMac, providerAddress, this.gatewayVsid);
  }

  /** Everything but forwarding. */
  async provision(): Promise<void> {
    const { api } = this.#gateway;
    const put = (path: string, body: object) => api.put(`${this.base}${path}`, body);
    await put('', { name: `tenant-${this.vsid}` });
    await put(`/virtual-subnets/${this.vsid}`, { addressPrefixes: ['10.1.1.0/24', 'fd00:1:1::/64'] });
    await put(`/virtual-subnets/${this.gatewayVsid}`, {
      ...{ addressPrefixes: ['10.254.254.0/29', 'fd00:fe::/64'], isGatewaySubnet: true },
    });
    for (const [destinationPrefix, nextHop] of [
      ['0.0.0.0/0', GATEWAY[0]],
      ['::/0', GATEWAY[1]],
    ] as const)
      await put(`/customer-routes/${nextHop}`, {
        ...{ virtualSubnetId: this.gatewayVsid, destinationPrefix, nextHop },
      });
    for (const family of [4, 6] as const) for (const vm of VMS) await this.putVm(vm, family);
    await this.announce();
    await this.putGateway();
    await this.putNat();
  }

  /** A conversation of a VM with the outside, with ports that no other one has. */
  talk(
    protocol: TalkSpec['protocol'],
    more: Partial<TalkSpec> = {},
    family: 4 | 6 = 4,
    vm: Vm = VMS[0],
  ): TalkSpec {
    port++;
    return {
      ...{
        protocol,
        inside: { address: vm.addresses[family], port },
        outside: { address: REMOTE[family], port },
      },
      ...{ mac: vm.mac, host: vm.host, vsid: this.gatewayVsid, gatewayMac: this.gatewayMac },
      ...more,
    };
  }

  /** One with the network without NAT. */
  forwardedTalk(protocol: TalkSpec['protocol']): TalkSpec {
    const spec = this.talk(protocol);
    const network = { mac: derivedMac(`forwarding ${this.rdid}`), router: NEIGHBOURS[0], vlan: VLAN };
    return { ...spec, outside: { address: CORPORATE, port: spec.outside.port }, network };
  }
}

/** Gives the gateway a provider address that its NIC has, or is given here. */
export async function addProviderAddress({ namespace, api }: WiredGateway, address: string): Promise<void> {
  await namespace.ip('addr', 'replace', `${address}/24`, 'dev', PROVIDER_NIC);
  const body = { interface: PROVIDER_NIC, prefixLength: 24 };
  await putReady(api, `/v1/provider-addresses/${address}`, body);
}
