/** Which API a command talks to, and what it says when that does not work. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer as createHttp } from 'node:http';
import { createServer as createHttps } from 'node:https';
import { type AddressInfo, createServer as createTcp, type Server } from 'node:net';
import { join } from 'node:path';
import t from 'tap';
import { Api } from '../../src/cli/api.ts';
import { chooseServer } from '../../src/cli/server.ts';
import { runCliNode, testFolder } from './cli-node.ts';

const folder = testFolder(t);

async function listening(t: { teardown(done: () => unknown): void }, server: Server): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.teardown(() => server.close());
  return (server.address() as AddressInfo).port;
}

/** The message of what asking the server comes to. */
async function failure(server: string, more: object = {}): Promise<string> {
  const api = await Api.open({ server, ...more });
  try {
    await api.json('GET', '/v1/status', { silenceMs: 500 });
    return 'no failure';
  } catch (error) {
    return (error as Error).message;
  } finally {
    api.close();
  }
}

t.test('the server is the option, else the environment, else the one socket of the machine', async (t) => {
  const sockets = join(folder, 'run');
  const environment = { HNVGW_SERVER: 'http://127.0.0.1:8080' };
  t.equal(chooseServer({ server: 'unix:/a' }, environment, sockets).name, 'unix:/a');
  t.equal(chooseServer({}, environment, sockets).name, 'http://127.0.0.1:8080');
  t.throws(() => chooseServer({}, {}, sockets), {
    code: 'HNV_NO_ANSWER',
    message: /^No node runs on this machine: /,
  });
  mkdirSync(sockets);
  writeFileSync(join(sockets, 'hg.sock'), '');
  t.strictSame(chooseServer({}, {}, sockets).address, { socketPath: join(sockets, 'hg.sock') });
  writeFileSync(join(sockets, 'hh.sock'), '');
  t.throws(() => chooseServer({}, {}, sockets), {
    message: /several nodes .*--server: unix:.*hg\.sock, unix:.*hh\.sock$/,
  });
});

t.test('addresses are read with their ports', async (t) => {
  for (const [server, address] of [
    ['https://gw1.example.net', { host: 'gw1.example.net', port: 443, tls: true }],
    ['https://[2001:db8::1]:8443', { host: '2001:db8::1', port: 8443, tls: true }],
    ['http://[::1]:8080', { host: '::1', port: 8080, tls: false }],
  ] as const)
    t.strictSame(chooseServer({ server }, {}).address, address);
});

t.test('a token is a file or the environment, and goes readable to no other machine', async (t) => {
  const file = join(folder, 'token');
  writeFileSync(file, 'abc\n');
  t.equal(chooseServer({ server: 'https://gw1', 'token-file': file }, { HNVGW_TOKEN: 'x' }).token, 'abc');
  t.equal(chooseServer({ server: 'https://gw1' }, { HNVGW_TOKEN: 'x' }).token, 'x');
  t.throws(() => chooseServer({ server: 'http://192.0.2.1' }, { HNVGW_TOKEN: 'x' }), {
    message: /readable for all/,
  });
  writeFileSync(file, 'two words');
  t.throws(() => chooseServer({ server: 'https://gw1', 'token-file': file }, {}), { code: 'HNV_INPUT' });
  t.throws(() => chooseServer({ server: 'https://gw1', 'token-file': '/nix' }, {}), {
    code: 'HNV_INPUT',
    message: /ENOENT/,
  });
});

t.test('a node that does not run, or is something else, is told of', async (t) => {
  t.match(
    await failure('unix:/nix.sock'),
    /^unix:\/nix\.sock does not answer \(ENOENT\): nobody listens there/,
  );
  const gone = createTcp();
  const port = await listening(t, gone);
  await new Promise((resolve) => gone.close(resolve));
  t.match(
    await failure(`http://127.0.0.1:${port}`),
    /does not answer \(ECONNREFUSED\): nobody listens there/,
  );
  const silent = await listening(t, createTcp());
  t.match(
    await failure(`http://127.0.0.1:${silent}`),
    /\(ETIMEDOUT\): nothing came for 0\.5 s; is it the right address/,
  );
  const rude = await listening(
    t,
    createTcp((socket) => socket.destroy()),
  );
  t.match(await failure(`http://127.0.0.1:${rude}`), /\(ECONNRESET\): it broke off; does it want https:\/\//);
  const other = await listening(
    t,
    createHttp((_, answer) => answer.end('<html>')),
  );
  t.match(
    await failure(`http://127.0.0.1:${other}`),
    /^What answers at .* is no hnvgw: status 200, and no JSON\.$/,
  );
  t.match(await failure(`https://127.0.0.1:${other}`), /\(EPROTO\): it does not speak TLS/);
});

t.test('a certificate is trusted when its authority is, and only then', async (t) => {
  const [key, cert] = [join(folder, 'key.pem'), join(folder, 'cert.pem')];
  const subject = ['-subj', '/CN=gw1', '-addext', 'subjectAltName=IP:127.0.0.1', '-days', '5'];
  execFileSync(
    'openssl',
    [
      'req',
      '-x509',
      '-newkey',
      'ec',
      '-pkeyopt',
      'ec_paramgen_curve:P-256',
      '-nodes',
      '-keyout',
      key,
      '-out',
      cert,
      ...subject,
    ],
    { stdio: 'ignore' },
  );
  const { app } = await runCliNode(t);
  const tls = createHttps({ key: readFileSync(key), cert: readFileSync(cert) }, (request, answer) =>
    app.routing(request, answer),
  );
  const port = await listening(t, tls);
  const server = `https://127.0.0.1:${port}`;
  t.match(
    await failure(server),
    /\(DEPTH_ZERO_SELF_SIGNED_CERT\): its certificate is not trusted .*--ca-file\.$/,
  );
  t.match(
    await failure(server, { 'ca-file': cert }),
    /token.* Give a token with --token-file FILE or HNVGW_TOKEN/,
  );
  t.match(
    await failure(`https://localhost:${port}`, { 'ca-file': cert }),
    /the certificate is of another name/,
  );
  t.match(await failure(`http://127.0.0.1:${port}`), /does not answer|is no hnvgw/);

  const api = await Api.open({ server, 'ca-file': cert });
  t.teardown(() => api.close());
  const { checkNode } = await import('../../src/cli/doctor/node.ts');
  t.match(await checkNode(api), [
    { level: 'note', what: `The certificate of ${server} expires in 4 days.` },
    { level: 'wrong', what: /Give a token/ },
  ]);
});

t.test('a node that has too many requests is asked again when it says', async (t) => {
  let asked = 0;
  const busy = createHttp((_, answer) => {
    const isBusy = ++asked < 3;
    const problem = { status: 429, code: 'HNV_TOO_MANY_REQUESTS', detail: 'Later.' };
    answer.writeHead(isBusy ? 429 : 200, { 'content-type': 'application/json', 'retry-after': '0.01' });
    answer.end(JSON.stringify(isBusy ? problem : {}));
  });
  t.equal(await failure(`http://127.0.0.1:${await listening(t, busy)}`), 'no failure');
  t.equal(asked, 3);
});
