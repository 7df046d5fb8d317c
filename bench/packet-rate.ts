/**
 * Packet rate from a tenant to the internet: small datagrams of many flows through the gateway's slow path and through
 * the same path built by hand, in turns. The generator's cost is in all of them alike, which draws ratios towards 1.
 */
import type { Fabric } from '../test/lab/fabric.ts';
import { PROVIDER_NIC } from '../test/lab/gateway-node.ts';
import type { Namespace } from '../test/lab/namespace.ts';
import { EXTERNAL_ADDRESS, FLOWS, GATEWAY } from './bench-tenant.ts';
import type { Contender } from './contest.ts';
import { type Tunnel, tunnelFrame } from './frames.ts';
import type { GatewayPath } from './gateway-path.ts';
import { buildHandPath, HAND_PROVIDER_NIC } from './hand-path.ts';
import { macOf, PacketGenerator } from './packet-generator.ts';
import { PacketSink } from './packet-sink.ts';
import { type RatePath, rateContender, warmUp } from './rate-path.ts';

interface NatPath extends RatePath {
  /** Answers how many flows the path tracks. */
  flows: () => Promise<number>;
}

/** The gateway and both paths built by hand, ready to run; figures are Mpps at the far end of the uplink. */
export async function packetRateContenders(
  fabric: Fabric,
  path: GatewayPath,
): Promise<{ gateway: Contender; hand: Contender; handDirect: Contender }> {
  const { lab } = fabric;
  const conntrack = (netns: string) => async () => {
    const { stdout } = await lab.runChecked('nsenter', [
      `--net=/run/netns/${netns}`,
      '--',
      'conntrack',
      '-C',
    ]);
    return Number(stdout);
  };
  const byHand = async (short: string, routed: boolean): Promise<NatPath> => {
    const hand = await buildHandPath(lab, short, { routed });
    const inner = await macOf(hand.tenant, hand.vxlanDevice);
    return {
      generator: await startGenerator(hand.node, HAND_PROVIDER_NIC, 'vxlan', inner),
      sink: PacketSink.attach(hand.internet, hand.internetNic, hand.externalAddress),
      flows: conntrack(hand.tenant.name),
    };
  };
  return {
    gateway: await contender({
      generator: await startGenerator(path.gateway.namespace, PROVIDER_NIC, 'nvgre', GATEWAY.mac),
      sink: PacketSink.attach(path.internet, path.internetNic, EXTERNAL_ADDRESS),
      flows: conntrack(path.context),
    }),
    hand: await contender(await byHand('hr', true)),
    handDirect: await contender(await byHand('hd', false)),
  };
}

/** `inner` is the MAC that the inner frames are for. */
async function startGenerator(
  namespace: Namespace,
  nic: string,
  tunnel: Tunnel,
  inner: string,
): Promise<PacketGenerator> {
  const frame = tunnelFrame(tunnel, { nic: await macOf(namespace, nic), inner });
  return PacketGenerator.start(namespace, nic, tunnel, frame);
}

/** Opens the flows, and sees to it that all of them are there. */
async function contender(path: NatPath): Promise<Contender> {
  await warmUp(path);
  const flows = await path.flows();
  if (flows < FLOWS) throw new Error(`a path tracks ${flows} flows instead of ${FLOWS}`);
  return rateContender(path);
}
