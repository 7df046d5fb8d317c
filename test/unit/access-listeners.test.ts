import { spawnSync } from 'node:child_process';
import { existsSync, statSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { connect, createServer } from 'node:net';
import { join } from 'node:path';
import t from 'tap';
import { buildApp } from '../../src/api/app.ts';
import { openListeners } from '../../src/api/listeners.ts';
import { openStore } from '../../src/store/sqlite.ts';
import { StandInOperations } from './api-server.ts';
import { ask, folder, runGuarded, type Test } from './guarded-api.ts';
import { capacity, storePath } from './store-folder.ts';

async function app(t: Test) {
  const store = await openStore({ path: storePath(t), capacity });
  const made = buildApp({ store, operations: new StandInOperations(store), version: '0.1.0' });
  t.teardown(async () => {
    await made.close();
    await store.close();
  });
  return made;
}

/** Sends the bytes and resolves with all that comes back when the other side closes. */
function exchange(port: number, bytes: string): Promise<string> {
  return new Promise((resolve, reject) => {
    let heard = '';
    const socket = connect(port, '127.0.0.1', () => socket.write(bytes));
    socket.on('data', (chunk) => {
      heard += chunk;
    });
    socket.on('error', reject);
    socket.on('close', () => resolve(heard));
  });
}

t.test('only root can open the socket, from the moment that it is there', async (t) => {
  const dir = folder(t);
  const path = join(dir, 'run', 'node', 'api.sock');
  const before = process.umask(0);
  t.teardown(() => process.umask(before));
  const made = await app(t);
  const seen: number[] = [];
  const opening = openListeners(made, [{ path }]);
  const look = setInterval(() => existsSync(path) && seen.push(statSync(path).mode & 0o777), 0);
  await opening;
  clearInterval(look);
  t.ok(seen.every((mode) => mode === 0o600));
  t.equal(statSync(path).mode & 0o777, 0o600);
  t.equal(statSync(join(dir, 'run')).mode & 0o777, 0o755);
  t.equal(process.umask(0), 0, 'the mask is as before');
  await made.close();
  t.notOk(existsSync(path), 'it goes when the node stops');
});

t.test(
  'a socket that a killed node has left is replaced; one that is in use or no socket is not',
  async (t) => {
    const dir = folder(t);
    const path = join(dir, 'api.sock');
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(path, resolve));
    await t.rejects(openListeners(await app(t), [{ path }]), {
      code: 'HNV_CONFIG',
      message: /^api\.listen\.0 is unix:\/.*another process listens on this socket/,
    });
    t.ok(server.listening);
    await new Promise((resolve) => server.close(resolve));

    // What is left of a process that was killed: a socket file that nobody listens on.
    const code = `require('net').createServer().listen(${JSON.stringify(path)}, () => process.kill(process.pid, 'SIGKILL'))`;
    spawnSync(process.execPath, ['-e', code]);
    t.ok(statSync(path).isSocket());
    await openListeners(await app(t), [{ path }]);
    t.equal((await ask({ socketPath: path }, { path: '/healthz' })).status, 200);

    const file = join(dir, 'file');
    writeFileSync(file, 'mine');
    await t.rejects(openListeners(await app(t), [{ path: file }]), { message: /no socket/ });
    t.ok(existsSync(file));
  },
);

t.test('an address that cannot be had is named, and what was opened is closed', async (t) => {
  const dir = folder(t);
  const path = join(dir, 'api.sock');
  const taken = createServer();
  await new Promise<void>((resolve) => taken.listen(0, '127.0.0.1', resolve));
  t.teardown(() => taken.close());
  const { port } = taken.address() as { port: number };
  await t.rejects(openListeners(await app(t), [{ path }, { host: '127.0.0.1', port }]), {
    code: 'HNV_CONFIG',
    message: new RegExp(
      `^api\\.listen\\.1 is 127\\.0\\.0\\.1:${port}, where the API cannot listen: .*EADDRINUSE`,
    ),
    pointer: '/api/listen/1',
  });
  t.notOk(existsSync(path));
});

t.test('stopping ends streams of events and lets answers that are under way go out', async (t) => {
  const api = await runGuarded(t);
  const ended = new Promise<void>((resolve) => {
    request({ socketPath: api.socketPath, path: '/v1/events', agent: false }, (incoming) => {
      incoming.resume();
      incoming.on('close', () => resolve());
      opened();
    })
      .on('error', () => resolve())
      .end();
  });
  const { promise: open, resolve: opened } = Promise.withResolvers<void>();
  await open;
  await api.app.close();
  await ended;
  t.ok(api.servers.every((server) => !server.listening));
});

t.test('a client that takes its time with its request is not waited for', async (t) => {
  const limits = { headersMs: 150, requestMs: 400, connections: 10 };
  const api = await runGuarded(t, { limits });
  t.match(await exchange(api.port, ''), /^HTTP\/1\.1 408 /, 'nothing at all');
  t.match(await exchange(api.port, 'GET /healthz HTTP/1.1\r\nHost: x\r\nX-Slow: '), /^HTTP\/1\.1 408 /);
  const token = await api.token('portal', 'operator');
  const head = `PUT /v1/provider-addresses/192.0.2.1 HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nAuthorization: Bearer ${token}\r\nContent-Length: 100\r\n\r\n{"`;
  t.match(await exchange(api.port, head), /^HTTP\/1\.1 408 /);
  t.equal((await ask({ host: '127.0.0.1', port: api.port }, { path: '/healthz' })).status, 200);
});

t.test('a port takes so many connections, headers so long, and bodies so large', async (t) => {
  const limits = { headersMs: 5_000, requestMs: 5_000, connections: 3 };
  const api = await runGuarded(t, { limits });
  const to = { host: '127.0.0.1', port: api.port };
  const open = await Promise.all(
    [1, 2, 3].map(
      () =>
        new Promise<ReturnType<typeof connect>>((resolve) => {
          const socket = connect(api.port, '127.0.0.1', () => resolve(socket));
        }),
    ),
  );
  await t.rejects(ask(to, { path: '/healthz' }), 'the fourth is closed at once');
  t.equal((await ask({ socketPath: api.socketPath }, { path: '/healthz' })).status, 200, 'root gets in');
  for (const socket of open) socket.destroy();
  const token = await api.token('portal', 'operator');
  const long = { path: '/healthz', headers: { 'x-long': 'x'.repeat(20_000) } };
  const unix = { socketPath: api.socketPath };
  t.match(await ask(unix, long), { status: 431, body: { status: 431, code: 'HNV_BAD_REQUEST' } });
  t.match(
    await exchange(api.port, 'BREW /pot\r\n\r\n'),
    /^HTTP\/1\.1 400 [\s\S]*\{"type":"\/errors\/HNV_BAD_REQUEST"/,
  );
  const body = { name: 'x'.repeat(1024 * 1024) };
  const path = '/v1/routing-domains/11111111-0000-0000-0000-00000000000a';
  t.match(await ask(unix, { method: 'PUT', path, body, token }), {
    status: 413,
    body: { code: 'HNV_TOO_LARGE' },
  });
});
