/**
 * A program for a lab's namespaces: `ADDRESS` is where an FTP server listens (RFC 959; port 21, data from port 20), and what
 * it tells passive clients. Says `listening`.
 */
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { createInterface } from 'node:readline';

const [address = ''] = process.argv.slice(2);
const file = `file of ${address}`;

/** How the next file is carried: called back, or waited for. */
type Carrier = () => Promise<Socket>;

async function passive(): Promise<[string, Carrier]> {
  const server: Server = createServer();
  server.listen(0, address);
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const told = `${address.replaceAll('.', ',')},${port >> 8},${port & 0xff}`;
  const connection = once(server, 'connection') as Promise<[Socket]>;
  return [
    `227 Entering Passive Mode (${told}).`,
    async () => {
      const [socket] = await connection;
      server.close();
      return socket;
    },
  ];
}

function active(text: string): [string, Carrier] {
  const [a, b, c, d, high, low] = text.split(',').map(Number);
  const options = {
    host: `${a}.${b}.${c}.${d}`,
    port: (high ?? 0) * 256 + (low ?? 0),
    localAddress: address,
  };
  return ['200 PORT is taken.', () => Promise.resolve(connect(options))];
}

async function converse(control: Socket): Promise<void> {
  const say = (text: string): void => void control.write(`${text}\r\n`);
  let carrier: Carrier | undefined;
  control.on('error', () => control.destroy());
  say('220 A server of the lab.');
  for await (const line of createInterface({ input: control })) {
    const [verb = '', text = ''] = line.split(' ');
    if (verb === 'USER') say('331 Any password will do.');
    else if (verb === 'PASS') say('230 Welcome.');
    else if (verb === 'PWD') say('257 "/" is where you are.');
    else if (verb === 'PORT' || verb === 'PASV') {
      const [answer, next] = verb === 'PORT' ? active(text) : await passive();
      carrier = next;
      say(answer);
    } else if (verb === 'RETR' && carrier !== undefined) {
      say('150 Here it comes.');
      const data = await carrier();
      data.on('error', () => data.destroy());
      data.end(file, () => say('226 That was all.'));
    } else if (verb === 'QUIT') say('221 Goodbye.');
    else if (verb === 'SIZE') say(`213 ${file.length}`);
    else say(verb === 'TYPE' || verb === 'CWD' ? '200 As you like.' : '502 That is not known here.');
  }
}

const server = createServer((control) => void converse(control).catch(() => control.destroy()));
server.listen(21, address);
await once(server, 'listening');
process.stdout.write('listening\n');
