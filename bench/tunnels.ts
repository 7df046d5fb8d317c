/**
 * One TCP stream through an IPsec tunnel: from a VM by the gateway to a site, beside two strongSwans with a host behind each
 * and nothing between. The same cipher, the same engine, and the site's side is the same on both paths.
 */
import type { Fabric } from '../test/lab/fabric.ts';
import type { Namespace } from '../test/lab/namespace.ts';
import { Site } from '../test/lab/site.ts';
import { connectionTo, tunnelTo } from '../test/lab/site-domains.ts';
import { until } from '../test/lab/until.ts';
import { EXTERNAL_ADDRESS, RDID, VM } from './bench-tenant.ts';
import { contest } from './contest.ts';
import floors from './floors.json' with { type: 'json' };
import { buildGatewayPath } from './gateway-path.ts';
import { buildNvgrePeer } from './nvgre-peer.ts';
import { type Part, showTurns } from './report.ts';
import { tcpContender } from './tcp-stream.ts';

const ROUNDS = 15;
const SITE_SUBNET = '192.168.50.0/24';
const KEY = 'a key of this bench alone';
const CIPHER = { hnvgw: 'GCMAES256', strongswan: 'aes256gcm16' };

/** Who asks, who serves, and at which address. */
interface TunnelPath {
  client: Namespace;
  server: Namespace;
  address: string;
}

/** Builds both and lets them run. */
export async function tunnels(fabric: Fabric): Promise<Part> {
  const paths = { hnvgw: await gatewayTunnel(fabric), bare: await bareTunnel(fabric) };
  console.log(
    `One TCP stream through a tunnel (${CIPHER.strongswan}), VM to site and back; bare strongSwans beside it`,
  );
  const stream = ({ client, server, address }: TunnelPath) => tcpContender(client, server, address);
  const [hnvgw, bare] = [await stream(paths.hnvgw), await stream(paths.bare)];
  const figures = await contest(
    { up: hnvgw('up'), upBare: bare('up'), down: hnvgw('down'), downBare: bare('down') },
    ROUNDS,
    showTurns('Gbit/s'),
  );
  const common = { unit: 'Gbit/s', floor: floors.tunnelTcp };
  return {
    comparisons: [
      { ...common, title: 'tunnel, TCP up : bare strongSwan', hnvgw: figures.up, reference: figures.upBare },
      {
        ...common,
        title: 'tunnel, TCP down : bare strongSwan',
        hnvgw: figures.down,
        reference: figures.downBare,
      },
    ],
    superPackets: {},
  };
}

async function gatewayTunnel(fabric: Fabric): Promise<TunnelPath> {
  const { gateway, internet } = await buildGatewayPath(fabric);
  const vm = await buildNvgrePeer(fabric);
  const site = await Site.create(fabric.lab, internet, {
    ...{ name: 'branch', addresses: ['203.0.113.9'], subnets: [SITE_SUBNET], remotePrefixes: [VM.prefix] },
  });
  await site.setTunnels([tunnelTo(EXTERNAL_ADDRESS, site, KEY, { espProposals: CIPHER.strongswan })]);
  const connection = `/v1/routing-domains/${RDID}/site-connections/branch`;
  const body = { localSubnets: [VM.prefix], quickMode: { encryptionAlgorithms: [CIPHER.hnvgw] } };
  await gateway.api.put(`${connection}?wait=10s`, connectionTo(site, KEY, body));
  await until('the tunnel of the gateway is up', 20_000, () => site.hasChild('cloud'));
  return { client: vm, server: site.host, address: site.hostAddress() };
}

async function bareTunnel(fabric: Fabric): Promise<TunnelPath> {
  const { lab } = fabric;
  const outside = await lab.namespace('bareinet');
  const make = (name: string, address: string, subnet: string, remote: string): Promise<Site> =>
    Site.create(lab, outside, { name, addresses: [address], subnets: [subnet], remotePrefixes: [remote] });
  const near = await make('barea', '203.0.113.8', VM.prefix, SITE_SUBNET);
  const far = await make('bareb', '203.0.113.9', SITE_SUBNET, VM.prefix);
  const tunnel = (site: Site, other: Site) => {
    const more = { espProposals: CIPHER.strongswan, remoteId: other.spec.name };
    return site.setTunnels([tunnelTo(other.address, site, KEY, more)]);
  };
  await tunnel(far, near);
  await tunnel(near, far);
  await near.initiate('cloud');
  return { client: near.host, server: far.host, address: far.hostAddress() };
}
