/** Copies the store of a running node to a file. */
import { createWriteStream } from 'node:fs';
import { rename, rm } from 'node:fs/promises';
import type { IncomingMessage } from 'node:http';
import { pipeline } from 'node:stream/promises';
import { HnvError } from '../../errors.ts';
import { withApi } from '../api.ts';
import { command } from '../command.ts';
import { harmless } from '../harmless.ts';
import { connectionOptions } from '../server.ts';

/** Copying a large store takes the node a while before the first byte. */
const SILENCE_MS = 600_000;

export default command({
  name: 'backup',
  summary: 'copy the store of a running node to a file',
  about: [
    'A consistent copy of the whole store, taken while the node works: the desired state, the tokens (as hashes), and the audit ' +
      'log. The file is readable for its owner alone, and replaces one of that name only when it is complete. For administrators.',
    'Secrets of site connections and BGP peers are in it sealed. The key to them is a file beside the store (store.db.key), and belongs to a ' +
      'full backup: copy it once, and keep it elsewhere.',
  ],
  arguments: {},
  options: {
    output: {
      type: 'string',
      short: 'o',
      value: 'FILE',
      required: true,
      complete: 'file',
      summary: 'the file to write',
    },
    ...connectionOptions,
  },
  examples: [{ what: 'of the node of this machine', line: 'hnvgw backup -o hnvgw-backup.db' }],
  seeAlso: ['hnvgw restore', 'hnvgw get policy'],
  run: ({ options }) =>
    withApi(options, async (api) => {
      const answer = await api.stream('GET', '/v1/backup', { silenceMs: SILENCE_MS });
      const bytes = await save(answer, options.output);
      process.stderr.write(harmless(`${options.output}: ${bytes} bytes`).concat('\n'));
      return undefined;
    }),
});

async function save(answer: IncomingMessage, file: string): Promise<number> {
  const part = `${file}.part`;
  const expected = Number(answer.headers['content-length']);
  try {
    await rm(part, { force: true });
    const written = createWriteStream(part, { mode: 0o600, flags: 'wx', flush: true });
    await pipeline(answer, written);
    if (written.bytesWritten !== expected)
      throw new Error(`${written.bytesWritten} of ${expected} bytes have come`);
    await rename(part, file);
    return expected;
  } catch (error) {
    await rm(part, { force: true });
    const reason = error instanceof Error ? error.message : String(error);
    throw new HnvError('HNV_NO_ANSWER', `The backup was not written: ${reason}.`, { cause: error });
  }
}
