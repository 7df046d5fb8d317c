/**
 * Frames on an interface, recorded by tcpdump and decoded by tshark. Wireshark 4.0 has no NVGRE fields of its own: it
 * shows the key as `gre.key`, of which the upper 24 bits are the VSID and the lower 8 the FlowID (see keyParts), and
 * decodes the inner Ethernet frame after it. A field that occurs outside and inside (ip.src, eth.dst) has both values,
 * outer first: in `decode` in one column with a comma between, in `frames` as an array. `tunnels` tells them apart.
 */
import { join } from 'node:path';
import type { Lab } from './lab.ts';
import type { Namespace } from './namespace.ts';
import type { LabProcess } from './process.ts';
import { readTunnel, TUNNEL_FIELDS, type TunnelFrame } from './tunnel-frame.ts';
import { until } from './until.ts';

export { keyParts } from './tunnel-frame.ts';

export class Capture {
  readonly file: string;
  /** Frames that came too fast for the buffer and are not in the file; final after stop(). */
  dropped = 0;
  readonly #lab: Lab;
  readonly #tcpdump: LabProcess;

  private constructor(lab: Lab, file: string, tcpdump: LabProcess) {
    this.#lab = lab;
    this.file = file;
    this.#tcpdump = tcpdump;
  }

  /**
   * Begins to record an interface; `filter` is a pcap filter. Later frames are in the file after stop(). Of each frame all
   * is kept, or the first `headBytes`: then bursts of thousands fit into the buffer too.
   */
  static async start(namespace: Namespace, nic: string, filter = '', headBytes = 0): Promise<Capture> {
    const { lab } = namespace;
    const file = join(lab.dir, `capture-${namespace.name}-${nic}-${captures++}.pcap`);
    const options = [
      '-i',
      nic,
      '-n',
      '-U',
      '--immediate-mode',
      '-B',
      '32768',
      '-s',
      `${headBytes}`,
      '-Z',
      'root',
      '-w',
      file,
    ];
    const tcpdump = await namespace.spawn(['tcpdump', ...options, ...(filter === '' ? [] : [filter])]);
    await tcpdump.waitFor(/listening on/);
    return new Capture(lab, file, tcpdump);
  }

  /** Ends the recording once everything that the kernel had seen is in the file; answers the file. */
  async stop(): Promise<string> {
    await until('tcpdump has written what the kernel saw', 10_000, async () => {
      const before = this.#tcpdump.lines.length;
      this.#tcpdump.kill('SIGUSR1');
      const text = await until('tcpdump tells its counts', 5_000, () => {
        const lines = this.#tcpdump.lines.slice(before).join('\n');
        return /dropped by kernel/.test(lines) && lines;
      });
      const count = (what: string) => Number(new RegExp(`(\\d+) packets? ${what}`).exec(text)?.[1]);
      this.dropped = count('dropped by kernel');
      // What the filter received counts what was dropped after it.
      return count('captured') + this.dropped >= count('received by filter');
    });
    await this.#tcpdump.end('SIGINT');
    return this.file;
  }

  /** Decodes the file: one row for each frame that passes the display filter, one column for each field. */
  decode(displayFilter: string, fields: readonly string[]): Promise<string[][]> {
    return decode(this.#lab, this.file, displayFilter, fields);
  }

  /** The same with every occurrence of a field on its own; a field that a frame does not have is an empty array. */
  async frames<Field extends string>(
    displayFilter: string,
    fields: readonly Field[],
  ): Promise<Record<Field, string[]>[]> {
    const rows = await tsharkRows(this.#lab, this.file, displayFilter, fields, OCCURRENCES);
    return rows.map((row) => {
      const values = fields.map((field, index) => {
        const text = row[index] ?? '';
        return [field, text === '' ? [] : text.split(OCCURRENCES)] as const;
      });
      return Object.fromEntries(values) as Record<Field, string[]>;
    });
  }

  /** The NVGRE frames among those that pass the display filter. */
  async tunnels(displayFilter = 'gre'): Promise<TunnelFrame[]> {
    return (await this.frames(`gre && (${displayFilter})`, TUNNEL_FIELDS)).map(readTunnel);
  }
}

let captures = 0;

/** Between the occurrences of a field; no decoded value contains it. */
const OCCURRENCES = '|';

/** Decodes a capture file with tshark; see Capture.decode. */
export async function decode(
  lab: Lab,
  file: string,
  displayFilter: string,
  fields: readonly string[],
): Promise<string[][]> {
  const rows = await tsharkRows(lab, file, displayFilter, fields, ',');
  return rows.filter((row) => row.length > 1 || row[0] !== '');
}

async function tsharkRows(
  lab: Lab,
  file: string,
  displayFilter: string,
  fields: readonly string[],
  between: string,
): Promise<string[][]> {
  const columns = fields.flatMap((field) => ['-e', field]);
  const form = ['-T', 'fields', '-E', 'separator=/t', '-E', `aggregator=${between}`];
  // No name resolution, no checks across packets: each frame is told as it is.
  const args = ['-n', '-r', file, '-Y', displayFilter, ...form, ...columns];
  const { stdout } = await lab.runChecked('tshark', args, { timeoutMs: 60_000 });
  return stdout
    .split('\n')
    .slice(0, -1)
    .map((line) => line.split('\t'));
}
