/**
 * A program for a lab's namespaces: a web server that answers every request with who it is and whom it sees.
 * Arguments: its name, then each `address:port` to listen on. Says `listening` when all of them are open.
 */
import { once } from 'node:events';
import { createServer } from 'node:http';
import { readEndpoint } from './endpoint.ts';

const [name = '', ...endpoints] = process.argv.slice(2);

for (const endpoint of endpoints) {
  const { address, port } = readEndpoint(`tcp:${endpoint}`);
  const server = createServer((request, response) => {
    const body = JSON.stringify({ server: name, yourAddress: request.socket.remoteAddress });
    response.writeHead(200, { 'content-type': 'application/json', connection: 'close' }).end(`${body}\n`);
  });
  server.listen(port, address);
  await once(server, 'listening');
}
process.stdout.write('listening\n');
