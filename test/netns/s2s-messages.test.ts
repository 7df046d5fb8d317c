/** Plans of every kind, told to a real charon: it takes them as they were meant, and comes to terms with another one. */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import type { SiteConnectionPlan } from '../../src/policy/plan.ts';
import {
  diffieHellmanGroups,
  encryptionAlgorithms,
  integrityAlgorithms,
} from '../../src/policy/site-connection-resources.ts';
import { charonPlace, endCharon, runCharon } from '../../src/s2s/charon.ts';
import { type CharonSaying, CharonWords, wantedReqid } from '../../src/s2s/charon-words.ts';
import { connectionMessages } from '../../src/s2s/connection-messages.ts';
import { ipsecEngine } from '../../src/s2s/engine.ts';
import { readIkeSas } from '../../src/s2s/sa-reading.ts';
import { ViciClient } from '../../src/s2s/vici-client.ts';
import type { ViciMessage } from '../../src/s2s/vici-message.ts';
import { Lab } from '../lab/lab.ts';
import { SiteAuthority } from '../lab/site-authority.ts';
import { sitePlan } from '../lab/site-plan.ts';
import { until } from '../lab/until.ts';

const INSTANCE = `s2sm${process.pid}`;
const REQID = 1_073_741_825;
const engine = ipsecEngine();

const GATEWAY = { v4: '192.0.2.1', v6: '2001:db8::1' };
const SITE = { v4: '192.0.2.2', v6: '2001:db8::2', second: '192.0.2.3' };
const NEAR = ['10.1.0.0/24', 'fd01::/64'];
const FAR = ['10.2.0.0/24', 'fd02::/64'];

/** Of the gateway's side, with both families inside. */
function planOf(more: Partial<SiteConnectionPlan> = {}): SiteConnectionPlan {
  const plan = sitePlan({
    ...{ name: 'branch', localAddress: GATEWAY.v4, destinations: [SITE.v4], initiate: 'never' },
    authentication: { method: 'psk', localId: GATEWAY.v4, remoteId: SITE.v4, preSharedKey: 'correct horse' },
    ...{ localPrefixes: NEAR, subnets: FAR.map((prefix) => ({ prefix, metric: 0 })) },
  });
  return { ...plan, ...more };
}

/** The same tunnel as the site has it. */
function mirrored(plan: SiteConnectionPlan, authentication = plan.authentication): SiteConnectionPlan {
  const { localId, remoteId } = plan.authentication;
  return {
    ...plan,
    ...{ localAddress: plan.destinations[0] ?? '', destinations: [plan.localAddress], initiate: 'never' },
    authentication: { ...authentication, localId: remoteId, remoteId: localId },
    localPrefixes: plan.subnets.map(({ prefix }) => prefix),
    subnets: plan.localPrefixes.map((prefix) => ({ prefix, metric: 0 })),
  };
}

async function load(client: ViciClient, plan: SiteConnectionPlan, destination = 0): Promise<void> {
  const messages = connectionMessages(plan, engine, REQID, destination);
  for (const { command, message } of messages.secrets) await client.command(command, message);
  for (const message of messages.revocationLists) await client.command('load-cert', message);
  await client.command('load-conn', messages.connection);
}

async function unload(client: ViciClient, { name }: SiteConnectionPlan): Promise<void> {
  await client.command('unload-conn', { name });
  await client.command('terminate', { ike: name, force: true, timeout: 1000 }).catch(() => undefined);
  await client.command('clear-creds');
}

const up = (client: ViciClient, { name }: SiteConnectionPlan) =>
  client.command('initiate', { ike: name, child: name, timeout: 5000 });

const sasOf = async (client: ViciClient, { name }: SiteConnectionPlan) =>
  readIkeSas(await client.list('list-sas', 'list-sa', { ike: name }), name);

/** The one at `index`, round and round. */
const turn = <T>(values: readonly T[], index: number): T[] => values.slice(index % values.length).slice(0, 1);

t.test('messages of plans', { timeout: 120_000 }, async (t) => {
  const lab = await Lab.create(INSTANCE);
  t.teardown(() => lab.close());
  const [near, far] = [await lab.namespace('near'), await lab.namespace('far')];
  const places = [near, far].map(({ name }) => charonPlace(INSTANCE, name));
  t.teardown(() => Promise.all(places.map(endCharon)));
  await lab.veth(near, 'ext', far, 'ext');
  // The userspace engine wants an address in each prefix of its side.
  await near.ipBatch([
    ...[`addr add ${GATEWAY.v4}/24 dev ext`, `addr add ${GATEWAY.v6}/64 dev ext nodad`],
    ...['addr add 10.1.0.1/32 dev lo', 'addr add fd01::1/128 dev lo'],
  ]);
  await far.ipBatch([
    ...[SITE.v4, SITE.second].map((address) => `addr add ${address}/24 dev ext`),
    ...[`addr add ${SITE.v6}/64 dev ext nodad`, 'addr add 10.2.0.1/32 dev lo', 'addr add fd02::1/128 dev lo'],
  ]);
  const [ours, theirs] = (await Promise.all(
    places.map(async (place) => ViciClient.connect((await runCharon(place, engine)).socket)),
  )) as [ViciClient, ViciClient];
  t.teardown(() => {
    ours.close();
    theirs.close();
  });

  /** Both sides have it; it comes up; what is then there. */
  const stand = async (plan: SiteConnectionPlan, peer = mirrored(plan)) => {
    await Promise.all([load(ours, plan), load(theirs, peer)]);
    try {
      await up(ours, plan);
      return await sasOf(ours, plan);
    } finally {
      await unload(ours, plan);
      await unload(theirs, peer);
    }
  };

  const listed = async (plan: SiteConnectionPlan): Promise<ViciMessage> => {
    await load(ours, plan);
    const [item] = await ours.list('list-conns', 'list-conn', { ike: plan.name });
    await unload(ours, plan);
    return item?.[plan.name] as ViciMessage;
  };

  await t.test('a pre-shared key', async (t) => {
    t.match(await listed(planOf()), {
      ...{ local_addrs: [GATEWAY.v4], remote_addrs: [SITE.v4], version: 'IKEv2', dpd_delay: '5' },
      ...{ rekey_time: '25920', reauth_time: '0', unique: 'UNIQUE_NO' },
      'local-1': { id: GATEWAY.v4, class: 'pre-shared key' },
      'remote-1': { id: SITE.v4, class: 'pre-shared key' },
      children: {
        branch: {
          ...{
            mode: 'TUNNEL',
            rekey_time: '3240',
            rekey_bytes: '0',
            dpd_action: 'none',
            close_action: 'none',
          },
          ...{ 'local-ts': NEAR, 'remote-ts': FAR },
        },
      },
    });
    const quickMode = { ...planOf().quickMode, saLifeTimeKiloBytes: 1024 };
    t.match(await listed(planOf({ quickMode })), { children: { branch: { rekey_bytes: '943718' } } });
  });

  await t.test('who begins', async (t) => {
    const actions = async (initiate: SiteConnectionPlan['initiate']) => {
      const { children } = await listed(planOf({ initiate }));
      return ((children as ViciMessage).branch as ViciMessage).dpd_action;
    };
    t.equal(await actions('start'), 'start');
    t.equal(await actions('onTraffic'), 'none');
  });

  await t.test('any address of the peer, or several', async (t) => {
    t.match(await listed(planOf({ destinations: [] })), { remote_addrs: ['%any'] });
    const destinations = [SITE.second, SITE.v4];
    const authentication = { ...planOf().authentication, remoteId: undefined };
    const plan = planOf({ destinations, authentication });
    await load(ours, plan, 1);
    const peer = mirrored(planOf());
    await load(theirs, peer);
    await up(ours, plan);
    t.match(await sasOf(ours, plan), [{ remoteAddress: SITE.v4, remoteId: SITE.v4 }], 'the second is tried');
    await unload(ours, plan);
    await unload(theirs, peer);
  });

  await t.test('a tunnel over IPv6', async (t) => {
    const authentication = {
      ...planOf().authentication,
      localId: 'cloud.example',
      remoteId: 'CN=office, O=Lab',
    };
    const plan = planOf({ localAddress: GATEWAY.v6, destinations: [SITE.v6], authentication, mobike: true });
    t.match(await stand(plan), [
      {
        ...{ localAddress: GATEWAY.v6, remoteAddress: SITE.v6, localId: 'cloud.example' },
        ...{ remoteId: 'CN=office, O=Lab', state: 'ESTABLISHED', initiator: true },
        childSas: [{ localSubnets: NEAR, remoteSubnets: FAR, encapsulated: engine === 'userspace' }],
      },
    ]);
  });

  await t.test('every algorithm comes about', async (t) => {
    const rounds = Math.max(
      encryptionAlgorithms.length,
      integrityAlgorithms.length,
      diffieHellmanGroups.length,
    );
    for (let round = 0; round < rounds; round++) {
      const [encryption = 'DES'] = turn(encryptionAlgorithms, round);
      const [integrity = 'MD5'] = turn(integrityAlgorithms, round);
      const [group = 'Group1'] = turn(diffieHellmanGroups, round);
      const { mainMode, quickMode } = planOf();
      const same = { encryptionAlgorithms: [encryption], integrityAlgorithms: [integrity] };
      const plan = planOf({
        mainMode: { ...mainMode, ...same, diffieHellmanGroups: [group] },
        quickMode: { ...quickMode, ...same, perfectForwardSecrecy: [group] },
      });
      const check = encryption.startsWith('GCM') ? {} : { integrity };
      t.match(
        await stand(plan),
        [
          {
            ...{ encryption, ...check, prf: integrity, diffieHellmanGroup: group },
            childSas: [{ state: 'INSTALLED', encryption, ...check }],
          },
        ],
        `${encryption} ${integrity} ${group}`,
      );
    }
  });

  await t.test('a site without exchanges for new keys, where they may be left out', async (t) => {
    const { quickMode } = planOf();
    const plan = planOf({ quickMode: { ...quickMode, perfectForwardSecrecy: ['Curve25519', 'None'] } });
    const peer = mirrored({ ...plan, quickMode: { ...quickMode, perfectForwardSecrecy: ['None'] } });
    await Promise.all([load(ours, plan), load(theirs, peer)]);
    await up(ours, plan);
    const installed = async () => {
      const [sa] = await sasOf(ours, plan);
      return sa?.childSas.find(({ state }) => state === 'INSTALLED');
    };
    const first = await installed();
    await ours.command('rekey', { child: plan.name });
    const next = await until('new keys', 5000, async () => {
      const sa = await installed();
      return sa?.spiIn !== first?.spiIn && sa;
    });
    t.notOk('diffieHellmanGroup' in next);
    await unload(ours, plan);
    await unload(theirs, peer);
  });

  await t.test('certificates', async (t) => {
    const root = new SiteAuthority(join(lab.dir, 'ca'), 'Lab root');
    const [cloud, office] = [root.issue('cloud.example'), root.issue('office.example')];
    const chain = rsaChain(lab.dir);
    const of = (certificate: string, privateKey: string, certificateAuthorities = root.certificate) => ({
      ...{ method: 'certificate' as const, localId: undefined, remoteId: undefined },
      ...{ certificate, privateKey, certificateAuthorities },
    });
    const gateway = of(cloud.cert, cloud.key, root.certificate + chain.root);
    const ids = { localId: 'cloud.example', remoteId: 'office.example' };

    await t.test('as they are listed', async (t) => {
      const revocationLists = root.revocationList();
      t.match(await listed(planOf({ authentication: { ...gateway, ...ids, revocationLists } })), {
        'local-1': { class: 'public key', id: 'cloud.example', certs: ['CN=cloud.example'] },
        'remote-1': {
          ...{ class: 'public key', id: 'office.example', revocation: 'GOOD' },
          cacerts: ['CN=Lab root', 'O=Lab, CN=chain root'],
        },
      });
    });

    await t.test('ECDSA, proved good by a revocation list', async (t) => {
      const authentication = { ...gateway, ...ids, revocationLists: root.revocationList() };
      const plan = planOf({ authentication });
      t.match(await stand(plan, mirrored(plan, of(office.cert, office.key))), [
        { localId: 'cloud.example', remoteId: 'office.example', childSas: [{ state: 'INSTALLED' }] },
      ]);
    });

    await t.test('RSA, with one between it and its root; ids are the subjects', async (t) => {
      const plan = planOf({ authentication: gateway });
      const peer = mirrored(plan, of(chain.certificates, chain.key));
      t.match(await stand(plan, peer), [
        { localId: 'CN=cloud.example', remoteId: 'O=Lab, CN=rsa', childSas: [{ state: 'INSTALLED' }] },
      ]);
    });

    await t.test('revoked, and the reason', async (t) => {
      const sayings = await heardFrom(t);
      root.revoke('office.example');
      const authentication = { ...gateway, ...ids, revocationLists: root.revocationList() };
      const plan = planOf({ authentication });
      await t.rejects(stand(plan, mirrored(plan, of(office.cert, office.key))), { code: 'HNV_SITE' });
      const { connection, reason } = await until('the reason', 5000, () => sayings[0]);
      t.equal(connection, 'branch');
      t.match(reason, /^authentication failed: the certificate of 'office\.example' was revoked on /);
    });
  });

  await t.test('a packet that waits for a tunnel is told', { skip: engine === 'kernel' }, async (t) => {
    const events = await ViciClient.connect(join(places[0]?.folder ?? '', 'charon.vici'));
    t.teardown(() => events.close());
    const wanted: (number | undefined)[] = [];
    await events.subscribe('log', (line) => wanted.push(wantedReqid(line)));
    const plan = planOf({ initiate: 'onTraffic' });
    await load(ours, plan);
    await near.ip('link', 'set', 'ipsec0', 'up');
    await near.ip('route', 'add', '10.2.0.0/24', 'dev', 'ipsec0', 'src', '10.1.0.1');
    await near.run(['ping', '-c', '1', '-W', '0.1', '10.2.0.1']);
    t.ok(await until('the number', 5000, () => wanted.includes(REQID)));
    await unload(ours, plan);
  });

  /** What our charon gives for reasons from now on. */
  async function heardFrom(t: Test): Promise<CharonSaying[]> {
    const sayings: CharonSaying[] = [];
    const events = await ViciClient.connect(join(places[0]?.folder ?? '', 'charon.vici'));
    const words = new CharonWords((saying) => sayings.push(saying));
    t.teardown(() => {
      words.close();
      events.close();
    });
    await events.subscribe('log', (line) => words.read(line));
    return sayings;
  }
});

/**
 * A certificate with an RSA key, followed by those that it comes from, in PEM. With the root: to a peer that asks for several
 * authorities, of which strongSwan does not know this one, it would show the first certificate alone.
 */
function rsaChain(dir: string): { root: string; certificates: string; key: string } {
  const make = (name: string, issuer: string | undefined, isAuthority: boolean) =>
    execFileSync(
      'openssl',
      [
        ...['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '2', '-subj', `/O=Lab/CN=${name}`],
        ...['-keyout', `${name}.key`, '-out', `${name}.crt`],
        ...(issuer === undefined ? [] : ['-CA', `${issuer}.crt`, '-CAkey', `${issuer}.key`]),
        ...['-addext', `basicConstraints=critical,CA:${isAuthority}`],
      ],
      { cwd: dir, stdio: 'pipe' },
    );
  make('chain root', undefined, true);
  make('between', 'chain root', true);
  make('rsa', 'between', false);
  const read = (file: string) => readFileSync(join(dir, file), 'utf8');
  return {
    ...{ root: read('chain root.crt'), key: read('rsa.key') },
    certificates: read('rsa.crt') + read('between.crt') + read('chain root.crt'),
  };
}
