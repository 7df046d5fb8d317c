/** What administrators read when a tunnel is not there, from what charon said in recorded runs (fixtures/charon-log.txt). */
import { readFileSync } from 'node:fs';
import { mock } from 'node:test';
import { test } from 'tap';
import { type CharonSaying, CharonWords, wantedReqid } from '../../src/s2s/charon-words.ts';
import type { ViciMessage } from '../../src/s2s/vici-message.ts';

const recorded = readRecorded(new URL('fixtures/charon-log.txt', import.meta.url));

function readRecorded(file: URL): Map<string, ViciMessage[]> {
  const runs = readFileSync(file, 'utf8').split('\n## ').slice(1);
  return new Map(
    runs.map((run) => {
      const [name = '', ...lines] = run.trimEnd().split('\n');
      return [name, lines.map(messageOf)];
    }),
  );
}

function messageOf(line: string): ViciMessage {
  const [, group = '', name, id, msg = ''] = /^(\S+) (?:-|(\S+)#(\d+)) (.*)$/.exec(line) ?? [];
  return { group, ...(name && id && { 'ikesa-name': name, 'ikesa-uniqueid': id }), msg };
}

function run(name: string): ViciMessage[] {
  const lines = recorded.get(name);
  if (lines === undefined) throw new Error(`nothing is recorded of ${name}`);
  return lines;
}

/** What is told of these lines, when there is time enough. */
function told(lines: readonly ViciMessage[]): CharonSaying[] {
  mock.timers.enable({ apis: ['setTimeout'] });
  try {
    const sayings: CharonSaying[] = [];
    const words = new CharonWords((saying) => sayings.push(saying));
    for (const line of lines) words.read(line);
    mock.timers.tick(1000);
    return sayings;
  } finally {
    mock.timers.reset();
  }
}

/** Each line changes places with its neighbour, as happens when two of charon's threads send them. */
function inDisorder(lines: readonly ViciMessage[]): ViciMessage[] {
  return Array.from({ length: Math.ceil(lines.length / 2) }, (_, pair) =>
    lines.slice(pair * 2, pair * 2 + 2).reverse(),
  ).flat();
}

const rejected = (id: string, proof: string) =>
  `authentication failed: the site rejects our id '${id}', the id that we ask it for, or our ${proof}`;
const OURS = { connection: 'site', peer: '10.9.0.2' };
const THEIRS = { connection: 'gw', peer: '10.9.0.1' };
const NOBODY = { peer: '10.9.0.1' };
const MODE = 'SHA384 SHA256 Curve25519 ECP384 ECP256 Group14';

const expected: Record<string, CharonSaying[]> = {
  'good initiator': [],
  'good responder': [],
  'wrongKey initiator': [{ ...OURS, reason: rejected('10.9.0.1', 'pre-shared key') }],
  'wrongKey responder': [
    {
      ...THEIRS,
      reason: "authentication failed: the pre-shared key of '10.9.0.1' is another one than ours",
    },
  ],
  'wrongTheirId initiator': [{ ...OURS, reason: rejected('10.9.0.1', 'pre-shared key') }],
  'wrongTheirId responder': [
    {
      ...NOBODY,
      reason:
        "authentication failed: their id is '10.9.0.1', and they ask for 'site.example': no connection of 10.9.0.2 has that",
    },
  ],
  'wrongOurId responder': [
    {
      ...NOBODY,
      reason:
        "authentication failed: their id is 'gateway.example', and they ask for '10.9.0.2': no connection of 10.9.0.2 has that",
    },
  ],
  'ikeProposal initiator': [
    {
      ...OURS,
      reason: 'no proposal chosen: the site accepts nothing of our mainMode, or knows no peer at our address',
    },
  ],
  'ikeProposal responder': [
    {
      ...NOBODY,
      reason: `no proposal chosen: the site offers AES256 SHA512 Curve25519 ECP384 ECP256 Group14; our mainMode has GCMAES128 ${MODE} or AES128 ${MODE}`,
    },
  ],
  'espProposal initiator': [
    { ...OURS, reason: 'no proposal chosen: the site accepts nothing of our quickMode' },
  ],
  'espProposal responder': [
    {
      ...THEIRS,
      reason:
        'no proposal chosen: the site offers AES256 SHA512; our quickMode has GCMAES128 Curve25519 ECP384 ECP256 Group14',
    },
  ],
  'invalidKe initiator': [],
  'invalidKe responder': [],
  'prefixes initiator': [
    { ...OURS, reason: 'prefixes differ: the site has no tunnel between our localSubnets and subnets' },
  ],
  'prefixes responder': [
    {
      ...THEIRS,
      reason:
        'prefixes differ: the site asks for a tunnel between 192.168.2.0/24 on our side and 192.168.77.0/24 on its own',
    },
  ],
  'noConnection initiator': [
    {
      ...OURS,
      reason: 'no proposal chosen: the site accepts nothing of our mainMode, or knows no peer at our address',
    },
  ],
  'noConnection responder': [
    { ...NOBODY, reason: '10.9.0.1 wants a tunnel with 10.9.0.2, between which there is no connection' },
  ],
  'noKey responder': [
    {
      ...THEIRS,
      reason: "authentication failed: their id is '10.9.0.1', for which there is no pre-shared key",
    },
  ],
  'silent initiator': [{ ...OURS, peer: '10.9.0.77', reason: '10.9.0.77 does not answer' }],
  'unreachable initiator': [
    {
      ...OURS,
      peer: '10.66.0.77',
      reason: '10.66.0.77 does not answer; packets to it could not be sent: Network is unreachable',
    },
  ],
  'certGood initiator': [],
  'certRevoked initiator': [
    {
      ...OURS,
      reason:
        "authentication failed: the certificate of 'O=Lab, CN=bad' was revoked on Nov 21 23:05:02 UTC 2026 (unspecified)",
    },
  ],
  'certRevoked responder': [
    {
      ...THEIRS,
      reason: "authentication failed: the site rejects our id 'O=Lab, CN=bad' or our certificate",
    },
  ],
  'certStaleCrl initiator': [
    {
      ...OURS,
      reason:
        "authentication failed: the revocation list for the certificate of 'O=Lab, CN=site' has expired: since Jan 02 00:00:00 2024",
    },
  ],
  'certNoCrl initiator': [
    {
      ...OURS,
      reason:
        "authentication failed: there is no revocation list for the certificate of 'O=Lab, CN=strange', or for one that it comes from",
    },
  ],
  'certExpired initiator': [
    {
      ...OURS,
      reason: "authentication failed: the certificate of 'O=Lab, CN=old' has expired on Feb 01 00:00:00 2024",
    },
  ],
  'certYoung initiator': [
    {
      ...OURS,
      reason:
        "authentication failed: the certificate of 'O=Lab, CN=young' is not valid before Jan 01 00:00:00 2040",
    },
  ],
  'certAlien initiator': [
    {
      ...OURS,
      reason:
        "authentication failed: the certificate of 'O=Lab, CN=strange' comes from 'O=Lab, CN=alien', which certificateAuthorities do not lead to",
    },
  ],
  'certOtherCa initiator': [
    {
      ...OURS,
      reason:
        "authentication failed: the certificate of 'O=Lab, CN=site' comes from another authority than certificateAuthorities",
    },
  ],
  'certIdNotInCertificate responder': [
    {
      ...THEIRS,
      reason:
        "authentication failed: their id is 'nobody.example', which is not in their certificate, of 'O=Lab, CN=gw'",
    },
  ],
  'certOtherId initiator': [
    { ...OURS, reason: "authentication failed: their id is 'O=Lab, CN=site', remoteId is '*.example'" },
  ],
  'certNotOurKey initiator': [
    {
      ...OURS,
      reason: "authentication failed: our private key does not belong to the certificate of 'O=Lab, CN=gw'",
    },
  ],
  'certWeWantCertificates responder': [
    {
      ...THEIRS,
      reason:
        'authentication failed: they prove their id by pre-shared key, this connection wants public key',
    },
  ],
  'waitingPacket initiator': [],
  'rekeyIkeByResponder initiator': [],
  'rekeyIkeByResponder responder': [],
  'rekeyChildByResponder initiator': [],
  'idle initiator': [{ ...OURS, reason: 'taken down after 3 seconds without a packet' }],
  'idle responder': [{ ...THEIRS, reason: 'the site has ended the tunnel' }],
  'endedByResponder initiator': [{ ...OURS, reason: 'the site has ended the tunnel' }],
  'deadPeer initiator': [{ ...OURS, reason: '10.9.0.2 does not answer' }],
  'startAtDeadPeer initiator': [{ ...OURS, reason: '10.9.0.2 does not answer' }],
};

test('of every recorded run, the reason is told, once, whatever the order of the lines', async (t) => {
  t.same([...recorded.keys()].sort(), Object.keys(expected).sort(), 'each run is looked at');
  for (const [name, sayings] of Object.entries(expected)) {
    t.same(told(run(name)), sayings, name);
    t.same(told(inDisorder(run(name))), sayings, `${name}, in disorder`);
  }
});

test('several SAs at a time are kept apart', async (t) => {
  const second = run('wrongKey responder').map((line) => ({ ...line, 'ikesa-uniqueid': '2' }));
  const both = run('espProposal responder').flatMap((line, index) => [
    line,
    ...second.slice(index, index + 1),
  ]);
  t.same(
    new Set(told(both).map(({ reason }) => reason.split(':')[0])),
    new Set(['no proposal chosen', 'authentication failed']),
  );
});

test('an attempt that fails again is told again, without what the last one left', async (t) => {
  const again = run('wrongKey responder');
  const first = run('wrongOurId responder');
  t.match(told([...first, ...again]).length, 1, 'in one breath it is one');
  mock.timers.enable({ apis: ['setTimeout'] });
  t.teardown(() => mock.timers.reset());
  const reasons: string[] = [];
  const words = new CharonWords(({ reason }) => reasons.push(reason));
  for (const lines of [first, again, first]) {
    for (const line of lines) words.read(line);
    mock.timers.tick(1000);
  }
  t.match(reasons, [/their id is/, /pre-shared key/, /their id is/]);
});

test('nothing is told after the end', async (t) => {
  mock.timers.enable({ apis: ['setTimeout'] });
  t.teardown(() => mock.timers.reset());
  const sayings: CharonSaying[] = [];
  const words = new CharonWords((saying) => sayings.push(saying));
  for (const line of run('wrongKey responder')) words.read(line);
  words.close();
  mock.timers.tick(1000);
  t.same(sayings, []);
});

test('who asks for SAs without end does not fill the memory, and hides nobody’s reason', async (t) => {
  const flood = Array.from({ length: 1000 }, (_, number) =>
    run('noConnection responder').map((line) => ({ ...line, 'ikesa-uniqueid': `${number + 10}` })),
  ).flat();
  const sayings = told([...run('wrongKey responder'), ...flood]);
  t.equal(sayings.length, 1001);
  t.match(sayings[0], { connection: 'gw', reason: /pre-shared key/ });
});

test('what a site says of itself is cut short', async (t) => {
  const id = 'x'.repeat(60_000);
  const [saying] = told([messageOf(`IKE gw#1 no shared key found for '10.9.0.2' - '${id}'`)]);
  t.equal(saying?.reason.length, 1000);
});

test('the packet that waits for a tunnel tells its number, and nothing else does', async (t) => {
  t.same(run('waitingPacket initiator').map(wantedReqid), [7, 7]);
  t.same(
    run('good initiator')
      .map(wantedReqid)
      .filter((reqid) => reqid !== undefined),
    [],
  );
  const msg = 'could not find an outbound IPsec SA for reqid {7}, dropping packet';
  t.equal(
    wantedReqid({ group: 'IKE', msg }),
    undefined,
    'said by another group, it is something that a peer sent',
  );
});
