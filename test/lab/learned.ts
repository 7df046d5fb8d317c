/** What nodes have learned, as their APIs tell it. */
import type { ApiClient } from './api-client.ts';
import { until } from './until.ts';

export interface LearnedRecord {
  id: string;
  customerAddress: string;
  virtualSubnetId: number;
  macAddress: string;
  providerAddress: string;
  type: string;
}

interface Node {
  readonly api: ApiClient;
}

/** A node's lookup records of type `dynamic`. */
export async function learnedAt(node: Node, rdid: string): Promise<LearnedRecord[]> {
  const list = (await node.api.get(`/v1/routing-domains/${rdid}/lookup-records?limit=1000`)) as {
    items: LearnedRecord[];
  };
  return list.items.filter((record) => record.type === 'dynamic');
}

/** Waits until all the nodes have learned that an address is at that MAC and provider address. */
export async function untilLearned(
  nodes: readonly Node[],
  rdid: string,
  address: string,
  at: { mac: string; pa: string },
  timeoutMs = 5_000,
): Promise<void> {
  const what = `${address} is learned to be ${at.mac} at ${at.pa}`;
  let found: (LearnedRecord | undefined)[] = [];
  await until(what, timeoutMs, async () => {
    found = await Promise.all(nodes.map((node) => recordOf(node, rdid, address)));
    return found.every((record) => record?.macAddress === at.mac && record.providerAddress === at.pa);
  }).catch((error: unknown) => {
    throw new Error(`${what}: no: ${JSON.stringify(found)}`, { cause: error });
  });
}

/** Waits until none of the nodes has a learned record of the address any more. */
export async function untilForgotten(
  nodes: readonly Node[],
  rdid: string,
  address: string,
  timeoutMs = 5_000,
): Promise<void> {
  await until(`${address} is forgotten`, timeoutMs, async () => {
    const found = await Promise.all(nodes.map((node) => recordOf(node, rdid, address)));
    return found.every((record) => record === undefined);
  });
}

async function recordOf(node: Node, rdid: string, address: string): Promise<LearnedRecord | undefined> {
  return (await learnedAt(node, rdid)).find(({ customerAddress }) => customerAddress === address);
}
