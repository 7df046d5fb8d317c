/**
 * A program for a lab's namespaces: gets what transfer-server serves, at most so many bytes a second. Arguments: URL,
 * bytes per second. Says `received BYTES` now and then, and `finished JSON` (TransferResult) at the end. A line on standard
 * input lifts the limit.
 */
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { get, type IncomingMessage } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';

const [url = '', rate = ''] = process.argv.slice(2);
let bytesPerSecond = Number(rate);
process.stdin.once('data', () => {
  bytesPerSecond = Number.POSITIVE_INFINITY;
});

const request = get(url, { agent: false });
const [response] = (await once(request, 'response')) as [IncomingMessage];
const hash = createHash('sha256');
const begin = performance.now();
let bytes = 0;
let longestSilence = 0;
let asked = begin;
for await (const chunk of response) {
  longestSilence = Math.max(longestSilence, performance.now() - asked);
  hash.update(chunk);
  bytes += chunk.length;
  process.stdout.write(`received ${bytes}\n`);
  const ahead = (bytes / bytesPerSecond) * 1000 - (performance.now() - begin);
  if (ahead > 0) await delay(ahead);
  asked = performance.now();
}
const intact = hash.digest('hex') === response.headers['x-sha256'];
process.stdout.write(
  `finished ${JSON.stringify({ bytes, intact, longestSilence: Math.round(longestSilence) })}\n`,
);
process.stdin.destroy();
