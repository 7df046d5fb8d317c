/**
 * Host to host, everything on one core: a VM on one host to a VM on the other, through `hnvgw host` and through VXLAN
 * devices and bridges, in turns. Both have veths with the kernel's defaults, and GRO at the VMs' ports. The cost of the traffic ends is in
 * both packet rates alike. A capture anywhere on the machine has the kernel take the time of each packet wherever it is
 * queued, which the reference does more often: measure without.
 */
import { routerMac } from '../src/policy/router.ts';
import type { Fabric } from '../test/lab/fabric.ts';
import type { Namespace } from '../test/lab/namespace.ts';
import { PROVIDER_NIC } from '../test/lab/node-process.ts';
import { VM_NIC } from '../test/lab/vm.ts';
import { type HostPair, innerOf, VMS } from './bench-hosts.ts';
import { FLOWS } from './bench-tenant.ts';
import { endOf, SPARE_HEADROOM } from './cables.ts';
import { contest } from './contest.ts';
import floors from './floors.json' with { type: 'json' };
import { SMALLEST } from './frames.ts';
import { buildHnvHosts, type HnvHosts } from './hnv-hosts.ts';
import { type Job, type RatePath, rateContender, type Way, warmUp } from './rate-path.ts';
import { type Comparison, type Part, showTurns } from './report.ts';
import { countSuperPackets, tcpContender } from './tcp-stream.ts';
import type { TrafficEnd } from './traffic-end.ts';
import { buildVxlanHosts } from './vxlan-hosts.ts';

const ROUNDS = { packetRate: 15, tcp: 9 };
const JOB: Job = { mix: SMALLEST, flows: FLOWS };

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
  const [hnvEnd, vxlanEnd] = [await senderEnd(hnv, ''), await senderEnd(vxlan, 'vx')];
  const paths = {
    hnv: await ratePath(hnv, hnvEnd, 'receiver', hnv.vms.receiver, ''),
    vxlan: await ratePath(vxlan, vxlanEnd, 'receiver', vxlan.vms.receiver, 'vx'),
    hnvRouted: await ratePath(hnv, hnvEnd, 'routed', hnv.vms.routed, ''),
  };
  for (const path of Object.values(paths)) warmUp(path, JOB);
  const contenders = {
    hnv: rateContender(paths.hnv, 'up', JOB),
    vxlan: rateContender(paths.vxlan, 'up', JOB),
    hnvRouted: rateContender(paths.hnvRouted, 'up', JOB),
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

/** The VM that sends. */
async function senderEnd({ vms, near }: HostPair, prefix: string): Promise<TrafficEnd> {
  return (await endOf(vms.sender, VM_NIC, near, `${prefix}${VMS.sender.name}`, 'stack')).end;
}

/** From it to a VM on the other host, and back. */
async function ratePath(
  hosts: HostPair,
  from: TrafficEnd,
  to: 'receiver' | 'routed',
  vm: Namespace,
  prefix: string,
): Promise<RatePath> {
  const { sender, [to]: receiver } = VMS;
  const ends = {
    sender: from,
    receiver: (await endOf(vm, VM_NIC, hosts.far, `${prefix}${receiver.name}`, 'stack')).end,
  };
  const isRouted = to === 'routed';
  const way = (from: 'sender' | 'receiver'): Way => {
    const [source, destination] = from === 'sender' ? [sender, receiver] : [receiver, sender];
    const common = { fromOutside: from === 'receiver' };
    return {
      from: ends[from],
      to: ends[from === 'sender' ? 'receiver' : 'sender'],
      traffic: {
        ...common,
        inner: innerOf(source, destination, isRouted ? routerMac : destination.mac),
        tunnel: undefined,
        spareHeadroom: SPARE_HEADROOM,
      },
      arriving: {
        ...common,
        tunnel: undefined,
        destinationMac: destination.mac,
        source: source.ip,
        destination: destination.ip,
        hops: isRouted ? 1 : 0,
      },
    };
  };
  return { up: way('sender'), down: way('receiver') };
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
