/** Numbered pings out of several routing domains to the internet, one every two milliseconds: which of them come back. */
import { setTimeout as delay } from 'node:timers/promises';
import { PROVIDER_NIC } from '../test/lab/gateway-node.ts';
import { INTERNET_ADDRESS } from '../test/lab/internet.ts';
import type { Namespace } from '../test/lab/namespace.ts';
import { echoRequest, nvgreFrame, readNvgre } from '../test/lab/nvgre-frame.ts';
import { RawLink } from '../test/lab/raw-link.ts';
import { until } from '../test/lab/until.ts';
import type { BenchNode } from './control-plane-node.ts';
import {
  type BenchDomain,
  domains,
  GATEWAY_ADDRESS,
  GATEWAY_MAC,
  HOSTS,
  vmAddress,
  vmMac,
} from './control-plane-policy.ts';

const INTERVAL_MS = 2;
/** How long the last answers are waited for. */
const LATE_MS = 2_000;
/** An identifier of ICMP for each domain. */
const STREAMS: readonly BenchDomain[] = [0, 1, 250, 500, 999].flatMap((index) => domains[index] ?? []);

async function macOf(namespace: Namespace, nic: string): Promise<string> {
  const [link] = JSON.parse(await namespace.ip('-json', 'link', 'show', 'dev', nic)) as { address: string }[];
  return link?.address ?? '';
}

export class PacketStream {
  readonly #link: RawLink;
  readonly #macs: { destinationMac: string; sourceMac: string };
  readonly #answered = new Set<string>();
  #sent = 0;
  #running = true;
  #loop: Promise<void> = Promise.resolve();

  private constructor(link: RawLink, macs: { destinationMac: string; sourceMac: string }) {
    this.#link = link;
    this.#macs = macs;
  }

  /** Starts it when the way of every domain is warm. */
  static async start({ gateway, host }: BenchNode): Promise<PacketStream> {
    const macs = {
      destinationMac: await macOf(gateway.namespace, PROVIDER_NIC),
      sourceMac: await macOf(host, 'pa'),
    };
    const stream = new PacketStream(await RawLink.open(host, 'pa'), macs);
    for (const index of STREAMS.keys())
      await until('the way is warm', 10_000, async () => {
        await stream.#send(index, 0);
        stream.#take();
        return stream.#answered.has(`${index} 0`);
      });
    stream.#answered.clear();
    stream.#loop = stream.#run();
    return stream;
  }

  /** Ends it: how many were sent, and how many of them came back. */
  async stop(): Promise<{ sent: number; lost: number }> {
    this.#running = false;
    await this.#loop;
    await until('the last answers', LATE_MS, () => {
      this.#take();
      return this.#answered.size === this.#sent;
    }).catch(() => undefined);
    await this.#link.close();
    return { sent: this.#sent, lost: this.#sent - this.#answered.size };
  }

  async #run(): Promise<void> {
    while (this.#running) {
      const number = this.#sent++;
      await this.#send(number % STREAMS.length, 1 + Math.floor(number / STREAMS.length));
      await delay(INTERVAL_MS);
    }
  }

  async #send(index: number, sequence: number): Promise<void> {
    const domain = STREAMS[index];
    if (domain === undefined) throw new Error('no such stream');
    const inner = echoRequest(vmAddress(0), INTERNET_ADDRESS, index + 1, sequence);
    const addresses = { from: HOSTS[0] ?? '', to: GATEWAY_ADDRESS, vsid: domain.gatewayVsid, inner };
    await this.#link.send(
      nvgreFrame({ ...this.#macs, ...addresses, innerDestinationMac: GATEWAY_MAC, innerSourceMac: vmMac(0) }),
    );
  }

  /** Answers come back in the VSID of the VM; an identifier that NAT had to change is no answer to a ping of ours. */
  #take(): void {
    for (const frame of this.#link.received.splice(0)) {
      const nvgre = readNvgre(frame);
      if (nvgre?.inner[20] !== 0) continue;
      const index = nvgre.inner.readUInt16BE(24) - 1;
      if (STREAMS[index]?.vsid === nvgre.vsid) this.#answered.add(`${index} ${nvgre.inner.readUInt16BE(26)}`);
    }
  }
}
