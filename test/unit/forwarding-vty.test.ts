/** The client of FRR's vty sockets, against a daemon that says what the test wants. */
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { mock } from 'node:test';
import t, { type Test } from 'tap';
import { Vty } from '../../src/forwarding/vty.ts';

const end = (status: number): Buffer => Buffer.of(0, 0, 0, status);

interface Daemon {
  socket: Socket;
  /** The next command. */
  next(): Promise<string>;
  /** Commands that have come and nobody has asked for. */
  waiting: string[];
  answer(text: string, status?: number): void;
}

/** A client, and the daemon's end of its connection. */
async function pair(t: Test): Promise<{ vty: Vty; daemon: Daemon }> {
  const folder = mkdtempSync(join(tmpdir(), 'hnvgw-vty-'));
  const path = join(folder, 'bgpd.vty');
  const server = createServer().listen(path);
  await once(server, 'listening');
  const connecting = Vty.connect(path);
  const [socket] = (await once(server, 'connection')) as [Socket];
  const waiting: string[] = [];
  const askers: ((line: string) => void)[] = [];
  let rest = '';
  socket.on('data', (bytes) => {
    const lines = (rest + bytes.toString()).split('\0');
    rest = lines.pop() ?? '';
    for (const line of lines) {
      const asker = askers.shift();
      if (asker === undefined) waiting.push(line);
      else asker(line);
    }
  });
  socket.on('error', () => undefined);
  const daemon: Daemon = {
    socket,
    waiting,
    next: async () => waiting.shift() ?? (await new Promise((resolve) => askers.push(resolve))),
    answer: (text, status = 0) => socket.write(Buffer.concat([Buffer.from(text), end(status)])),
  };
  t.equal(await daemon.next(), 'enable');
  daemon.answer('');
  const vty = await connecting;
  t.teardown(() => {
    vty.close();
    server.close();
    socket.destroy();
    rmSync(folder, { recursive: true });
  });
  return { vty, daemon };
}

t.test('commands go one after the other, and answers come whole in whatever pieces', async (t) => {
  const { vty, daemon } = await pair(t);
  const answers = [vty.command('one'), vty.command('two'), vty.show('three')];
  t.equal(await daemon.next(), 'one');
  const bytes = Buffer.concat([Buffer.from('Größe\n'), end(13)]);
  for (const byte of bytes) {
    t.same(daemon.waiting, []);
    daemon.socket.write(Buffer.of(byte));
    await new Promise((resolve) => setImmediate(resolve));
  }
  t.same(await answers[0], { text: 'Größe\n', status: 13 });
  t.equal(await daemon.next(), 'two');
  daemon.answer('x'.repeat(3_000_000));
  t.equal(((await answers[1]) as { text: string }).text.length, 3_000_000);
  t.equal(await daemon.next(), 'three');
  daemon.answer('');
  t.equal(await answers[2], '');
});

t.test('show is told why a daemon refuses', async (t) => {
  const { vty, daemon } = await pair(t);
  const refused = vty.show('show quark');
  await daemon.next();
  daemon.answer('% [BGP] Unknown command: show quark\n', 2);
  await t.rejects(refused, {
    code: 'HNV_BGP',
    message: "bgpd refuses 'show quark': % [BGP] Unknown command: show quark",
  });
});

t.test('a long answer is read at the pace of its reader', async (t) => {
  const { vty, daemon } = await pair(t);
  const pieces = vty.stream('show bgp json');
  const first = pieces.next();
  const next = vty.command('next');
  await daemon.next();
  const text = 'größer '.repeat(500_000);
  daemon.answer(text);
  let read = String((await first).value);
  t.ok(read.length < text.length / 2, 'not all at once');
  t.same(daemon.waiting, []);
  for await (const piece of pieces) read += piece;
  t.ok(read === text);
  t.equal(await daemon.next(), 'next');
  daemon.answer('');
  await next;
});

t.test('a reader may leave off, and what follows is not hindered', async (t) => {
  const { vty, daemon } = await pair(t);
  const leaving = (async () => {
    for await (const piece of vty.stream('show bgp json')) return piece.length;
    return 0;
  })();
  await daemon.next();
  daemon.answer('x'.repeat(3_000_000));
  t.ok((await leaving) > 0);
  const next = vty.show('next');
  t.equal(await daemon.next(), 'next');
  daemon.answer('here');
  t.equal(await next, 'here');
});

t.test('a refusal of what would be long is an error', async (t) => {
  const { vty, daemon } = await pair(t);
  const reading = (async () => {
    for await (const _ of vty.stream('show quark'));
  })();
  await daemon.next();
  daemon.answer('% no such', 2);
  await t.rejects(reading, { code: 'HNV_BGP', message: "bgpd refuses 'show quark': % no such" });
});

t.test('a command is one line, and no error shows it', async (t) => {
  const { vty, daemon } = await pair(t);
  for (const line of [' neighbor 192.0.2.1 password secret\n exit', 'secret\0', `secret${'x'.repeat(5000)}`])
    await t.rejects(vty.command(line), { code: 'HNV_BGP', message: /^(?!.*secret).* one line / });
  const waiting = [vty.command(' neighbor 192.0.2.1 password secret'), vty.command('two')];
  t.equal(await daemon.next(), ' neighbor 192.0.2.1 password secret');
  daemon.socket.destroy();
  for (const one of waiting)
    await t.rejects(one, { code: 'HNV_BGP', message: 'bgpd has ended the connection.' });
  await vty.closed;
  t.equal(vty.isClosed, true);
  await t.rejects(vty.show('three'), { code: 'HNV_BGP' });
});

t.test('a daemon that says nothing for 15 s loses the connection', async (t) => {
  mock.timers.enable({ apis: ['setTimeout'] });
  t.teardown(() => mock.timers.reset());
  const { vty, daemon } = await pair(t);
  const waiting = vty.command('one');
  await daemon.next();
  mock.timers.tick(14_999);
  t.equal(vty.isClosed, false);
  mock.timers.tick(1);
  await t.rejects(waiting, { code: 'HNV_BGP', message: 'bgpd has said nothing to a command for 15 s.' });
});

t.test('a daemon that talks nonsense loses the connection', async (t) => {
  for (const nonsense of [Buffer.of(0x61, 0, 0, 0x61, 0), Buffer.of(0, 0, 0, 0, 0x61)]) {
    const { vty, daemon } = await pair(t);
    const waiting = vty.command('one');
    await daemon.next();
    daemon.socket.write(nonsense);
    await t.rejects(waiting, { code: 'HNV_BGP', message: 'bgpd has given an answer without an end.' });
  }
  const { vty, daemon } = await pair(t);
  daemon.answer('unasked');
  await vty.closed;
  t.equal(vty.isClosed, true);
});

t.test('where nobody listens there is no connection', async (t) => {
  await t.rejects(Vty.connect('/nonexistent/bgpd.vty'), {
    code: 'HNV_BGP',
    message: 'No bgpd listens on /nonexistent/bgpd.vty.',
  });
});
