/** strongSwan's IKE daemon in routing contexts: started, found again, ended, and talked with; the real one. */
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, readlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import t from 'tap';
import {
  charonPlace,
  endCharon,
  isCharonThere,
  type RunningCharon,
  runCharon,
} from '../../src/s2s/charon.ts';
import { ipsecEngine } from '../../src/s2s/engine.ts';
import { ViciClient } from '../../src/s2s/vici-client.ts';
import { Lab } from '../lab/lab.ts';
import { until } from '../lab/until.ts';

const INSTANCE = 'scharon';
const MODULE = new URL('../../src/s2s/charon.ts', import.meta.url).href;
const SECRET = 'a-secret-of-this-test';

t.test('charon', { timeout: 120_000 }, async (t) => {
  const engine = ipsecEngine();
  const lab = await Lab.create(INSTANCE);
  t.teardown(() => lab.close());
  const [left, right] = [await lab.namespace('left'), await lab.namespace('right')];
  const [leftPlace, rightPlace] = [charonPlace(INSTANCE, left.name), charonPlace(INSTANCE, right.name)];
  const places = [leftPlace, rightPlace];
  // Before the lab is closed, and whatever has failed.
  t.teardown(() => Promise.all(places.map(endCharon)));
  await lab.veth(left, 'ext', right, 'ext');
  await left.ipBatch(['addr add 192.0.2.1/24 dev ext', 'addr add 10.1.0.1/32 dev lo']);
  await right.ipBatch(['addr add 192.0.2.2/24 dev ext', 'addr add 10.2.0.1/32 dev lo']);

  let running: RunningCharon;

  await t.test('starts in its namespace, and takes nothing of this process along', async (t) => {
    t.equal(isCharonThere(leftPlace), false);
    running = await runCharon(leftPlace, engine);
    t.match(running, { socket: `/run/hnvgw/${INSTANCE}/ipsec/${left.name}/charon.vici`, isNew: true });
    t.equal(isCharonThere(leftPlace), true);
    const proc = `/proc/${running.pid}`;
    t.equal(
      readlinkSync(`${proc}/ns/net`),
      (await left.runChecked(['readlink', '/proc/self/ns/net'])).stdout.trim(),
    );
    t.equal(readFileSync(`${proc}/cmdline`, 'utf8'), '/usr/sbin/charon-systemd\0');
    t.equal(readFileSync(`${proc}/environ`, 'utf8'), `STRONGSWAN_CONF=${leftPlace.folder}/strongswan.conf\0`);
    const [, , , , , session] = readFileSync(`${proc}/stat`, 'utf8').split(' ');
    t.equal(session, String(running.pid), 'a session of its own');
    const files = readdirSync(`${proc}/fd`).map((fd) => readlinkSync(`${proc}/fd/${fd}`));
    t.same(files.slice(0, 2), ['/dev/null', '/dev/null']);
    const foreign = files.filter(
      (file) => !/^(socket|pipe|anon_inode):|^\/dev\/(null|u?random|net\/tun)$|^\/memfd:hnvgw /.test(file),
    );
    t.same(foreign, []);
  });

  await t.test('is found again', async (t) => {
    t.same(await runCharon(leftPlace, engine), { ...running, isNew: false });
  });

  await t.test('has every algorithm that may be asked for, and nothing of /etc', async (t) => {
    const client = await ViciClient.connect(running.socket);
    t.teardown(() => client.close());
    const algorithms = JSON.stringify(await client.command('get-algorithms'));
    for (const one of [
      'AES_CBC',
      'AES_GCM_16',
      '3DES_CBC',
      'DES_CBC',
      'HMAC_SHA2_256_128',
      'HMAC_SHA2_512_256',
    ])
      t.match(algorithms, `"${one}"`);
    for (const one of [
      'HMAC_SHA2_384_192',
      'HMAC_SHA1_96',
      'HMAC_MD5_96',
      'PRF_HMAC_SHA2_384',
      'PRF_HMAC_MD5',
    ])
      t.match(algorithms, `"${one}"`);
    for (const one of ['CURVE_25519', 'ECP_256', 'ECP_384', 'MODP_768', 'MODP_1024', 'MODP_2048'])
      t.match(algorithms, `"${one}"`);
    for (const one of ['MODP_3072', 'MODP_4096', 'MODP_2048_256']) t.match(algorithms, `"${one}"`);
    t.match((await client.command('get-counters')).counters, { '': { invalid: '0' } });
    t.same((await client.command('get-conns')).conns, []);
  });

  await t.test('two side by side have a tunnel, and the key is nowhere to be read', async (t) => {
    const other = await runCharon(rightPlace, engine);
    t.equal(other.isNew, true);
    const clients = [await ViciClient.connect(running.socket), await ViciClient.connect(other.socket)];
    t.teardown(() => {
      for (const client of clients) client.close();
    });
    const [one, two] = clients as [ViciClient, ViciClient];
    const events: unknown[] = [];
    await one.subscribe('child-updown', (message) => events.push(message.up));
    if (engine === 'kernel')
      for (const namespace of [left, right])
        await namespace.ip('link', 'add', 'ipsec0', 'up', 'type', 'xfrm', 'dev', 'ext', 'if_id', '1');
    await left.ip('route', 'add', '10.2.0.0/24', 'dev', 'ipsec0', 'src', '10.1.0.1');
    await right.ip('route', 'add', '10.1.0.0/24', 'dev', 'ipsec0', 'src', '10.2.0.1');
    const ends: [ViciClient, string, string, string, string][] = [
      [one, '192.0.2.1', '192.0.2.2', '10.1.0.0/24', '10.2.0.0/24'],
      [two, '192.0.2.2', '192.0.2.1', '10.2.0.0/24', '10.1.0.0/24'],
    ];
    for (const [client, local, remote, near, far] of ends) {
      await client.command('load-shared', { id: 'site', type: 'ike', data: SECRET, owners: [local, remote] });
      const through = engine === 'kernel' ? { if_id_in: 1, if_id_out: 1 } : {};
      await client.command('load-conn', {
        site: {
          version: 2,
          local_addrs: [local],
          remote_addrs: [remote],
          proposals: ['aes256gcm16-prfsha384-x25519'],
          local: { auth: 'psk', id: local },
          remote: { auth: 'psk', id: remote },
          children: {
            site: { local_ts: [near], remote_ts: [far], esp_proposals: ['aes256gcm16-x25519'], ...through },
          },
        },
      });
    }
    await one.command('initiate', { child: 'site', ike: 'site', timeout: 5000 });
    t.same(events, ['yes']);
    await left.runChecked(['ping', '-c', '3', '-i', '0.01', '-W', '2', '10.2.0.1']);
    t.match(JSON.stringify(await two.list('list-sas', 'list-sa')), '"packets-in":"3"');
    for (const place of places) {
      const { pid } = await runCharon(place, engine);
      const readable = [
        ...readdirSync(place.folder)
          .filter((file) => file !== 'charon.vici')
          .map((file) => join(place.folder, file)),
        ...['cmdline', 'environ', 'fd/2'].map((file) => `/proc/${pid}/${file}`),
      ];
      for (const file of readable) t.notMatch(readFileSync(file, 'latin1'), SECRET, file);
    }
  });

  await t.test('when one is killed its connection ends, and a new one takes its place', async (t) => {
    const client = await ViciClient.connect(running.socket);
    process.kill(running.pid, 'SIGKILL');
    await client.closed;
    const again = await runCharon(leftPlace, engine);
    t.equal(again.isNew, true);
    t.not(again.pid, running.pid);
    t.equal(existsSync(`/proc/${running.pid}`), false, 'no zombie');
    if (engine === 'userspace') t.match(await left.ip('-o', 'link'), / ipsec0: .*,UP/);
    if (engine === 'kernel') t.equal(await left.ip('xfrm', 'state'), '');
    running = again;
  });

  await t.test(
    'goes on when the process that has started it is killed, and is found by the next',
    async (t) => {
      await endCharon(leftPlace);
      const [node = '', ...args] = nodeRunning(`
        import { writeSync } from 'node:fs';
        import { runCharon } from ${JSON.stringify(MODULE)};
        const { pid } = await runCharon(${JSON.stringify(leftPlace)}, '${engine}');
        writeSync(1, String(pid));
        process.kill(process.pid, 'SIGKILL');
      `);
      const child = spawnSync(node, args, { encoding: 'utf8' });
      t.match(child, { signal: 'SIGKILL', stderr: '' });
      const found = await runCharon(leftPlace, engine);
      t.match(found, { pid: Number(child.stdout), isNew: false });
      // Killed before it could make its note.
      writeFileSync(join(leftPlace.folder, 'pid'), '');
      t.equal(isCharonThere(leftPlace), true);
      t.same(await runCharon(leftPlace, engine), found);
      t.match(readFileSync(join(leftPlace.folder, 'pid'), 'utf8'), new RegExp(`^${found.pid} \\d+\\n$`));
      running = found;
    },
  );

  await t.test('is another one when it has other settings, or its namespace has gone', async (t) => {
    writeFileSync(join(leftPlace.folder, 'strongswan.conf'), '');
    const other = await runCharon(leftPlace, engine);
    t.equal(other.isNew, true);
    await until('the first one is gone', 5000, () => !isRunning(running.pid));
    await lab.runChecked('ip', ['netns', 'del', left.name]);
    await lab.runChecked('ip', ['netns', 'add', left.name]);
    running = await runCharon(leftPlace, engine);
    t.equal(running.isNew, true);
    t.equal(isRunning(other.pid), false);
  });

  await t.test('says why it does not start', async (t) => {
    const place = charonPlace(INSTANCE, `${left.name}-2`);
    t.teardown(() => endCharon(place));
    const program = nodeRunning(`
      import { runCharon } from ${JSON.stringify(MODULE)};
      const place = ${JSON.stringify({ ...place, netns: left.name })};
      await runCharon(place, 'userspace').catch(({ code, message }) => console.log(code, message));
    `);
    // What should be the TUN driver is none.
    const inside = ['sh', '-c', 'mount --bind /dev/null /dev/net/tun && exec "$@"', 'sh', ...program];
    const { stdout } = await lab.runChecked('unshare', ['--mount', ...inside]);
    t.match(stdout, /^HNV_SITE The IKE daemon has ended at its start: .*TUN device/);
    t.equal(isCharonThere(place), false);
    await t.rejects(runCharon(place, engine), { code: 'HNV_NETNS' });
  });

  await t.test('ends, and leaves no process and no file; another process is never ended', async (t) => {
    const sleeper = await lab.spawn('sleep', ['600']);
    const place = charonPlace(INSTANCE, `${left.name}-3`);
    await lab.runChecked('mkdir', ['-p', place.folder]);
    writeFileSync(join(place.folder, 'pid'), `${sleeper.pid} 1\n`);
    t.equal(isCharonThere(place), false);
    await endCharon(place);
    t.equal(sleeper.running, true);
    const pids = [running.pid, (await runCharon(rightPlace, engine)).pid];
    await Promise.all(places.map(endCharon));
    for (const pid of pids) t.equal(isRunning(pid), false);
    for (const one of places) t.equal(isCharonThere(one), false);
    t.equal(existsSync(dirname(dirname(leftPlace.folder))), false);
    await endCharon(leftPlace); // once more does no harm
    await sleeper.end();
  });
});

const nodeRunning = (script: string): string[] => [process.execPath, '--input-type=module', '--eval', script];

/** A process that has ended and that its parent has not asked for is none. */
function isRunning(pid: number): boolean {
  try {
    return !/^\d+ \(.*\) [ZX]/.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
  } catch {
    return false;
  }
}
