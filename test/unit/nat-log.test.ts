import {
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { parseGatewayConfig, parseHostConfig } from '../../src/config/config.ts';
import { ExternalLeases } from '../../src/gateway/external-leases.ts';
import { IPS, type Session } from '../../src/linux/conntrack-messages.ts';
import { LogFile } from '../../src/nat/log/log-file.ts';
import { NatLog } from '../../src/nat/log/nat-log.ts';
import { type Block, sessionEnd, sessionStart, timeText } from '../../src/nat/log/records.ts';
import { SessionBook } from '../../src/nat/log/session-book.ts';
import { until } from '../lab/until.ts';

const RDID = '11111111-1111-1111-1111-111111111111';
const NOW = Date.UTC(2026, 0, 2, 3, 4, 5);

const ends = (source: string, sourcePort: number, destination: string, destinationPort: number) => ({
  ...{ source, sourcePort, destination, destinationPort },
});
const session = (fields: Partial<Session> = {}): Session => ({
  ...{ protocol: 6, status: IPS.sourceNat, id: 1, timeout: 10, key: () => Buffer.alloc(0) },
  original: ends('10.1.1.11', 5000, '203.0.113.80', 443),
  reply: ends('203.0.113.80', 443, '198.51.100.101', 2001),
  ...fields,
});
const parsed = (lines: string) =>
  lines
    .split('\n')
    .slice(0, -1)
    .map((line) => JSON.parse(line) as Record<string, unknown>);
const events = (lines: string) => parsed(lines).map(({ event }) => event);

function folder(t: Test): string {
  const path = mkdtempSync(join(tmpdir(), 'hnvgw-nat-log-'));
  t.teardown(() => rmSync(path, { recursive: true }));
  return path;
}

t.test('a time has microseconds', async (t) => {
  t.equal(timeText(NOW + 7.25), '2026-01-02T03:04:05.007250Z');
});

t.test('a session from inside is told from the tenant’s side', async (t) => {
  t.strictSame(parsed(sessionStart(NOW, RDID, session())), [
    {
      ...{ time: '2026-01-02T03:04:05.000000Z', event: 'session-start', rdid: RDID, direction: 'outbound' },
      ...{ protocol: 'tcp', internalAddress: '10.1.1.11', internalPort: 5000 },
      ...{ externalAddress: '198.51.100.101', externalPort: 2001 },
      ...{ remoteAddress: '203.0.113.80', remotePort: 443 },
    },
  ]);
});

t.test('one that a mapping lets in, too; what the tenant sends is the reply', async (t) => {
  const inbound = session({
    ...{ status: IPS.destinationNat, protocol: 17, started: NOW - 1000 },
    original: ends('203.0.113.80', 7000, '198.51.100.101', 8080),
    reply: ends('10.1.1.11', 80, '203.0.113.80', 7000),
    ...{ sent: { packets: 1, bytes: 100 }, received: { packets: 2, bytes: 2000 } },
  });
  t.match(parsed(sessionEnd(NOW, RDID, inbound))[0], {
    ...{ event: 'session-end', direction: 'inbound', protocol: 'udp', start: '2026-01-02T03:04:04.000000Z' },
    ...{
      internalAddress: '10.1.1.11',
      internalPort: 80,
      externalAddress: '198.51.100.101',
      externalPort: 8080,
    },
    ...{ remoteAddress: '203.0.113.80', remotePort: 7000 },
    ...{ packetsOut: 2, bytesOut: 2000, packetsIn: 1, bytesIn: 100 },
  });
});

t.test('protocols without ports have none, and unknown ones are numbers', async (t) => {
  const [gre] = parsed(sessionStart(NOW, RDID, session({ protocol: 47 })));
  t.equal(gre?.protocol, 'gre');
  t.notOk('externalPort' in (gre ?? {}));
  t.equal(parsed(sessionStart(NOW, RDID, session({ protocol: 99 })))[0]?.protocol, 99);
});

t.test('each session has one beginning and one end, however it is heard of', async (t) => {
  const book = new SessionBook(0);
  t.same(events(book.heard(RDID, false, session(), NOW)), ['session-start']);
  t.same(events(book.listed(RDID, session(), NOW)), [], 'listed after it was told');
  t.same(events(book.heard(RDID, true, session(), NOW)), ['session-end']);
  t.same(
    events(book.heard(RDID, true, session({ id: 2 }), NOW)),
    ['session-start', 'session-end'],
    'its end only',
  );
  const other = session({ original: ends('10.1.1.11', 5001, '203.0.113.80', 443) });
  book.heard(RDID, false, session(), NOW);
  t.same(events(book.heard(RDID, false, other, NOW)), ['session-start'], 'another with the same number');
  t.same(events(book.heard('another', false, session(), NOW)), ['session-start'], 'and in another domain');
});

t.test('a list that is older than an end does not begin the session again', async (t) => {
  const book = new SessionBook(0);
  book.beginList(RDID);
  book.heard(RDID, true, session(), NOW);
  t.equal(book.listed(RDID, session(), NOW), '');
  book.endList(RDID);
});

t.test('what an earlier process has recorded is not begun again', async (t) => {
  const book = new SessionBook(NOW);
  t.equal(book.listed(RDID, session({ started: NOW - 1 }), NOW + 5), '');
  t.same(events(book.heard(RDID, true, session({ started: NOW - 1 }), NOW + 5)), ['session-end']);
  t.same(
    events(book.heard(RDID, true, session({ id: 2, started: NOW - 1 }), NOW + 5)),
    ['session-end'],
    'unlisted',
  );
  const [start] = parsed(book.listed(RDID, session({ id: 3, started: NOW + 1 }), NOW + 5));
  t.match(start, { event: 'session-start', time: timeText(NOW + 1) });
});

t.test('what is not translated is not recorded', async (t) => {
  const book = new SessionBook(0);
  const plain = session({ status: IPS.seenReply });
  t.equal(
    book.heard(RDID, false, plain, NOW) + book.listed(RDID, plain, NOW) + book.heard(RDID, true, plain, NOW),
    '',
  );
});

t.test('a file is made for its owner and group alone, and begins with what is asked for', async (t) => {
  const path = join(folder(t), 'nat.log');
  const file = new LogFile(path, () => 'head\n');
  file.append('one\n');
  file.close();
  t.equal(statSync(path).mode & 0o777, 0o640);
  t.equal(readFileSync(path, 'utf8'), 'head\none\n');
});

t.test(
  'a line that was cut off by a kill is not continued, and the file tells until when it was whole',
  async (t) => {
    const path = join(folder(t), 'nat.log');
    writeFileSync(path, 'one\ntw');
    utimesSync(path, NOW / 1000, NOW / 1000);
    const file = new LogFile(path, () => '');
    t.equal(file.wholeBefore, NOW);
    file.append('three\n');
    file.wholeUntil(NOW + 500);
    file.close();
    t.equal(readFileSync(path, 'utf8'), 'one\ntw\nthree\n');
    t.equal(statSync(path).mtimeMs, NOW + 500);
  },
);

t.test(
  'lines are there without being asked for, in a new file when the old one has been moved',
  async (t) => {
    const path = join(folder(t), 'nat.log');
    const file = new LogFile(path, () => 'head\n');
    t.teardown(() => file.close());
    file.append('one\n');
    await until('the line', 5000, () => readFileSync(path, 'utf8') === 'head\none\n');
    renameSync(path, `${path}.1`);
    file.append('two\n');
    await until(
      'the new file',
      5000,
      () => statSync(path, { throwIfNoEntry: false })?.size === 'head\n'.length,
    );
    t.equal(readFileSync(`${path}.1`, 'utf8'), 'head\none\ntwo\n');
  },
);

t.test('what cannot be written is kept; what is too much is counted', async (t) => {
  const path = join(folder(t), 'nat.log');
  symlinkSync('/dev/full', path);
  const file = new LogFile(path, () => '');
  t.teardown(() => file.close());
  const line = `${'x'.repeat(1023)}\n`;
  for (let index = 0; index < 16 * 1024 + 10; index++) file.append(line);
  t.match(file.failure, /^The NAT log .* cannot be written: ENOSPC.*; 10 records were lost\.$/);
  rmSync(path);
  const size = 16 * 1024 * 1024;
  await until('it is written', 5000, () => (statSync(path, { throwIfNoEntry: false })?.size ?? 0) > size);
  t.equal(file.failure, undefined);
  const text = readFileSync(path, 'utf8');
  t.equal(text.slice(0, size), line.repeat(16 * 1024));
  t.match(parsed(text.slice(size)), [{ event: 'lost', records: 10 }]);
});

t.test('a folder that is missing is a warning, and no error', async (t) => {
  const path = join(folder(t), 'none', 'nat.log');
  const log = new NatLog({ path, records: ['blocks'] });
  log.start([]);
  await until('a warning', 5000, () => /ENOENT/.test(log.warnings()[0] ?? ''));
  await log.close();
});

t.test('blocks are recorded when domains get and lose them, and again in each new file', async (t) => {
  const path = join(folder(t), 'nat.log');
  const log = new NatLog({ path, records: ['blocks'] });
  const leases = new ExternalLeases(log);
  const nat = (externalAddresses: Block[], prefixes: { external: string; internal: string }[] = []) => ({
    ...{
      externalAddresses: externalAddresses as { address: string }[],
      prefixes,
      portMappings: [],
      oneToOne: [],
    },
    ...{ algs: [], hairpinning: 'external' as const, peers: [], sitePrefixes: [] },
    timeouts: { icmp: 30, tcpEstablished: 7440, tcpTransient: 240, udp: 300 },
    filtering: { tcp: 'addressDependent' as const, udp: 'addressDependent' as const },
  });
  const block = { address: '198.51.100.1', portStart: 1024, portEnd: 2047 };
  const whole = { address: '2001:db8::1' };
  const prefix = { external: '2001:db8:1::/48', internal: 'fd00:1::/48' };
  log.start([['old', 'unused']]);
  leases.claim('old', nat([{ rdid: 'old', ...whole }]));
  leases.claim(RDID, nat([{ rdid: RDID, ...block }], [prefix]));
  leases.keepOnly(RDID, nat([], [prefix]));
  await log.close();
  t.strictSame(
    parsed(readFileSync(path, 'utf8')).map(({ time, ...rest }) => rest),
    [
      { event: 'block-present', rdid: 'old', ...whole },
      { event: 'block-assigned', rdid: RDID, ...block },
      { event: 'block-assigned', rdid: RDID, prefix: prefix.external },
      { event: 'block-released', rdid: RDID, ...block },
    ],
  );
});

t.test('the configuration of the log', async (t) => {
  const text = (natLog: string): string => `uplink: { interface: e }\n${natLog}`;
  t.equal(parseGatewayConfig(text(''), 'f').natLog, undefined);
  t.strictSame(parseGatewayConfig(text('natLog: { path: /var/log/nat.log }'), 'f').natLog, {
    ...{ path: '/var/log/nat.log', records: ['sessions', 'blocks'] },
  });
  t.strictSame(parseGatewayConfig(text('natLog: { path: /n, records: [blocks] }'), 'f').natLog?.records, [
    'blocks',
  ]);
  for (const [natLog, message] of [
    ['natLog: {}', /^f:2: natLog\.path is missing/],
    ['natLog:\n  path: nat.log', /^f:3: natLog\.path is "nat\.log"/],
    [
      'natLog:\n  path: /n\n  records: [flows]',
      /^f:4: natLog\.records\.0 is "flows", but must be one of sessions, blocks/,
    ],
    ['natLog:\n  path: /n\n  records: []', /^f:4: natLog\.records is \[\]/],
    ['natLog:\n  file: /n', /^f:3: natLog\.file is no known field; known are path, records/],
  ] as const)
    t.throws(() => parseGatewayConfig(text(natLog), 'f'), { code: 'HNV_CONFIG', message });
  t.throws(() => parseHostConfig('natLog: { path: /n }', 'f'), {
    message: /^f:1: natLog is for a gateway only/,
  });
});
