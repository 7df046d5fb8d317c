/**
 * What happens to tunnels in their life: new keys, a peer that starts anew, a gateway and an IKE daemon that are killed, changes
 * and deletions, all of it while packets of two tenants, alike inside, are under way.
 */
import { existsSync, readdirSync } from 'node:fs';
import t, { type Test } from 'tap';
import { routerAddress } from '../lab/address.ts';
import { runDirectory } from '../lab/gateway-remains.ts';
import { Lab } from '../lab/lab.ts';
import { Pinger } from '../lab/pinger.ts';
import {
  addSite,
  buildSiteDomains,
  connectionTo,
  SITE_SUBNET,
  tunnelTo,
  VM_SUBNET,
} from '../lab/site-domains.ts';
import { serveTransfer, Transfer } from '../lab/transfer.ts';
import { until } from '../lab/until.ts';
import { ping } from '../lab/vm.ts';

const EXTERNAL = ['198.51.100.101', '198.51.100.102'];
const KEY = 'the key of both sides';
const BYTES = 8_000_000;
const BYTES_PER_SECOND = 400_000;
const OTHER_SUBNET = '192.168.51.0/24';

t.test('the life of tunnels', { timeout: 180_000 }, async (t) => {
  const lab = await Lab.create(`s2sl${process.pid}`);
  t.teardown(() => lab.close());
  const built = await buildSiteDomains(lab);
  const { gateway } = built;
  const makeEnd = async (index: number, espProposals: string) => {
    const domain = built.domains[index];
    const external = EXTERNAL[index];
    if (domain === undefined || external === undefined) throw new Error(`there is no tenant ${index}`);
    const site = await addSite(built, {
      ...{ name: `site${index}`, addresses: [`192.0.2.1${index}`], subnets: [SITE_SUBNET, OTHER_SUBNET] },
    });
    // What is sent waits for the one who reads, and not in queues on the way.
    await site.host.ip('route', 'add', VM_SUBNET, 'via', routerAddress(SITE_SUBNET), 'window', '32768');
    const tunnel = {
      ...tunnelTo(external, site, KEY, { dpdSeconds: 5, espProposals }),
      local: [SITE_SUBNET],
    };
    await site.setTunnels([tunnel]);
    await domain.putNat(external);
    const body = connectionTo(site, KEY, {
      subnets: [{ prefix: SITE_SUBNET }],
      // So short that keys are made anew all the time.
      quickMode: { saLifeTimeSeconds: 10 },
    });
    await domain.putConnection('office', body);
    return { domain, site, tunnel, body, external };
  };
  const [first, second] = [
    await makeEnd(0, 'aes256gcm16-ecp384'),
    // Without forward secrecy.
    await makeEnd(1, 'default'),
  ];
  for (const { domain } of [first, second]) await domain.reaches('office', 'connected');

  /** Runs `work` while both tenants' packets go both ways; none may be lost of those in `unharmed`. */
  const underTraffic = async (t: Test, unharmed: readonly (typeof first)[], work: () => Promise<void>) => {
    const pingers = await Promise.all(
      unharmed.flatMap(({ domain, site }) => [
        Pinger.answered(domain.vm.namespace, site.hostAddress()),
        Pinger.answered(site.host, domain.vm.ip),
      ]),
    );
    const transfers = await Promise.all(
      unharmed.map(async ({ domain, site }) => {
        const server = await serveTransfer(domain.vm.namespace, domain.vm.ip, 8000, BYTES);
        const transfer = await Transfer.start(site.host, domain.vm.ip, 8000, BYTES_PER_SECOND);
        await transfer.reaches(BYTES_PER_SECOND / 4);
        return { server, transfer };
      }),
    );
    try {
      await work();
    } finally {
      for (const pinger of pingers) {
        const { sent, lost, longestGap } = await pinger.stop();
        t.same(lost, [], `none of ${sent} pings was lost, with gaps of ${longestGap} ms at most`);
      }
      for (const { server, transfer } of transfers) {
        transfer.hurry();
        t.match(await transfer.finished(), { bytes: BYTES, intact: true });
        await server.end();
      }
    }
  };

  await t.test('new keys from both sides, and a new IKE SA, lose no packet', async (t) => {
    const { site } = first;
    const known = new Set<string>();
    /** Keys that have not been seen before. Old ones stay for a while, for packets under way. */
    const areNew = async ({ domain } = first) => {
      const { ikeSas } = await domain.live('office');
      const spis = ikeSas.flatMap(({ childSas }) => childSas.map(({ spiIn }) => spiIn));
      const fresh = spis.some((spi) => !known.has(spi));
      for (const spi of spis) known.add(spi);
      return fresh;
    };
    await areNew();
    await underTraffic(t, [first, second], async () => {
      for (const what of ['--child', '--child', '--ike', '--child', '--ike']) {
        await site.swanctl('--rekey', what, 'cloud');
        if (what === '--child') await until('there are new keys', 5_000, () => areNew());
      }
      await areNew(second);
      for (const each of [first, second])
        await until('the gateway makes new keys by itself', 15_000, () => areNew(each));
    });
    for (const { domain } of [first, second]) await domain.reaches('office', 'connected');
  });

  await t.test('the gateway is killed, and starts again: the same daemons, no packet lost', async (t) => {
    const pids = await Promise.all([first, second].map(({ domain }) => domain.daemonPid()));
    t.ok(pids.every((pid) => pid !== undefined));
    await underTraffic(t, [first, second], async () => {
      await gateway.restart('SIGKILL');
      for (const { domain } of [first, second]) {
        const { ikeSas } = await domain.reaches('office', 'connected');
        t.ok((ikeSas[0]?.ageSeconds ?? 0) > 0);
      }
      // Nothing of what there was is made anew later either.
      await gateway.api.put(`${first.domain.base}/nat?wait=10s`, {
        externalAddresses: [{ ipAddress: first.external }, { ipAddress: '198.51.100.111' }],
      });
      await gateway.restart('SIGTERM');
      for (const { domain } of [first, second]) await domain.reaches('office', 'connected');
    });
    t.same(await Promise.all([first, second].map(({ domain }) => domain.daemonPid())), pids);
  });

  await t.test(
    'an IKE daemon is killed: back within 5 s, and the other tenant notices nothing',
    async (t) => {
      const { domain, site } = first;
      const pid = await domain.daemonPid();
      if (pid === undefined) throw new Error('there is no daemon');
      const pinger = await Pinger.answered(domain.vm.namespace, site.hostAddress());
      await underTraffic(t, [second], async () => {
        const killed = Date.now();
        process.kill(pid, 'SIGKILL');
        await until('it has ended', 2_000, async () => (await domain.daemonPid()) !== pid);
        const away = await pinger.answerAfter(Math.max(killed + 20, Date.now()));
        t.comment(`away for ${Math.round(Date.now() - killed)} ms (${Math.round(away)})`);
        t.ok(Date.now() - killed < 5_000);
        await domain.reaches('office', 'connected');
      });
      await pinger.stop();
      t.not(await domain.daemonPid(), pid);
    },
  );

  await t.test('a site’s strongSwan is killed, and starts again with nothing', async (t) => {
    const { domain, site } = first;
    await underTraffic(t, [second], async () => {
      await site.kill();
      await site.start();
      // The site does not begin: the gateway finds out that its peer knows nothing of the tunnel.
      const started = Date.now();
      await until('the site has a tunnel again', 40_000, () => site.hasChild('cloud'));
      t.comment(`back after ${Math.round((Date.now() - started) / 1000)} s`);
    });
    await domain.reaches('office', 'connected');
    t.match(await domain.vm.ping(site.hostAddress(), 1), { received: 1 });
    t.match(await ping(site.host, domain.vm.ip, 1), { received: 1 });
  });

  await t.test('another key and other subnets', async (t) => {
    const { domain, site, tunnel } = first;
    const key = 'a new key, longer than the first';
    await site.setTunnels([{ ...tunnel, key }]);
    await underTraffic(t, [second], async () => {
      await domain.patchConnection('office', { authentication: { preSharedKey: key } });
      await domain.reaches('office', 'connected', () => true, 30_000);
      t.match(await domain.vm.ping(site.hostAddress(), 1), { received: 1 });
      await site.setTunnels([{ ...tunnel, key, local: [OTHER_SUBNET] }]);
      await domain.patchConnection('office', { subnets: [{ prefix: OTHER_SUBNET }] });
      await domain.reaches('office', 'connected', () => true, 30_000);
    });
    t.match(await domain.vm.ping(site.hostAddress(OTHER_SUBNET), 1), { received: 1 });
    t.match(await domain.vm.ping(site.hostAddress(SITE_SUBNET), 1), { received: 0 }, 'the old one is gone');
  });

  await t.test('a connection is deleted: nothing of it stays', async (t) => {
    const { domain, site, body } = first;
    await underTraffic(t, [second], async () => {
      await domain.deleteConnection('office');
      await until('the site has been told', 5_000, async () => !(await site.hasChild('cloud')));
      await until('the daemon has ended', 5_000, async () => (await domain.daemonPid()) === undefined);
    });
    const inside = await lab.runChecked('ip', ['-n', domain.netns, 'route', 'show', 'table', 'all']);
    t.notMatch(inside.stdout, /192\.168\.5|ipsec0/);
    t.notMatch((await lab.runChecked('ip', ['-n', domain.netns, 'link'])).stdout, /ipsec0/);
    const rules = await lab.runChecked('nsenter', [
      `--net=/run/netns/${domain.netns}`,
      'nft',
      'list',
      'tables',
    ]);
    t.notMatch(rules.stdout, /hnvgw_sites/);
    t.notOk(existsSync(`${runDirectory(gateway.instance)}/ipsec/${domain.netns}`));
    await domain.putConnection('office', {
      ...body,
      subnets: [{ prefix: OTHER_SUBNET }],
      authentication: { ...body.authentication, preSharedKey: 'a new key, longer than the first' },
    });
    await domain.reaches('office', 'connected');
    t.match(await domain.vm.ping(site.hostAddress(OTHER_SUBNET), 1), { received: 1 }, 'and it comes back');
  });

  await t.test('a tenant is deleted: nothing of it stays', async (t) => {
    const { domain } = first;
    const pid = await domain.daemonPid();
    await underTraffic(t, [second], async () => {
      await gateway.api.delete(`${domain.base}?wait=10s`);
      await until('the daemon has ended', 5_000, () => !existsSync(`/proc/${pid}`));
      await until('the context has gone', 5_000, () => !existsSync(`/run/netns/${domain.netns}`));
    });
    t.same(readdirSync(`${runDirectory(gateway.instance)}/ipsec`), [second.domain.netns]);
  });
});
