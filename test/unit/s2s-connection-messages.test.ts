/** Plans as strongSwan is told them. That it takes them so, test/netns/s2s-messages.test.ts shows. */
import { X509Certificate } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { test } from 'tap';
import { readRevocationLists } from '../../src/policy/pem.ts';
import type { SiteConnectionPlan } from '../../src/policy/plan.ts';
import { configurationDigest, connectionMessages } from '../../src/s2s/connection-messages.ts';
import type { ViciInput } from '../../src/s2s/vici-message.ts';
import { SiteAuthority } from '../lab/site-authority.ts';
import { sitePlan } from '../lab/site-plan.ts';

const KEY = 'correct horse';
const folder = mkdtempSync(join(tmpdir(), 'hnvgw-'));
t.teardown(() => rmSync(folder, { recursive: true }));
const ours = new SiteAuthority(join(folder, 'ours'), 'ours');
const theirs = new SiteAuthority(join(folder, 'theirs'), 'theirs');
const cloud = ours.issue('cloud.example');
const certificates: SiteConnectionPlan['authentication'] = {
  method: 'certificate',
  ...{ localId: undefined, remoteId: 'site.example' },
  ...{ certificate: cloud.cert + ours.certificate, privateKey: cloud.key },
  certificateAuthorities: theirs.certificate,
};
const der = (certificate: string): Buffer => new X509Certificate(certificate).raw;

function connectionOf(plan: SiteConnectionPlan, destination?: number): ViciInput {
  return connectionMessages(plan, 'userspace', 7, destination).connection[plan.name] as ViciInput;
}

function childOf(plan: SiteConnectionPlan, engine: 'kernel' | 'userspace' = 'userspace'): ViciInput {
  const connection = connectionMessages(plan, engine, 7).connection[plan.name] as ViciInput;
  return (connection.children as ViciInput)[plan.name] as ViciInput;
}

const withKey = (more: Partial<SiteConnectionPlan['authentication']> = {}) => ({
  authentication: { ...sitePlan().authentication, preSharedKey: KEY, ...more },
});

test('the addresses, the one to begin with first', async (t) => {
  t.match(connectionOf(sitePlan()), {
    local_addrs: ['198.51.100.101'],
    remote_addrs: ['203.0.113.9'],
  });
  const several = sitePlan({ destinations: ['203.0.113.1', '203.0.113.2', '203.0.113.3'] });
  t.same(connectionOf(several, 1).remote_addrs, ['203.0.113.2', '203.0.113.3', '203.0.113.1']);
  t.same(connectionOf(sitePlan({ destinations: [] })).remote_addrs, ['%any']);
});

test('a pre-shared key belongs to the site alone, and is in no other message', async (t) => {
  const plan = sitePlan(withKey({ remoteId: 'site.example' }));
  const { connection, secrets } = connectionMessages(plan, 'userspace', 7);
  t.same(secrets, [
    {
      command: 'load-shared',
      message: { id: 'branch', type: 'IKE', data: Buffer.from(KEY), owners: ['site.example'] },
    },
  ]);
  t.notMatch(JSON.stringify(connection), KEY);
  t.match(connection.branch, {
    local: { auth: 'psk', id: '198.51.100.101' },
    remote: { auth: 'psk', id: 'site.example' },
  });
});

test('of several destinations without an id, each is called by its address', async (t) => {
  const plan = sitePlan({
    destinations: ['203.0.113.1', '203.0.113.2'],
    ...withKey({ remoteId: undefined }),
  });
  t.match(connectionOf(plan, 1).remote, { id: '203.0.113.2' });
  t.same(connectionMessages(plan, 'userspace', 7, 1).secrets[0]?.message.owners, plan.destinations);
});

test('certificates: its own with those between, authorities of this connection, and the key apart', async (t) => {
  const plan = sitePlan({ authentication: certificates });
  const { connection, secrets, revocationLists } = connectionMessages(plan, 'userspace', 7);
  t.match(connection.branch, {
    local: { auth: 'pubkey', certs: [der(cloud.cert), der(ours.certificate)] },
    remote: { auth: 'pubkey', id: 'site.example', cacerts: [der(theirs.certificate)] },
  });
  t.equal((connectionOf(plan).remote as ViciInput).revocation, undefined);
  t.same(secrets, [{ command: 'load-key', message: { type: 'any', data: Buffer.from(cloud.key) } }]);
  t.same(revocationLists, []);
});

test('with revocation lists, a certificate must be proved good', async (t) => {
  const revocationLists = ours.revocationList() + theirs.revocationList();
  const plan = sitePlan({ authentication: { ...certificates, revocationLists } });
  t.match(connectionOf(plan).remote, { revocation: 'strict' });
  t.same(
    connectionMessages(plan, 'userspace', 7).revocationLists,
    readRevocationLists(revocationLists)?.map((data) => ({ type: 'X509_CRL', data })),
  );
});

test('new keys are made within the life of a key, which ends a little later', async (t) => {
  for (const seconds of [60, 61, 3600, 604_800]) {
    const { mainMode } = sitePlan();
    const ike = connectionOf(sitePlan({ mainMode: { ...mainMode, saLifeTimeSeconds: seconds } }));
    t.ok(Number(ike.rekey_time) <= seconds, 'new keys are made within that time');
    t.equal(Number(ike.rekey_time) + Number(ike.over_time), seconds + 30);
    t.ok(Number(ike.rand_time) <= Number(ike.over_time), `${seconds}`);
    t.ok(Number(ike.rekey_time) - Number(ike.rand_time) >= seconds * 0.75, `${seconds}`);
  }
  const { quickMode } = sitePlan();
  for (const seconds of [10, 3600, 172_800]) {
    const child = childOf(sitePlan({ quickMode: { ...quickMode, saLifeTimeSeconds: seconds } }));
    t.ok(Number(child.rekey_time) <= seconds);
    t.equal(child.life_time, seconds + 30);
    t.ok(
      Number(child.rekey_time) < seconds && Number(child.rekey_time) - Number(child.rand_time) > seconds / 2,
    );
  }
});

test('a life in kilobytes, with room for those that pass while the next key is made', async (t) => {
  const { quickMode } = sitePlan();
  t.notOk('life_bytes' in childOf(sitePlan()));
  const child = (kilobytes: number) =>
    childOf(sitePlan({ quickMode: { ...quickMode, saLifeTimeKiloBytes: kilobytes } }));
  t.match(child(1024), { rekey_bytes: 943_718, life_bytes: 943_718 + 128 * 1024 ** 2, rand_bytes: 104_857 });
  const most = child(2_147_483_647);
  t.equal(most.life_bytes, 2_147_483_647 * 1024);
  // strongSwan reads at most 15 digits.
  t.ok(`${most.life_bytes}`.length <= 15);
});

test('who begins, and who goes on trying', async (t) => {
  const of = (initiate: SiteConnectionPlan['initiate']) => {
    const plan = sitePlan({ initiate });
    const { start_action, dpd_action, close_action } = childOf(plan);
    return { keyingtries: connectionOf(plan).keyingtries, start_action, dpd_action, close_action };
  };
  t.same(of('start'), {
    keyingtries: 0,
    start_action: 'start',
    dpd_action: 'start',
    close_action: undefined,
  });
  t.match(of('onTraffic'), { keyingtries: 1, start_action: 'trap', dpd_action: undefined });
  t.match(of('never'), { keyingtries: 1, start_action: undefined, dpd_action: undefined });
});

test('the child', async (t) => {
  const plan = sitePlan({ idleDisconnectSeconds: 90, mobike: true });
  t.match(childOf(plan), {
    ...{
      local_ts: ['10.1.1.0/24'],
      remote_ts: ['192.168.50.0/24'],
      mode: 'tunnel',
      reqid: 7,
      inactivity: 90,
    },
    esp_proposals: ['aes256gcm16-aes128gcm16-curve25519', 'aes256-aes128-sha384-sha256-curve25519'],
  });
  t.notOk('if_id_in' in childOf(plan));
  t.match(childOf(plan, 'kernel'), { if_id_in: 1, if_id_out: 1 });
  t.match(connectionOf(plan), { mobike: true, version: 2 });
});

test('the digest is that of what load-conn would change', async (t) => {
  const plan = sitePlan(withKey());
  const digest = configurationDigest(plan);
  t.equal(configurationDigest(structuredClone(plan)), digest);
  t.equal(
    configurationDigest({ ...plan, txBandwidthKbps: 1000 }),
    digest,
    'limits are no affair of strongSwan’s',
  );
  t.equal(
    configurationDigest(sitePlan(withKey({ preSharedKey: 'another horse' }))),
    digest,
    'no secret is in it',
  );
  for (const more of [
    { mobike: true },
    { destinations: ['203.0.113.10'] },
    { subnets: [{ prefix: '192.168.51.0/24', metric: 0 }] },
    { idleDisconnectSeconds: 60 },
    withKey({ localId: 'gateway.example' }),
  ])
    t.not(configurationDigest({ ...plan, ...more }), digest, JSON.stringify(more));
  const lists = (revocationLists: string) =>
    configurationDigest(sitePlan({ authentication: { ...certificates, revocationLists } }));
  const old = theirs.revocationList();
  theirs.issue('stolen.example');
  theirs.revoke('stolen.example');
  t.equal(lists(theirs.revocationList()), lists(old), 'a newer list needs no other connection');
  t.not(lists(old), configurationDigest(sitePlan({ authentication: certificates })));
});
