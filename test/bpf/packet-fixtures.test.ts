// Every fixture through its program: verdict, reason, copies, and the frame that comes out, byte for byte.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { dropReasons } from '../../src/encap/drop-reasons.ts';
import { DataPlane, type Link, portLinks } from './data-plane.ts';
import { FarEnd } from './far-end.ts';
import { FixtureRunner } from './fixture-runner.ts';
import { fixtures } from './packet-fixtures/all.ts';
import { type ExpectedFrame, type Fixture, handle } from './packet-fixtures/fixture.ts';
import { captureFile } from './pcap.ts';

const dataPlane = DataPlane.open(t);
const farEnd = new FarEnd(t, dataPlane, portLinks);
const runner = new FixtureRunner(t, dataPlane);
const produced: Buffer[] = [];

const bytesOf = (expected: ExpectedFrame, output: Buffer): Buffer =>
  typeof expected === 'function' ? expected(output) : expected;
const arrived = (fixture: Fixture): Buffer => fixture.frame.subarray(0, fixture.length);

t.test('names of fixtures are unique', async (t) => {
  const names = fixtures.map(({ place, name }) => `${place}: ${name}`);
  t.same(
    names.filter((name, index) => names.indexOf(name) !== index),
    [],
  );
});

t.test('each fixture becomes what it must, and no other copies', async (t) => {
  for (const fixture of fixtures) {
    const { expected, place } = fixture;
    const name = `${place}: ${fixture.name}`;
    const outcome = runner.run(fixture);
    const copies = expected.verdict === 'copies' ? expected.to.length + expected.back.length : 0;
    const caught = farEnd.take(copies);
    switch (expected.verdict) {
      case 'pass':
        t.equal(outcome.verdict, 'pass', name);
        t.same(outcome.frame, arrived(fixture), `${name}: unchanged`);
        t.equal(outcome.mark, expected.mark ?? fixture.mark ?? 0, `${name}: mark`);
        break;
      case 'drop':
        t.match(
          outcome,
          { verdict: 'drop', drop: { reason: expected.reason, domain: expected.domain } },
          name,
        );
        break;
      case 'redirect':
        t.equal(outcome.verdict, 'redirect', name);
        t.same(outcome.drop?.reason, expected.reason, `${name}: ${expected.reason ?? 'no drop'}`);
        t.same(outcome.frame, bytesOf(expected.frame, outcome.frame), `${name}: frame`);
        if (place !== 'context' || fixture.mark) t.equal(outcome.mark, 0, `${name}: no mark`);
        produced.push(outcome.frame);
        break;
      case 'copies': {
        t.match(outcome, { verdict: 'drop', drop: undefined }, name);
        const far = caught.filter(({ isFar }) => isFar);
        const back = caught.filter(({ isFar }) => !isFar);
        t.same(far.map(({ link }) => link).sort(), [...expected.to].sort(), `${name}: to whom`);
        t.same(
          back.map(({ mark }) => mark),
          expected.back,
          `${name}: what comes back`,
        );
        t.same(
          [...new Set(back.map(({ link }) => link))],
          back.length > 0 ? [fixture.on] : [],
          `${name}: where`,
        );
        for (const { frame } of caught) t.same(frame, expected.frame, `${name}: each as it came`);
        const counted = outcome.counted.find(({ replicated }) => replicated !== undefined);
        t.equal(counted?.replicated, copies, `${name}: counted`);
        break;
      }
    }
    if (expected.verdict !== 'copies') t.same(caught, [], `${name}: no copies`);
  }
});

t.test('tshark finds no wrong checksum and nothing malformed in any frame that was made', async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'hnvgw-fixtures-'));
  t.teardown(() => rmSync(directory, { recursive: true, force: true }));
  const file = join(directory, 'produced.pcap');
  writeFileSync(file, captureFile(produced));
  const decode = (filter: string): string =>
    execFileSync(
      'tshark',
      [
        ...['-r', file, '-o', 'ip.check_checksum:TRUE', '-o', 'udp.check_checksum:TRUE'],
        ...['-o', 'tcp.check_checksum:TRUE', '-Y', filter],
      ],
      { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] },
    );
  t.equal(decode('frame').trim().split('\n').length, produced.length, 'all are there');
  const isBad = (protocol: string): string => `${protocol}.checksum.status == "Bad"`;
  t.equal(decode(['ip', 'icmp', 'icmpv6'].map(isBad).join(' || ')), '', 'checksums');
  // What an ICMP error quotes is not verified by anybody, and changed on purpose (error.h).
  const quoting = '(icmp || icmpv6)';
  t.equal(decode(`(${isBad('udp')} || ${isBad('tcp')}) && !${quoting}`), '', 'checksums of UDP and TCP');
  t.equal(decode('_ws.malformed && !dns'), '', 'form');
});

/** Reasons that no packet can provoke in a test run, each with why. */
const unprovoked: Record<string, string> = {
  'replication-failed': 'needs a port whose interface is down: test below',
};

t.test('every drop reason of the catalogue has a fixture', async (t) => {
  const provoked = new Set(
    fixtures.map(({ expected }) => ('reason' in expected ? expected.reason : undefined)),
  );
  t.same(
    dropReasons.map(({ name }) => name).filter((name) => !provoked.has(name)),
    Object.keys(unprovoked),
  );
});

t.test('a copy to a port whose interface is down fails, is counted, and the others are sent', async (t) => {
  const fixture = fixtures.find(({ name }) => name === 'a broadcast, to the ports at the provider address');
  if (fixture === undefined) throw new Error('no such fixture');
  const down: Link = 'contosoDb';
  const set = (state: string): Buffer =>
    execFileSync('ip', ['-n', dataPlane.namespace, 'link', 'set', down, state]);
  set('down');
  t.teardown(() => set('up'));
  const { counted } = runner.run(fixture);
  t.equal(counted[0]?.replicated, 2);
  t.same(
    farEnd.take(2).map(({ link }) => link),
    ['contosoLearn', 'contosoWeb'],
  );
  t.equal(dataPlane.stats(handle).drops['replication-failed'], 1);
});
