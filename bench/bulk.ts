/**
 * One TCP stream from a VM to the internet and back, through the gateway with each setting of its fast path and through plain
 * hops, without encapsulation, NAT and connection tracking, in turns. XDP takes no super-packets and no checksums that are to be
 * filled in by a NIC: where it is native, the machines at the other ends of the gateway's cables send what would be on a wire.
 */
import { Fabric, sendWireFrames } from '../test/lab/fabric.ts';
import { PROVIDER_NIC } from '../test/lab/gateway-node.ts';
import { INTERNET_ADDRESS } from './bench-tenant.ts';
import { type Contender, contest } from './contest.ts';
import floors from './floors.json' with { type: 'json' };
import { buildGatewayPath, type FastPathMode, type GatewayPath } from './gateway-path.ts';
import { buildNvgrePeer } from './nvgre-peer.ts';
import { buildPlainPath } from './plain-path.ts';
import { type Comparison, type Contest, type Part, showTurns } from './report.ts';
import { countSuperPackets, type Direction, tcpContender } from './tcp-stream.ts';

const ROUNDS = 5;
/** As the contenders of the packet rate are called. */
const MODES = { fast: 'native', tc: 'generic', slow: 'off' } as const satisfies Record<string, FastPathMode>;
type Mode = keyof typeof MODES;
/** Of the fabric's ports, the gateway's. */
const FIRST_PORT = 'port0';

/** A contender of each direction, and the average size of what it had on the provider NIC. */
type Streams = Record<Direction, { contender: Contender; bytesPerPacket?: () => number }>;

/** Builds all contenders and lets them run. */
export async function bulk(fabric: Fabric): Promise<Part> {
  console.log(
    'Gateway, one TCP stream, VM to internet and back; no encapsulation and no NAT on the plain path',
  );
  const streams: Record<Mode | 'plain', Streams> = {
    fast: await throughGateway(fabric, 'fast'),
    tc: await throughGateway(fabric, 'tc'),
    slow: await throughGateway(fabric, 'slow'),
    plain: await throughPlainHops(fabric),
  };
  const comparisons: Comparison[] = [];
  const contests: Contest[] = [];
  for (const [direction, floor] of [
    ['up', floors.tcpUp],
    ['down', floors.tcpDown],
  ] as const) {
    const contenders = {
      fast: streams.fast[direction].contender,
      tc: streams.tc[direction].contender,
      slow: streams.slow[direction].contender,
      plain: streams.plain[direction].contender,
    };
    const figures = await contest(contenders, ROUNDS, showTurns(`Gbit/s ${direction}`));
    const title = `one TCP stream, ${direction}`;
    const unit = 'Gbit/s';
    contests.push({ title, unit, reference: 'plain', figures });
    comparisons.push({
      title: `${title}, tc : plain`,
      unit,
      hnvgw: figures.tc,
      reference: figures.plain,
      floor,
    });
  }
  const size = (mode: Mode, direction: Direction): number => streams[mode][direction].bytesPerPacket?.() ?? 0;
  const cut = `${size('fast', 'up').toFixed(0)} bytes up and ${size('fast', 'down').toFixed(0)} bytes down`;
  return {
    comparisons,
    contests,
    superPackets: { 'gateway up': size('tc', 'up'), 'gateway down': size('tc', 'down') },
    notes: [
      `One TCP stream, fast: XDP had packets of ${cut} on the provider NIC; no super-packets pass there.`,
    ],
  };
}

async function throughGateway({ lab }: Fabric, mode: Mode): Promise<Streams> {
  const fabric = await Fabric.create(lab, `net${mode}`);
  const path = await buildGatewayPath(fabric, { short: mode, xdp: MODES[mode] });
  const vm = await buildNvgrePeer(fabric, mode);
  if (mode === 'fast') await sendAsNics(fabric, path);
  const contender = await tcpContender(vm, path.internet, INTERNET_ADDRESS);
  const { namespace } = path.gateway;
  return {
    up: countSuperPackets(namespace, PROVIDER_NIC, 'received', contender('up')),
    down: countSuperPackets(namespace, PROVIDER_NIC, 'sent', contender('down')),
  };
}

/** Both far ends of the gateway's cables; with GRO they have NAPI, without which nothing can be redirected to a veth. */
async function sendAsNics(fabric: Fabric, { internet, internetNic }: GatewayPath): Promise<void> {
  for (const [namespace, nic] of [
    [fabric.namespace, FIRST_PORT],
    [internet, internetNic],
  ] as const) {
    await sendWireFrames(namespace, nic);
    await namespace.runChecked(['ethtool', '-K', nic, 'gro', 'on']);
  }
}

async function throughPlainHops(fabric: Fabric): Promise<Streams> {
  const { vm, internet } = await buildPlainPath(fabric);
  const contender = await tcpContender(vm, internet, INTERNET_ADDRESS);
  return { up: { contender: contender('up') }, down: { contender: contender('down') } };
}
