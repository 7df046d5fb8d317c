/**
 * The gateway beside the same path built by hand (packet rate), beside plain hops (one TCP stream), and beside nftables by
 * hand (new connections).
 */
import type { Fabric } from '../test/lab/fabric.ts';
import { PROVIDER_NIC } from '../test/lab/gateway-node.ts';
import type { Namespace } from '../test/lab/namespace.ts';
import { INTERNET_ADDRESS } from './bench-tenant.ts';
import { connections } from './connections.ts';
import { contest } from './contest.ts';
import floors from './floors.json' with { type: 'json' };
import { buildGatewayPath, type GatewayPath } from './gateway-path.ts';
import { buildNvgrePeer } from './nvgre-peer.ts';
import { packetRateContenders } from './packet-rate.ts';
import { buildPlainPath } from './plain-path.ts';
import { type Comparison, type Part, showTurns } from './report.ts';
import { countSuperPackets, tcpContender } from './tcp-stream.ts';

const ROUNDS = { packetRate: 31, tcp: 5 };

/** Builds all contenders and lets them run. */
export async function gateway(fabric: Fabric): Promise<Part> {
  const path = await buildGatewayPath(fabric);
  const rates = await packetRate(fabric, path);
  const vm = await buildNvgrePeer(fabric);
  const { comparisons, superPackets } = await tcp(fabric, path, vm);
  return {
    comparisons: [...rates, ...comparisons, ...(await connections(fabric, path, vm))],
    superPackets,
  };
}

/** New connections alone. */
export async function gatewayConnections(fabric: Fabric): Promise<Part> {
  const path = await buildGatewayPath(fabric);
  const vm = await buildNvgrePeer(fabric);
  return { comparisons: await connections(fabric, path, vm), superPackets: {} };
}

async function packetRate(fabric: Fabric, path: GatewayPath): Promise<Comparison[]> {
  console.log(
    'Gateway, packet rate: 60-byte UDP of 1,024 flows from a tenant, NATed; generator and path on one core',
  );
  const contenders = await packetRateContenders(fabric, path);
  const figures = await contest(contenders, ROUNDS.packetRate, showTurns('Mpps'));
  const { hand, handDirect } = figures;
  const common = { unit: 'Mpps', hnvgw: figures.gateway };
  return [
    {
      ...common,
      title: 'gateway, packet rate : VXLAN and nft by hand',
      reference: hand,
      floor: floors.packetRate,
    },
    { ...common, title: '… with the uplink in the namespace', reference: handDirect, floor: undefined },
  ];
}

async function tcp(fabric: Fabric, path: GatewayPath, vm: Namespace): Promise<Part> {
  console.log(
    'Gateway, one TCP stream, VM to internet and back; no encapsulation and no NAT on the plain path',
  );
  const plainPath = await buildPlainPath(fabric);
  const hnvgw = await tcpContender(vm, path.internet, INTERNET_ADDRESS);
  const plain = await tcpContender(plainPath.vm, plainPath.internet, INTERNET_ADDRESS);
  const up = countSuperPackets(path.gateway.namespace, PROVIDER_NIC, 'received', hnvgw('up'));
  const down = countSuperPackets(path.gateway.namespace, PROVIDER_NIC, 'sent', hnvgw('down'));
  const contenders = {
    up: up.contender,
    upPlain: plain('up'),
    down: down.contender,
    downPlain: plain('down'),
  };
  const figures = await contest(contenders, ROUNDS.tcp, showTurns('Gbit/s'));
  const unit = 'Gbit/s';
  return {
    comparisons: [
      {
        title: 'gateway, TCP up : plain hops',
        unit,
        hnvgw: figures.up,
        reference: figures.upPlain,
        floor: floors.tcpUp,
      },
      {
        title: 'gateway, TCP down : plain hops',
        unit,
        hnvgw: figures.down,
        reference: figures.downPlain,
        floor: floors.tcpDown,
      },
    ],
    superPackets: { 'gateway up': up.bytesPerPacket(), 'gateway down': down.bytesPerPacket() },
  };
}
