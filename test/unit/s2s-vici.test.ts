/** VICI: messages as bytes and back, and a client against a daemon that is played here. */
import { deepStrictEqual } from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { mock } from 'node:test';
import fc from 'fast-check';
import t, { type Test } from 'tap';
import { ViciClient } from '../../src/s2s/vici-client.ts';
import {
  decodeMessage,
  encodeMessage,
  encodeName,
  type ViciInput,
  type ViciMessage,
} from '../../src/s2s/vici-message.ts';

const name = fc
  .string({ unit: 'grapheme', minLength: 1, maxLength: 60 })
  .filter((text) => Buffer.byteLength(text) <= 255);
const value = fc.string({ unit: 'grapheme', maxLength: 200 });
const { message: messages } = fc.letrec<{ message: ViciMessage }>((tie) => ({
  message: fc.dictionary(
    name,
    fc.oneof(
      { depthSize: 'small', withCrossShrink: true },
      value,
      fc.array(value, { maxLength: 5 }),
      tie('message'),
    ),
    { maxKeys: 6, noNullPrototype: false },
  ),
}));

const malformed = { code: 'HNV_SITE', message: /^A message of the IKE daemon / };

t.test('what is encoded comes back', async () => {
  fc.assert(
    fc.property(messages, (message) => {
      deepStrictEqual(plain(decodeMessage(encodeMessage(message))), plain(message));
    }),
  );
});

t.test('any bytes are a message or an error of ours', async () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 100 }), (bytes) => {
      try {
        decodeMessage(bytes);
      } catch (error) {
        t.match(error, malformed);
      }
    }),
  );
});

t.test('a message that is cut anywhere but between elements is an error', async (t) => {
  const whole = encodeMessage({ section: { list: ['one', 'two'] } });
  for (let length = 1; length < whole.length; length++)
    t.throws(() => decodeMessage(whole.subarray(0, length)), malformed, `${length} bytes`);
});

t.test('what strongSwan documents as an example is encoded as there', async (t) => {
  const bytes = encodeMessage({
    key1: 'value1',
    section1: { 'sub-section': { key2: 'value2' }, list1: ['item1', 'item2'] },
  });
  t.equal(
    bytes.toString('latin1'),
    [
      '\x03\x04key1\x00\x06value1',
      '\x01\x08section1',
      '\x01\x0bsub-section\x03\x04key2\x00\x06value2\x02',
      '\x04\x05list1\x05\x00\x05item1\x05\x00\x05item2\x06',
      '\x02',
    ].join(''),
  );
});

t.test('numbers, truth and bytes are sent as strongSwan reads them; what is undefined is not', async (t) => {
  const input: ViciInput = { n: 47, yes: true, no: false, bytes: Uint8Array.of(1, 2), none: undefined };
  t.strictSame(plain(decodeMessage(encodeMessage(input))), {
    n: '47',
    yes: 'yes',
    no: 'no',
    bytes: '\x01\x02',
  });
});

t.test('names are names, whatever they mean to JavaScript', async (t) => {
  const decoded = decodeMessage(encodeMessage({ ['__proto__']: { toString: 'x' } }));
  t.strictSame(Object.keys(decoded), ['__proto__']);
  t.equal(({} as Record<string, unknown>).x, undefined);
});

t.test('bounds', async (t) => {
  t.equal(encodeMessage({ k: 'x'.repeat(65_535) }).length, 65_535 + 5);
  const secret = 'geheim'.repeat(11_000);
  t.throws(() => encodeMessage({ data: secret }), {
    code: 'HNV_SITE',
    message: 'The value of data has 66000 bytes; the IKE daemon takes 65535.',
  });
  t.throws(() => encodeMessage({ ['n'.repeat(256)]: '' }), { code: 'HNV_SITE', message: /256 bytes/ });
  t.throws(() => encodeMessage({ '': '' }), { code: 'HNV_SITE' });
  const deep = Buffer.concat(Array.from({ length: 40 }, () => Buffer.from([1, 1, 0x61])));
  t.throws(() => decodeMessage(deep), { ...malformed, message: /deep/ });
});

t.test('elements out of place are errors', async (t) => {
  t.throws(() => decodeMessage(Buffer.of(2)), { message: /ends a section/ });
  t.throws(() => decodeMessage(Buffer.of(5, 0, 0)), { message: /type 5/ });
  t.throws(() => decodeMessage(Buffer.of(4, 1, 0x61, 3, 1, 0x61, 0, 0, 6)), {
    message: /type 3 within a list/,
  });
  t.throws(() => decodeMessage(Buffer.of(9)), { message: /type 9/ });
});

t.test('a client', async (t) => {
  await t.test('gets the replies in order, though they come in pieces and together', async (t) => {
    const { client, daemon } = await pair(t);
    const answers = ['one', 'two', 'three'].map((which) => client.command(which));
    const asked = [await daemon.next(), await daemon.next(), await daemon.next()];
    t.strictSame(
      asked.map(({ type, name }) => [type, name]),
      [
        [0, 'one'],
        [0, 'two'],
        [0, 'three'],
      ],
    );
    const bytes = Buffer.concat(['1', '2', '3'].map((n) => reply({ n, filler: 'x'.repeat(60_000) })));
    for (let at = 0; at < bytes.length; at += 7777) daemon.socket.write(bytes.subarray(at, at + 7777));
    t.strictSame(
      (await Promise.all(answers)).map(({ n }) => n),
      ['1', '2', '3'],
    );
  });

  await t.test('is told why a command has failed, or that there is none such', async (t) => {
    const { client, daemon } = await pair(t);
    const refused = client.command('load-conn', { a: {} });
    t.strictSame(plain((await daemon.next()).message), { a: {} });
    daemon.socket.write(reply({ success: 'no', errmsg: 'invalid value' }));
    await t.rejects(refused, {
      code: 'HNV_SITE',
      message: 'The IKE daemon refuses load-conn: invalid value',
    });
    const unknown = client.command('quark');
    daemon.socket.write(packet(Buffer.of(2)));
    await t.rejects(unknown, { code: 'HNV_SITE', message: /does not know quark/ });
    const event = client.subscribe('quark', () => t.fail());
    daemon.socket.write(packet(Buffer.of(6)));
    await t.rejects(event, { code: 'HNV_SITE', message: /does not know quark/ });
  });

  await t.test('hands events to who listens, and lists to who asks', async (t) => {
    const { client, daemon } = await pair(t);
    const heard: unknown[] = [];
    const subscribed = client.subscribe('log', ({ msg }) => heard.push(msg));
    t.match(await daemon.next(), { type: 3, name: 'log' });
    daemon.socket.write(packet(Buffer.of(5)));
    await subscribed;
    const lists = [client.list('list-sas', 'list-sa', { ike: 'a' }), client.list('list-sas', 'list-sa')];
    t.match(await daemon.next(), { type: 3, name: 'list-sa' });
    daemon.socket.write(packet(Buffer.of(5)));
    t.match(await daemon.next(), { type: 0, name: 'list-sas', message: { ike: 'a' } });
    t.match(await daemon.next(), { type: 0, name: 'list-sas' });
    daemon.socket.write(
      Buffer.concat([
        event('list-sa', { n: '1' }),
        event('log', { msg: 'hello' }),
        event('list-sa', { n: '2' }),
        reply({}),
        event('nobody', {}),
        event('list-sa', { n: '3' }),
        reply({}),
      ]),
    );
    t.strictSame(
      (await Promise.all(lists)).map((items) => items.map(({ n }) => n)),
      [['1', '2'], ['3']],
    );
    t.strictSame(heard, ['hello']);
  });

  await t.test('knows that the daemon has gone', async (t) => {
    const { client, daemon } = await pair(t);
    const waiting: Promise<unknown>[] = [client.command('one'), client.list('list-sas', 'list-sa')];
    await daemon.next();
    daemon.socket.destroy();
    for (const one of waiting)
      await t.rejects(one, { code: 'HNV_SITE', message: /has ended the connection/ });
    await client.closed;
    t.equal(client.isClosed, true);
    await t.rejects(client.command('two'), { code: 'HNV_SITE' });
  });

  await t.test('ends with what waits when it is closed', async (t) => {
    const { client } = await pair(t);
    const waiting = client.command('one');
    client.close();
    await t.rejects(waiting, { code: 'HNV_SITE', message: /was closed/ });
    await client.closed;
  });

  await t.test('does not go on with a daemon that talks nonsense', async (t) => {
    for (const nonsense of [
      packet(Buffer.of(1, 9)), // a reply that is no message
      packet(Buffer.of(77)),
      Buffer.of(0, 8, 0, 1), // 512 KiB and a byte to come
      Buffer.alloc(4),
    ]) {
      const { client, daemon } = await pair(t);
      const waiting = client.command('one');
      daemon.socket.write(nonsense);
      await t.rejects(waiting, { code: 'HNV_SITE' });
      await client.closed;
    }
    const { client, daemon } = await pair(t);
    daemon.socket.write(reply({})); // nobody has asked
    await client.closed;
  });

  await t.test('does not send what is too long', async (t) => {
    const { client } = await pair(t);
    const list = Array.from({ length: 9 }, () => 'x'.repeat(65_000));
    await t.rejects(client.command('one', { list }), { code: 'HNV_SITE', message: /takes 524288/ });
    t.equal(client.isClosed, false);
  });

  await t.test('gives up a daemon that does not answer', async (t) => {
    const { client, daemon } = await pair(t);
    mock.timers.enable({ apis: ['setTimeout'] });
    t.teardown(() => mock.timers.reset());
    const waiting = client.command('one');
    await daemon.next();
    mock.timers.tick(9_999);
    t.equal(client.isClosed, false);
    mock.timers.tick(1);
    await t.rejects(waiting, { code: 'HNV_SITE', message: /has not answered one within 10 s/ });
    await client.closed;
  });

  await t.test('says where nobody listens', async (t) => {
    await t.rejects(ViciClient.connect('/nowhere/charon.vici'), {
      code: 'HNV_SITE',
      message: 'No IKE daemon listens on /nowhere/charon.vici.',
    });
  });
});

/** Without the missing prototypes, which strictSame would tell apart. */
function plain(message: ViciMessage): unknown {
  return JSON.parse(JSON.stringify(message));
}

function packet(content: Uint8Array): Buffer {
  const length = Buffer.alloc(4);
  length.writeUInt32BE(content.length);
  return Buffer.concat([length, content]);
}

const reply = (message: ViciInput): Buffer => packet(Buffer.concat([Buffer.of(1), encodeMessage(message)]));

const event = (name: string, message: ViciInput): Buffer =>
  packet(Buffer.concat([Buffer.of(7), encodeName(name), encodeMessage(message)]));

interface Asked {
  type: number;
  name: string;
  message: ViciMessage;
}

/** The daemon's side of a connection. */
class Daemon {
  readonly socket: Socket;
  readonly #asked: Asked[] = [];
  #waiter: (() => void) | undefined;
  #rest = Buffer.alloc(0);

  constructor(socket: Socket) {
    this.socket = socket;
    socket.on('data', (bytes) => {
      this.#rest = Buffer.concat([this.#rest, bytes]);
      while (this.#rest.length >= 4 && this.#rest.length >= 4 + this.#rest.readUInt32BE()) {
        const end = 4 + this.#rest.readUInt32BE();
        const nameEnd = 6 + (this.#rest[5] ?? 0);
        this.#asked.push({
          type: this.#rest[4] ?? -1,
          name: this.#rest.toString('utf8', 6, nameEnd),
          message: decodeMessage(this.#rest.subarray(nameEnd, end)),
        });
        this.#rest = this.#rest.subarray(end);
      }
      this.#waiter?.();
    });
  }

  async next(): Promise<Asked> {
    for (;;) {
      const asked = this.#asked.shift();
      if (asked !== undefined) return asked;
      await new Promise<void>((resolve) => {
        this.#waiter = resolve;
      });
    }
  }
}

async function pair(t: Test): Promise<{ client: ViciClient; daemon: Daemon }> {
  const folder = mkdtempSync(join(tmpdir(), 'hnvgw-vici-'));
  const path = join(folder, 'socket');
  const server = createServer();
  const daemon = new Promise<Daemon>((resolve) => {
    server.once('connection', (socket) => resolve(new Daemon(socket)));
  });
  await new Promise<void>((resolve) => {
    server.listen(path, resolve);
  });
  const client = await ViciClient.connect(path);
  t.teardown(async () => {
    client.close();
    (await daemon).socket.destroy();
    server.close();
    rmSync(folder, { recursive: true });
  });
  return { client, daemon: await daemon };
}
