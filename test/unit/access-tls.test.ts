import { writeFileSync } from 'node:fs';
import { Agent, request } from 'node:https';
import { join } from 'node:path';
import { connect, type TLSSocket } from 'node:tls';
import { pino } from 'pino';
import t from 'tap';
import { Certificate } from '../../src/api/certificate.ts';
import { makePair, replaceFile } from '../lab/certificates.ts';
import { until } from '../lab/until.ts';
import { ask, folder, runGuarded, type Test } from './guarded-api.ts';

const silent = pino({ level: 'silent' });
const LOOK_MS = 20;

/** A node with a certificate, and another pair to change to. */
async function start(t: Test) {
  const dir = folder(t);
  const first = makePair(dir, 'first');
  const second = makePair(dir, 'second');
  const files = { certificateFile: join(dir, 'api.crt'), keyFile: join(dir, 'api.key') };
  replaceFile(files.certificateFile, first.cert);
  replaceFile(files.keyFile, first.key);
  const certificate = new Certificate(files, silent, LOOK_MS);
  t.teardown(() => certificate.close());
  const api = await runGuarded(t, { certificate });
  return { api, files, first, second, certificate, to: { host: '127.0.0.1', port: api.port } };
}

/** Name in the certificate that the port shows now. */
function shown(port: number): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: '127.0.0.1', port, rejectUnauthorized: false }, () => {
      resolve(`${socket.getPeerCertificate().subject.CN}`);
      socket.destroy();
    });
    socket.on('error', reject);
  });
}

t.test('a port speaks TLS 1.2 or later and nothing else, and the unix socket needs none', async (t) => {
  const { api, first, second, to } = await start(t);
  const token = await api.token('portal', 'operator');
  const answer = await ask({ ...to, ca: first.cert }, { path: '/v1/status', token });
  t.equal(answer.status, 200);
  t.equal((await ask({ socketPath: api.socketPath }, { path: '/v1/status' })).status, 200);
  await t.rejects(ask({ ...to, ca: second.cert }, { path: '/healthz' }), /self-signed/);
  await t.rejects(ask(to, { path: '/healthz' }), 'plain HTTP');
  const version = (maxVersion: 'TLSv1.1' | 'TLSv1.2' | 'TLSv1.3') =>
    new Promise<string | null>((resolve, reject) => {
      const old = { minVersion: 'TLSv1' as const, ciphers: 'DEFAULT@SECLEVEL=0' };
      const socket: TLSSocket = connect({ ...to, ...old, maxVersion, rejectUnauthorized: false }, () => {
        resolve(socket.getProtocol());
        socket.destroy();
      });
      socket.on('error', reject);
    });
  t.equal(await version('TLSv1.3'), 'TLSv1.3');
  t.equal(await version('TLSv1.2'), 'TLSv1.2');
  await t.rejects(version('TLSv1.1'), /protocol version/);
});

t.test('a new certificate is used from the next connection on, and open ones go on', async (t) => {
  const { api, files, first, second, to } = await start(t);
  const token = await api.token('portal', 'operator');
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  t.teardown(() => agent.destroy());
  const onOpen = () =>
    new Promise<{ status: number | undefined; reused: boolean }>((resolve, reject) => {
      const headers = { authorization: `Bearer ${token}` };
      const outgoing = request({ ...to, ca: first.cert, agent, path: '/v1/status', headers }, (incoming) => {
        incoming
          .resume()
          .on('end', () => resolve({ status: incoming.statusCode, reused: outgoing.reusedSocket }));
      });
      outgoing.on('error', reject).end();
    });
  t.same(await onOpen(), { status: 200, reused: false });
  replaceFile(files.certificateFile, second.cert);
  replaceFile(files.keyFile, second.key);
  await until('the new certificate is shown', 10_000, async () => (await shown(api.port)) === 'second');
  t.same(await onOpen(), { status: 200, reused: true });
  t.equal((await ask({ ...to, ca: second.cert }, { path: '/v1/status', token })).status, 200);
});

t.test('a pair that cannot be used leaves the old one in place and is told until it is right', async (t) => {
  const { api, files, second, certificate } = await start(t);
  t.equal(certificate.warning, undefined);
  replaceFile(files.certificateFile, second.cert);
  await until('the wrong pair was seen', 10_000, () => certificate.warning !== undefined);
  t.match(
    certificate.warning,
    /whose key is not that of the certificate.*goes on with the certificate that it had/,
  );
  t.equal(await shown(api.port), 'first');
  replaceFile(files.certificateFile, 'half a certif');
  await until('the broken file was seen', 10_000, () => /no certificate/.test(certificate.warning ?? ''));
  t.equal(await shown(api.port), 'first');
  replaceFile(files.certificateFile, second.cert);
  replaceFile(files.keyFile, second.key);
  await until('the right pair was seen', 10_000, () => certificate.warning === undefined);
  t.equal(await shown(api.port), 'second');
});

t.test('a node does not start with files that cannot be used, and says which and why', async (t) => {
  const dir = folder(t);
  const first = makePair(dir, 'first');
  const second = makePair(dir, 'second');
  const files = { certificateFile: join(dir, 'api.crt'), keyFile: join(dir, 'api.key') };
  const open = () => new Certificate(files, silent).close();
  const refused = (message: RegExp, rule: string) => t.throws(open, { code: 'HNV_CONFIG', message, rule });
  refused(/^api\.tls\.certificateFile is \/.*api\.crt, which cannot be read: ENOENT/, 'tls-file');
  writeFileSync(files.certificateFile, first.cert);
  refused(/^api\.tls\.keyFile is \/.*api\.key, which cannot be read: ENOENT/, 'tls-file');
  writeFileSync(files.keyFile, first.cert);
  refused(/^api\.tls\.keyFile is .*has no private key in PEM/, 'tls-file');
  writeFileSync(files.keyFile, second.key);
  refused(/^api\.tls\.keyFile is .*whose key is not that of the certificate/, 'tls-pair');
  writeFileSync(files.keyFile, first.key);
  writeFileSync(files.certificateFile, first.key);
  refused(/^api\.tls\.certificateFile is .*has no certificate in PEM/, 'tls-file');
  writeFileSync(files.certificateFile, first.cert + second.cert);
  t.doesNotThrow(open, 'a chain');
});
