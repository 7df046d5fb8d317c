/**
 * What the trials of forwarding play on: a gateway of its own on a provider network 10.0.0.0/24, three tenants with a VM each, and
 * three corporate networks on VLANs of the uplink that are all alike. Woodgrove is a private cloud with customer addresses 157.0.1.0/24;
 * Contoso and Fabrikam have the same addresses, and Fabrikam has NAT beside.
 */
import { routerAddress } from '../../../test/lab/address.ts';
import { type BgpSpeaker, BirdSpeaker, FrrSpeaker, type SpeakerSpec } from '../../../test/lab/bgp-speaker.ts';
import { type CorporateNetwork, CorporateSwitch } from '../../../test/lab/corporate-network.ts';
import { startEcho } from '../../../test/lab/echo.ts';
import { Fabric } from '../../../test/lab/fabric.ts';
import { GatewayNode, PROVIDER_NIC, UPLINK_NIC } from '../../../test/lab/gateway-node.ts';
import type { PolicyRecord, TenantPolicy } from '../../../test/lab/hnv-flows.ts';
import { Internet } from '../../../test/lab/internet.ts';
import type { Lab } from '../../../test/lab/lab.ts';
import { OvsHost } from '../../../test/lab/ovs-host.ts';
import { addCorporate, CORPORATE_SUBNET, LINK, RoutedDomain } from '../../../test/lab/routed-domains.ts';
import { reachGateway } from '../../../test/lab/site-domains.ts';
import type { Vm } from '../../../test/lab/vm.ts';

const HOST = '10.0.0.10';
const GATEWAY = '10.0.0.20';
const GATEWAY_SUBNET = '10.254.254.0/29';
const CONTEXT = '10.254.254.2';
export const OWN_ASN = 4_200_000_001;
export const CORPORATE_ASN = 65_010;
const PASSWORD = 'both-know-it';
/** What a VM serves. */
export const SQL_PORT = 1433;

interface Part {
  title: string;
  number: number;
  subnet: string;
  vlanId: number;
  /** Its corporate router's BGP; without it, routes are set by hand on both sides. */
  bgp?: (typeof BirdSpeaker | typeof FrrSpeaker)['start'];
  externalAddress?: string;
}

const PARTS: readonly [Part, Part, Part] = [
  { title: 'Woodgrove', number: 1, subnet: '157.0.1.0/24', vlanId: 100, bgp: BirdSpeaker.start },
  { title: 'Contoso', number: 2, subnet: '10.1.1.0/24', vlanId: 110 },
  {
    ...{ title: 'Fabrikam', number: 3, subnet: '10.1.1.0/24', vlanId: 120, bgp: FrrSpeaker.start },
    externalAddress: '198.51.100.120',
  },
];

/** A tenant with its corporate network. */
export interface Company {
  title: string;
  vlanId: number;
  externalAddress: string | undefined;
  domain: RoutedDomain;
  vm: Vm;
  network: CorporateNetwork;
  speaker: BgpSpeaker | undefined;
}

export interface CorporateStage {
  gateway: GatewayNode;
  internet: Internet;
  companies: [woodgrove: Company, contoso: Company, fabrikam: Company];
}

/** Builds everything; the gateway runs and knows the tenants, but nothing of the corporate networks. */
export async function buildCorporate(lab: Lab): Promise<CorporateStage> {
  const fabric = await Fabric.create(lab);
  const makeHost = async () => {
    const host = await OvsHost.create(fabric, 'host', `${HOST}/24`);
    await host.setPolicy(PARTS.map(policyOf));
    return host.addVms(
      PARTS.map((part) => {
        const { title, subnet } = part;
        const { ip, mac, vsid } = vmRecord(part);
        const name = `${title.toLowerCase()}1`;
        return { name, ip, mac, vsid, prefixLength: 24, gateway: routerAddress(subnet) };
      }),
    );
  };
  const makeGateway = async () => {
    const gateway = await GatewayNode.create(fabric, 'gw', `${GATEWAY}/24`);
    const internet = await Internet.create(lab, gateway.namespace, UPLINK_NIC);
    const corporate = await CorporateSwitch.create(internet.namespace, gateway.namespace);
    await gateway.start();
    await gateway.api.put('/v1/policy?wait=10s', {
      providerAddresses: [{ address: GATEWAY, interface: PROVIDER_NIC, prefixLength: 24 }],
      routingDomains: PARTS.map(domainOf),
    });
    return { gateway, internet, corporate };
  };
  const [vms, { gateway, internet, corporate }] = await Promise.all([makeHost(), makeGateway()]);
  await reachGateway(vms);
  const makeCompany = async (part: Part, vm: Vm): Promise<Company> => {
    const { title, vlanId, bgp, externalAddress } = part;
    const network = await addCorporate(corporate, `${title.toLowerCase()}c`, vlanId);
    await startEcho(vm.namespace, vm.name, [`tcp:${vm.ip}:${SQL_PORT}`]);
    if (bgp === undefined) await network.router.ip('route', 'add', part.subnet, 'via', LINK.domain);
    const speaker = await bgp?.(network.router, SPEAKER);
    const domain = new RoutedDomain(gateway, { rdid: rdidOf(part), name: title }, [vm]);
    return { title, vlanId, externalAddress, domain, vm, network, speaker };
  };
  // The switch takes one port after the other.
  const companies: Company[] = [];
  for (const [index, part] of PARTS.entries()) companies.push(await makeCompany(part, vms[index] as Vm));
  return { gateway, internet, companies: companies as CorporateStage['companies'] };
}

/** Tells the gateway of a tenant's VLAN and, where there is BGP, of its peer. Resolves when packets pass. */
export async function joinCorporate({ domain, vlanId, speaker }: Company): Promise<void> {
  const addresses = [`${LINK.domain}/${LINK.length}`];
  await domain.putForwarding({ vlanId, addresses, nextHops: speaker === undefined ? [LINK.router] : [] });
  if (speaker === undefined) return;
  const peer = { name: 'corporate', address: LINK.router, asn: CORPORATE_ASN, password: PASSWORD };
  await domain.putBgp({ asn: OWN_ASN, peers: [{ ...peer, holdTimeSeconds: 9 }] });
  await domain.learns([CORPORATE_SUBNET]);
}

const SPEAKER: SpeakerSpec = {
  ...{ asn: CORPORATE_ASN, routerId: LINK.router, networks: [CORPORATE_SUBNET] },
  neighbors: [{ address: LINK.domain, asn: OWN_ASN, localAddress: LINK.router, password: PASSWORD }],
};

const rdidOf = ({ number }: Part): string => `33333333-3333-3333-3333-33333333333${number}`;
const vsidsOf = ({ number }: Part) => ({ vsid: 7000 + 10 * number, gatewayVsid: 7001 + 10 * number });

function vmRecord(part: Part): PolicyRecord {
  const ip = part.subnet.replace('0/24', '11');
  return { ip, mac: `02:00:00:70:01:0${part.number}`, vsid: vsidsOf(part).vsid, pa: HOST };
}

/** What the host knows. */
function policyOf(part: Part): TenantPolicy {
  const { vsid, gatewayVsid } = vsidsOf(part);
  return {
    subnets: [
      { vsid, prefix: part.subnet },
      { vsid: gatewayVsid, prefix: GATEWAY_SUBNET },
    ],
    records: [vmRecord(part), { ip: CONTEXT, mac: gatewayMac(part), vsid: gatewayVsid, pa: GATEWAY }],
    routes: [{ prefix: '0.0.0.0/0', nextHop: CONTEXT }],
  };
}

const gatewayMac = ({ number }: Part): string => `02:00:00:70:02:0${number}`;

/** What the gateway is told. */
function domainOf(part: Part): object {
  const { vsid, gatewayVsid } = vsidsOf(part);
  const { ip, mac, pa } = vmRecord(part);
  return {
    ...{ rdid: rdidOf(part), name: part.title },
    virtualSubnets: [
      { vsid, addressPrefixes: [part.subnet] },
      { vsid: gatewayVsid, addressPrefixes: [GATEWAY_SUBNET], isGatewaySubnet: true },
    ],
    lookupRecords: [
      {
        ...{ id: 'vm', customerAddress: ip, virtualSubnetId: vsid, macAddress: mac },
        ...{ providerAddress: pa, type: 'static' },
      },
    ],
    gateway: { virtualSubnetId: gatewayVsid, customerAddresses: [CONTEXT], macAddress: gatewayMac(part) },
    ...(part.externalAddress && { nat: { externalAddresses: [{ ipAddress: part.externalAddress }] } }),
  };
}
