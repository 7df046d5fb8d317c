/** One way for small datagrams, from a generator to a sink; its figure is what arrives. */
import type { Contender } from './contest.ts';
import type { PacketGenerator } from './packet-generator.ts';
import type { PacketSink } from './packet-sink.ts';

const WARM_UP_MS = 200;
/** Short turns and many of them: a disturbance spoils a round, not the run. */
const MEASURE_MS = 150;
/** More than this share of the frames lost on their way, and the figure is no forwarding rate. */
const LOSS_LIMIT = 0.01;

export interface RatePath {
  generator: PacketGenerator;
  sink: PacketSink;
}

/** Sends until neighbours are found and flows are open. */
export async function warmUp({ generator }: RatePath): Promise<void> {
  await generator.run(WARM_UP_MS);
}

/** Mpps at the far end, per second of the core. Rejects when frames got lost or have another source address than they should. */
export function rateContender({ generator, sink }: RatePath): Contender {
  return async () => {
    const before = sink.read();
    const { frames, seconds } = await generator.run(MEASURE_MS);
    const after = sink.read();
    if (after.other > 0) throw new Error(`${after.other} packets arrived from an unexpected address`);
    const received = after.expected - before.expected;
    if (received < frames * (1 - LOSS_LIMIT)) throw new Error(`only ${received} of ${frames} frames arrived`);
    return received / seconds / 1e6;
  };
}
