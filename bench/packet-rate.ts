/**
 * Packet rate from a tenant to the internet: small datagrams of many flows through the gateway's slow path and through
 * the same path built by hand, in turns. The generator's cost is in all of them alike, which draws ratios towards 1.
 */
import type { Fabric } from '../test/lab/fabric.ts';
import { PROVIDER_NIC } from '../test/lab/gateway-node.ts';
import { EXTERNAL_ADDRESS, FLOWS, GATEWAY } from './bench-tenant.ts';
import type { Contender } from './contest.ts';
import type { GatewayPath } from './gateway-path.ts';
import { buildHandPath, HAND_PROVIDER_NIC } from './hand-path.ts';
import { macOf, PacketGenerator } from './packet-generator.ts';
import { PacketSink } from './packet-sink.ts';

const WARM_UP_MS = 200;
/** Short turns and many of them: a disturbance spoils a round, not the run. */
const MEASURE_MS = 400;
/** More than this share of the frames lost on their way, and the figure is no forwarding rate. */
const LOSS_LIMIT = 0.01;

interface RatePath {
  generator: PacketGenerator;
  sink: PacketSink;
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
  const byHand = async (short: string, routed: boolean): Promise<RatePath> => {
    const hand = await buildHandPath(lab, short, { routed });
    return {
      generator: await PacketGenerator.start(
        hand.node,
        HAND_PROVIDER_NIC,
        'vxlan',
        await macOf(hand.tenant, hand.vxlanDevice),
      ),
      sink: PacketSink.attach(hand.internet, hand.internetNic, hand.externalAddress),
      flows: conntrack(hand.tenant.name),
    };
  };
  return {
    gateway: await contender({
      generator: await PacketGenerator.start(path.gateway.namespace, PROVIDER_NIC, 'nvgre', GATEWAY.mac),
      sink: PacketSink.attach(path.internet, path.internetNic, EXTERNAL_ADDRESS),
      flows: conntrack(path.context),
    }),
    hand: await contender(await byHand('hr', true)),
    handDirect: await contender(await byHand('hd', false)),
  };
}

/** Opens the flows, and sees to it that all of them are there and translated. */
async function contender(path: RatePath): Promise<Contender> {
  await path.generator.run(WARM_UP_MS);
  const flows = await path.flows();
  if (flows < FLOWS) throw new Error(`a path tracks ${flows} flows instead of ${FLOWS}`);
  return () => measure(path);
}

async function measure({ generator, sink }: RatePath): Promise<number> {
  const before = sink.read();
  const { frames, seconds } = await generator.run(MEASURE_MS);
  const after = sink.read();
  if (after.other > 0) throw new Error(`${after.other} packets left untranslated`);
  const received = after.translated - before.translated;
  if (received < frames * (1 - LOSS_LIMIT)) throw new Error(`only ${received} of ${frames} frames arrived`);
  return received / seconds / 1e6;
}
