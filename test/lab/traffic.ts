/** What an interface has carried: to tell what crossed it while something went on. */
import type { Namespace } from './namespace.ts';

export interface Traffic {
  /** A super-packet is one. */
  packets: number;
  bytes: number;
}

/** What an interface sent and received while `work` went on. */
export async function trafficDuring(
  namespace: Namespace,
  nic: string,
  work: () => Promise<unknown>,
): Promise<{ sent: Traffic; received: Traffic }> {
  const before = await counters(namespace, nic);
  await work();
  const after = await counters(namespace, nic);
  const difference = (way: 'rx' | 'tx'): Traffic => ({
    packets: after[way].packets - before[way].packets,
    bytes: after[way].bytes - before[way].bytes,
  });
  return { sent: difference('tx'), received: difference('rx') };
}

async function counters(namespace: Namespace, nic: string): Promise<{ rx: Traffic; tx: Traffic }> {
  const shown = await namespace.ip('-json', '-statistics', 'link', 'show', 'dev', nic);
  const [link] = JSON.parse(shown) as { stats64: { rx: Traffic; tx: Traffic } }[];
  if (link === undefined) throw new Error(`there is no interface ${nic}`);
  return link.stats64;
}
