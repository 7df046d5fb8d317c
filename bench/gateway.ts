/** The gateway's part of the bench beside packet rates: one TCP stream, and new connections beside nftables by hand. */
import type { Fabric } from '../test/lab/fabric.ts';
import { bulk } from './bulk.ts';
import { connections } from './connections.ts';
import { buildGatewayPath } from './gateway-path.ts';
import { buildNvgrePeer } from './nvgre-peer.ts';
import type { Part } from './report.ts';

/** Builds all contenders and lets them run. */
export async function gateway(fabric: Fabric): Promise<Part> {
  const streams = await bulk(fabric);
  const { comparisons } = await gatewayConnections(fabric);
  return { ...streams, comparisons: [...streams.comparisons, ...comparisons] };
}

/** New connections alone. */
export async function gatewayConnections(fabric: Fabric): Promise<Part> {
  const path = await buildGatewayPath(fabric);
  const vm = await buildNvgrePeer(fabric);
  return { comparisons: await connections(fabric, path, vm), superPackets: {} };
}
