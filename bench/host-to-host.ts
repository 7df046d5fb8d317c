/**
 * Host to host, everything on one core: a VM on one host to a VM on the other, through `hnvgw host` and through VXLAN
 * devices and bridges, in turns. Both have veths with the kernel's defaults, no NAPI, no RPS. The generator's cost is in
 * both packet rates alike. A capture anywhere on the machine has the kernel take the time of each packet wherever it is
 * queued, which the reference does more often: measure without.
 */
import { routerMac } from '../src/policy/router.ts';
import type { Fabric } from '../test/lab/fabric.ts';
import type { Namespace } from '../test/lab/namespace.ts';
import { PROVIDER_NIC } from '../test/lab/node-process.ts';
import { VM_NIC } from '../test/lab/vm.ts';
import { type BenchVm, type HostPair, innerOf, VMS } from './bench-hosts.ts';
import { type Contender, contest } from './contest.ts';
import floors from './floors.json' with { type: 'json' };
import { plainFrame } from './frames.ts';
import { buildHnvHosts, type HnvHosts } from './hnv-hosts.ts';
import { PacketGenerator } from './packet-generator.ts';
import { PacketSink } from './packet-sink.ts';
import { rateContender, warmUp } from './rate-path.ts';
import { type Comparison, type Part, showTurns } from './report.ts';
import { countSuperPackets, tcpContender } from './tcp-stream.ts';
import { buildVxlanHosts } from './vxlan-hosts.ts';

const ROUNDS = { packetRate: 31, tcp: 9 };

/** Builds both contenders and lets them run. */
export async function hostToHost(fabric: Fabric): Promise<Part> {
  const hnv = await buildHnvHosts(fabric);
  const vxlan = await buildVxlanHosts(fabric.lab);
  const rates = await packetRate(hnv, vxlan);
  const { comparisons, superPackets } = await tcp(hnv, vxlan);
  return { comparisons: [...rates, ...comparisons], superPackets };
}

async function packetRate(hnv: HnvHosts, vxlan: HostPair): Promise<Comparison[]> {
  console.log(
    'Host to host, packet rate: 60-byte UDP of 1,024 flows from VM to VM; generator and path on one core',
  );
  const { sender, receiver, routed } = VMS;
  const contenders = {
    hnv: await rate(hnv.near, sender.name, hnv.vms.receiver, receiver, receiver.mac),
    vxlan: await rate(vxlan.near, `vx${sender.name}`, vxlan.vms.receiver, receiver, receiver.mac),
    hnvRouted: await rate(hnv.near, sender.name, hnv.vms.routed, routed, routerMac),
  };
  const figures = await contest(contenders, ROUNDS.packetRate, showTurns('Mpps'));
  const common = { unit: 'Mpps', reference: figures.vxlan };
  return [
    {
      ...common,
      title: 'host to host, packet rate : VXLAN and bridge',
      hnvgw: figures.hnv,
      floor: floors.hostPacketRate,
    },
    { ...common, title: '… routed to another subnet', hnvgw: figures.hnvRouted, floor: undefined },
  ];
}

/** Frames that come in at the sender's port as the VM sends them, to the NIC of the VM that they are for. */
async function rate(
  host: Namespace,
  port: string,
  vm: Namespace,
  destination: BenchVm,
  mac: string,
): Promise<Contender> {
  const frame = plainFrame(innerOf(VMS.sender, destination, mac));
  const path = {
    generator: await PacketGenerator.start(host, port, 'plain', frame),
    sink: PacketSink.attach(vm, VM_NIC, VMS.sender.ip),
  };
  await warmUp(path);
  return rateContender(path);
}

async function tcp(hnv: HostPair, vxlan: HostPair): Promise<Part> {
  console.log('Host to host, one TCP stream from VM to VM; both ends on one core, and free');
  const stream = async ({ near, vms: { sender, receiver } }: HostPair, oneCore: boolean) => {
    const contender = await tcpContender(sender, receiver, VMS.receiver.ip, { oneCore });
    return countSuperPackets(near, PROVIDER_NIC, 'sent', contender('up'));
  };
  const streams = {
    hnv: await stream(hnv, true),
    vxlan: await stream(vxlan, true),
    hnvFree: await stream(hnv, false),
    vxlanFree: await stream(vxlan, false),
  };
  const figures = await contest(
    {
      hnv: streams.hnv.contender,
      vxlan: streams.vxlan.contender,
      hnvFree: streams.hnvFree.contender,
      vxlanFree: streams.vxlanFree.contender,
    },
    ROUNDS.tcp,
    showTurns('Gbit/s'),
  );
  const unit = 'Gbit/s';
  return {
    comparisons: [
      {
        title: 'host to host, TCP on one core : VXLAN and bridge',
        unit,
        hnvgw: figures.hnv,
        reference: figures.vxlan,
        floor: floors.hostTcp,
      },
      {
        title: '… on all cores',
        unit,
        hnvgw: figures.hnvFree,
        reference: figures.vxlanFree,
        floor: undefined,
      },
    ],
    superPackets: { host: streams.hnv.bytesPerPacket(), VXLAN: streams.vxlan.bytesPerPacket() },
  };
}
