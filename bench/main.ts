/**
 * `npm run bench [-- --check]`: the gateway beside what it must not be slower than, on this machine, in one run. Figures of
 * different machines or runs cannot be compared; the ratios can. With --check it exits with 1 when a ratio is below its
 * floor (floors.json).
 */
import { parseArgs } from 'node:util';
import { Fabric } from '../test/lab/fabric.ts';
import { PROVIDER_NIC } from '../test/lab/gateway-node.ts';
import { Lab } from '../test/lab/lab.ts';
import { buildBenchObjects } from './bpf-objects.ts';
import { contest } from './contest.ts';
import floors from './floors.json' with { type: 'json' };
import { buildGatewayPath, type GatewayPath } from './gateway-path.ts';
import { buildNvgrePeer } from './nvgre-peer.ts';
import { packetRateContenders } from './packet-rate.ts';
import { buildPlainPath } from './plain-path.ts';
import { type Comparison, judge, table, writeResults } from './report.ts';
import { countSuperPackets, tcpContender } from './tcp-stream.ts';

const ROUNDS = { packetRate: 15, tcp: 5 };
/** Packets of this size or less on average have been cut on their way. */
const PROVIDER_MTU = 1500;

const { values: options } = parseArgs({ options: { check: { type: 'boolean', default: false } } });
const lab = await Lab.create('bench');
for (const signal of ['SIGINT', 'SIGTERM'] as const)
  process.once(signal, () => {
    void lab.close().finally(() => process.exit(1));
  });

/** A line for each turn, so that one sees that it goes on and how noisy the machine is. */
function show(unit: string): (name: string, round: number, figure: number) => void {
  return (name, round, figure) =>
    console.log(`  round ${round}  ${name.padEnd(14)} ${figure.toFixed(3)} ${unit}`);
}

async function packetRate(fabric: Fabric, path: GatewayPath): Promise<Comparison[]> {
  console.log('Packet rate: 60-byte UDP of 1,024 flows from a tenant, NATed; generator and path on one core');
  const contenders = await packetRateContenders(fabric, path);
  const { gateway, hand, handDirect } = await contest(contenders, ROUNDS.packetRate, show('Mpps'));
  const common = { unit: 'Mpps', gateway };
  return [
    { ...common, title: 'packet rate : VXLAN and nft by hand', reference: hand, floor: floors.packetRate },
    { ...common, title: '… with the uplink in the namespace', reference: handDirect, floor: undefined },
  ];
}

async function tcp(
  fabric: Fabric,
  path: GatewayPath,
): Promise<{ comparisons: Comparison[]; bytes: Record<string, number> }> {
  console.log('One TCP stream, VM to internet and back; no encapsulation and no NAT on the plain path');
  const vm = await buildNvgrePeer(fabric);
  const plainPath = await buildPlainPath(fabric);
  const gateway = await tcpContender(vm, path.internet);
  const plain = await tcpContender(plainPath.vm, plainPath.internet);
  const up = countSuperPackets(path.gateway.namespace, PROVIDER_NIC, 'received', gateway('up'));
  const down = countSuperPackets(path.gateway.namespace, PROVIDER_NIC, 'sent', gateway('down'));
  const contenders = {
    up: up.contender,
    upPlain: plain('up'),
    down: down.contender,
    downPlain: plain('down'),
  };
  const figures = await contest(contenders, ROUNDS.tcp, show('Gbit/s'));
  const unit = 'Gbit/s';
  return {
    comparisons: [
      {
        title: 'TCP up : plain hops',
        unit,
        gateway: figures.up,
        reference: figures.upPlain,
        floor: floors.tcpUp,
      },
      {
        title: 'TCP down : plain hops',
        unit,
        gateway: figures.down,
        reference: figures.downPlain,
        floor: floors.tcpDown,
      },
    ],
    bytes: { up: up.bytesPerPacket(), down: down.bytesPerPacket() },
  };
}

try {
  await buildBenchObjects();
  const fabric = await Fabric.create(lab);
  const path = await buildGatewayPath(fabric);
  const rates = await packetRate(fabric, path);
  const streams = await tcp(fabric, path);
  const results = [...rates, ...streams.comparisons].map(judge);
  const { bytes } = streams;
  const whole = Object.values(bytes).every((size) => size > PROVIDER_MTU);
  console.log(`\n${table(results)}\n`);
  console.log(
    'Medians (smallest … largest); ratios within each round. The generator’s cost is in both packet rates.',
  );
  const sizes = Object.entries(bytes).map(
    ([direction, size]) => `${direction} ${(size / 1000).toFixed(1)} kB`,
  );
  console.log(
    `Super-packets on the provider NIC: ${sizes.join(', ')} on average${whole ? '' : '  NOT OK: they were cut'}`,
  );
  console.log(`Written to ${writeResults(results, bytes)}`);
  if (options.check && !(whole && results.every((result) => result.ok))) process.exitCode = 1;
} finally {
  await lab.close();
}
