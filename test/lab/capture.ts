/**
 * Frames on an interface, recorded by tcpdump and decoded by tshark. Wireshark 4.0 has no NVGRE fields of its own: it
 * shows the key as `gre.key`, of which the upper 24 bits are the VSID and the lower 8 the FlowID (see keyParts), and
 * decodes the inner Ethernet frame after it. A field that occurs outside and inside (ip.src, eth.dst) has both values
 * in one column, outer first, with a comma between.
 */
import { join } from 'node:path';
import type { Lab } from './lab.ts';
import type { Namespace } from './namespace.ts';
import type { LabProcess } from './process.ts';
import { until } from './until.ts';

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

  /** Begins to record an interface; `filter` is a pcap filter. Later frames are in the file after stop(). */
  static async start(namespace: Namespace, nic: string, filter = ''): Promise<Capture> {
    const { lab } = namespace;
    const file = join(lab.dir, `capture-${namespace.name}-${nic}-${captures++}.pcap`);
    const options = [
      '-i',
      nic,
      '-n',
      '-U',
      '--immediate-mode',
      '-B',
      '16384',
      '-s',
      '0',
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
}

let captures = 0;

/** Decodes a capture file with tshark; see Capture.decode. */
export async function decode(
  lab: Lab,
  file: string,
  displayFilter: string,
  fields: readonly string[],
): Promise<string[][]> {
  const columns = fields.flatMap((field) => ['-e', field]);
  // No name resolution, no checks across packets: each frame is told as it is.
  const args = ['-n', '-r', file, '-Y', displayFilter, '-T', 'fields', '-E', 'separator=/t', ...columns];
  const { stdout } = await lab.runChecked('tshark', args, { timeoutMs: 60_000 });
  return stdout
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => line.split('\t'));
}

/** VSID and FlowID of a `gre.key` as tshark prints it. */
export function keyParts(key: string): { vsid: number; flowId: number } {
  const value = Number(key);
  return { vsid: Math.floor(value / 256), flowId: value % 256 };
}
