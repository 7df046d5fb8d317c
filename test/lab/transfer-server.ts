/**
 * A program for a lab's namespaces: an HTTP server for large transfers. GET answers with `BYTES` random bytes and tells
 * their SHA-256 in the header `x-sha256`; PUT answers with the SHA-256 of what it got. Arguments: address, port, BYTES.
 */
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';

const [address = '', port = '', bytes = ''] = process.argv.slice(2);
const body = randomBytes(Number(bytes));
const digest = createHash('sha256').update(body).digest('hex');

const server = createServer(async (request, response) => {
  if (request.method === 'GET') {
    response.writeHead(200, { 'x-sha256': digest, connection: 'close' }).end(body);
    return;
  }
  const hash = createHash('sha256');
  for await (const chunk of request) hash.update(chunk);
  response.writeHead(200, { connection: 'close' }).end(hash.digest('hex'));
});
server.listen(Number(port), address);
await once(server, 'listening');
process.stdout.write('listening\n');
