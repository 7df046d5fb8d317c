/**
 * What happens to BGP sessions of the real gateway in their life costs no packet: peers, the gateway and its FRR end in the hard way
 * and start again; and FRR refuses a configuration.
 */
import { readFileSync } from 'node:fs';
import t from 'tap';
import { buildBgpEnds, OWN_ASN, PEER, PEER_WITH_BFD, pinged, underPing } from '../lab/bgp-ends.ts';
import { runDirectory } from '../lab/gateway-remains.ts';
import { Lab } from '../lab/lab.ts';
import { LINK, type RoutedDomain } from '../lab/routed-domains.ts';
import { until } from '../lab/until.ts';

/** FRR's daemons in a context, by name. */
async function daemons(domain: RoutedDomain): Promise<Map<string, number>> {
  const named = (await domain.pids()).map((pid): [string, number] => {
    return [readFileSync(`/proc/${pid}/comm`, 'utf8').trim(), pid];
  });
  return new Map(named.filter(([name]) => ['zebra', 'bgpd', 'bfdd'].includes(name)));
}

t.test('the life of BGP sessions', { timeout: 120_000 }, async (t) => {
  const lab = await Lab.create(`bgpl${process.pid}`);
  t.teardown(() => lab.close());
  const { built, first, second } = await buildBgpEnds(lab);
  const { gateway } = built;
  const ends = [first, second];
  for (const end of ends) await end.isWhole();

  await t.test('the gateway is killed and starts again: the same sessions, no packet lost', async (t) => {
    const seen = () =>
      Promise.all(
        ends.map(async ({ domain, speaker }) => {
          return [await speaker.connection(LINK.domain), [...(await daemons(domain)).values()]];
        }),
      );
    const before = await seen();
    await underPing(t, ends, async () => {
      await gateway.restart('SIGKILL');
      for (const end of ends) await end.isWhole();
      await first.domain.patchBgp({ peers: [PEER_WITH_BFD] });
      await gateway.restart('SIGTERM');
      for (const end of ends) await end.isWhole();
    });
    t.same(await seen(), before);
  });

  await t.test('FRR is killed: forwarding goes on, and it is back within 5 s', async (t) => {
    for (const names of [['bgpd'], ['zebra'], ['bgpd', 'bfdd', 'zebra']])
      await underPing(t, ends, async () => {
        const before = await daemons(first.domain);
        const killed = performance.now();
        for (const name of names) process.kill(before.get(name) ?? Number.NaN, 'SIGKILL');
        await until('all of it runs again', 5_000, async () => {
          const now = await daemons(first.domain);
          return now.size === 3 && names.every((name) => now.get(name) !== before.get(name));
        });
        await first.domain.peerIsUp();
        const seconds = (performance.now() - killed) / 1000;
        t.ok(seconds < 5, `${names.join(', ')}: back after ${seconds.toFixed(1)} s`);
        await first.isWhole();
      });
  });

  await t.test('a session that flaps comes back each time, the other tenant notices nothing', async (t) => {
    await underPing(t, [second], async () => {
      for (let flap = 0; flap < 2; flap++) {
        await first.speaker.bounce(LINK.domain);
        await first.isWhole();
      }
    });
    await first.talk(t);
  });

  await t.test('a peer that starts anew keeps its routes, and has ours', async (t) => {
    // With BFD, which is gone for as long, routes are taken away.
    await first.domain.patchBgp({ peers: [PEER] });
    await first.isWhole();
    for (const end of ends) {
      const results = await pinged(ends, async () => {
        await end.speaker.kill();
        await end.speaker.start();
        await end.isWhole();
      });
      // BIRD does not wait for the routes of who says that it has restarted, as FRR does for two minutes.
      const longest = Math.max(...results.map(({ longestGap }) => longestGap));
      t.ok(longest < 300, `no gap is longer than ${longest} ms`);
      if (end === second)
        t.same(
          results.flatMap(({ lost }) => lost),
          [],
        );
    }
  });

  await t.test('what FRR refuses is told, and what it had goes on', async (t) => {
    const address = '172.31.0.77';
    const { domain } = first;
    // What the policy knows nothing of: somebody has made another peer of it.
    const folder = `${runDirectory(gateway.instance)}/bgp/${domain.netns}`;
    const byHand = [
      ...['configure terminal', `router bgp ${OWN_ASN}`, 'neighbor others peer-group'],
      ...['neighbor others remote-as 65099', `neighbor ${address} peer-group others`],
    ].flatMap((command) => ['-c', command]);
    await lab.runChecked('vtysh', ['--vty_socket', folder, '-d', 'bgpd', ...byHand]);
    const before = await first.speaker.connection(LINK.domain);
    const resource = async () => JSON.stringify(await gateway.api.get(`${domain.base}/bgp`));
    await underPing(t, ends, async () => {
      await gateway.api.patch(`${domain.base}/bgp`, {
        peers: [PEER, { name: 'refused', address, asn: 65_030, password: 'secret-word' }],
      });
      await until('the reason is told', 10_000, async () => /FRR refuses/.test(await resource()));
      t.match(await resource(), /"state":"failed"/);
      t.match((await domain.bgp()).refused, `FRR refuses 'neighbor ${address} remote-as 65030': `);
      t.notMatch(await resource(), /secret-word|both-know-it/);
      await first.isWhole();
      t.equal(await first.speaker.connection(LINK.domain), before);
      await domain.patchBgp({ peers: [PEER] });
    });
    t.equal((await domain.bgp()).refused, undefined);
    t.equal(await first.speaker.connection(LINK.domain), before);
  });
});
