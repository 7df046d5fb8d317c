/**
 * One TCP connection (RFC 9293) of each of many routing domains, all with the same addresses and ports inside and all open at
 * the same time, in NVGRE frames byte by byte, to a server that says whom it sees. What got lost is sent again.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { type EchoAnswer, startEcho } from '../test/lab/echo.ts';
import { PROVIDER_NIC } from '../test/lab/gateway-node.ts';
import { INTERNET_ADDRESS } from '../test/lab/internet.ts';
import { checksum, ipv4, nvgreFrame, readNvgre } from '../test/lab/nvgre-frame.ts';
import { RawLink } from '../test/lab/raw-link.ts';
import { until } from '../test/lab/until.ts';
import { macOf } from './cables.ts';
import type { BenchNode } from './control-plane-node.ts';
import { GATEWAY_ADDRESS, HOSTS } from './control-plane-policy.ts';
import { type BlockDomain, VM } from './port-blocks-policy.ts';

const TCP = 6;
const [SYN, RST, PSH, ACK] = [0x02, 0x04, 0x08, 0x10];
const SERVER_PORT = 7;
/** Of the VMs, one for each time; no block has them. */
const FIRST_VM_PORT = 100;
const FIRST_SEQUENCE = 1000;
const SEQUENCE = FIRST_SEQUENCE + 1;
const WINDOW = 65_535;

/** Packets, and the pause behind them: a packet socket has room for few, and what it loses comes again after seconds. */
const BURST = 20;
const PAUSE_MS = 5;
const ROUNDS = 10;
const ROUND_MS = 2_000;

interface Connection {
  domain: BlockDomain;
  /** What the server's next byte is counted as; undefined until it has accepted. */
  acknowledgement?: number;
  answer?: EchoAnswer;
}

/** A segment of a VM to the server. */
function segment(port: number, flags: number, sequence: number, acknowledgement: number, data = ''): Buffer {
  const bytes = Buffer.alloc(20 + data.length);
  bytes.writeUInt16BE(port, 0);
  bytes.writeUInt16BE(SERVER_PORT, 2);
  bytes.writeUInt32BE(sequence, 4);
  bytes.writeUInt32BE(acknowledgement, 8);
  bytes.writeUInt16BE((5 << 12) | flags, 12);
  bytes.writeUInt16BE(WINDOW, 14);
  bytes.write(data, 20);
  const addresses = [VM.address, INTERNET_ADDRESS].flatMap((address) => address.split('.').map(Number));
  const pseudoHeader = Buffer.from([...addresses, 0, TCP, bytes.length >> 8, bytes.length & 255]);
  bytes.writeUInt16BE(checksum(Buffer.concat([pseudoHeader, bytes])), 16);
  return ipv4(VM.address, INTERNET_ADDRESS, TCP, bytes);
}

export class BlockConnections {
  readonly #link: RawLink;
  #port = FIRST_VM_PORT;
  readonly #macs: { destinationMac: string; sourceMac: string };

  private constructor(link: RawLink, macs: { destinationMac: string; sourceMac: string }) {
    this.#link = link;
    this.#macs = macs;
  }

  /** Starts the server, and opens the host of the VMs. */
  static async start({ gateway, host, internet }: BenchNode): Promise<BlockConnections> {
    await startEcho(internet, 'server', [`tcp:${INTERNET_ADDRESS}:${SERVER_PORT}`]);
    const macs = {
      destinationMac: await macOf(gateway.namespace, PROVIDER_NIC),
      sourceMac: await macOf(host, 'pa'),
    };
    return new BlockConnections(await RawLink.open(host, 'pa'), macs);
  }

  /**
   * Opens a connection from each domain's VM, and speaks when all of them stand. Rejects unless each VM gets its own answer,
   * and was seen under an address and a port of its domain's block, each under another one.
   */
  async run(domains: readonly BlockDomain[]): Promise<void> {
    const connections = new Map(domains.map((domain): [number, Connection] => [domain.vsid, { domain }]));
    const all = [...connections.values()];
    this.#port++;
    await this.#complete(connections, 'accepted', ({ domain, acknowledgement }) =>
      acknowledgement === undefined
        ? this.#send(domain, segment(this.#port, SYN, FIRST_SEQUENCE, 0))
        : undefined,
    );
    await this.#complete(connections, 'answered', ({ domain, acknowledgement = 0, answer }) =>
      answer === undefined
        ? this.#send(domain, segment(this.#port, PSH | ACK, SEQUENCE, acknowledgement, `${domain.rdid}\n`))
        : undefined,
    );
    for (const { domain } of all)
      await this.#send(domain, segment(this.#port, RST, SEQUENCE + domain.rdid.length + 1, 0));
    const seen = new Set<string>();
    for (const { domain, answer } of all) {
      if (answer === undefined) continue;
      const { rdid, block } = domain;
      const { said, address, port } = answer;
      if (said !== rdid) throw new Error(`the VM of ${rdid} was told what that of ${said} had said`);
      if (address !== block.ipAddress || port < block.portStart || port > block.portEnd)
        throw new Error(`${rdid} was seen as ${address}:${port}`);
      seen.add(`${address}:${port}`);
    }
    if (seen.size < all.length) throw new Error('two domains were seen under one address and port');
  }

  /** Sends what is missing until nothing is, round by round. */
  async #complete(
    connections: ReadonlyMap<number, Connection>,
    state: 'accepted' | 'answered',
    next: (connection: Connection) => Promise<void> | undefined,
  ): Promise<void> {
    const key = state === 'accepted' ? 'acknowledgement' : 'answer';
    const missing = (): number => [...connections.values()].filter((each) => each[key] === undefined).length;
    for (let round = 0; round < ROUNDS && missing() > 0; round++) {
      let sent = 0;
      for (const connection of connections.values()) {
        await next(connection);
        if (++sent % BURST === 0) await delay(PAUSE_MS);
      }
      const end = performance.now() + ROUND_MS;
      await until('the round is over', 2 * ROUND_MS, async () => {
        await this.#take(connections);
        return missing() === 0 || performance.now() > end;
      });
    }
    if (missing() > 0) throw new Error(`${missing()} of ${connections.size} connections were not ${state}`);
  }

  async #send({ gatewayVsid, gatewayMac }: BlockDomain, inner: Buffer): Promise<void> {
    const addresses = { from: HOSTS[0] ?? '', to: GATEWAY_ADDRESS, vsid: gatewayVsid, inner };
    await this.#link.send(
      nvgreFrame({ ...this.#macs, ...addresses, innerDestinationMac: gatewayMac, innerSourceMac: VM.mac }),
    );
  }

  async #take(connections: ReadonlyMap<number, Connection>): Promise<void> {
    for (const frame of this.#link.received.splice(0)) {
      const nvgre = readNvgre(frame);
      if (nvgre?.innerDestinationMac !== VM.mac || nvgre.inner[9] !== TCP) continue;
      const connection = connections.get(nvgre.vsid);
      if (connection === undefined) continue;
      const tcp = nvgre.inner.subarray(20, nvgre.inner.readUInt16BE(2));
      // What an earlier connection still says is none of this one's.
      if (tcp.readUInt16BE(2) !== this.#port) continue;
      const flags = tcp.readUInt8(13);
      if ((flags & RST) !== 0) throw new Error(`the server refused ${connection.domain.rdid}`);
      if ((flags & SYN) !== 0) {
        connection.acknowledgement = (tcp.readUInt32BE(4) + 1) >>> 0;
        await this.#send(connection.domain, segment(this.#port, ACK, SEQUENCE, connection.acknowledgement));
      }
      const data = tcp.toString('utf8', (tcp.readUInt8(12) >> 4) * 4);
      if (data !== '') connection.answer = JSON.parse(data) as EchoAnswer;
    }
  }
}
