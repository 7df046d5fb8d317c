/** The data plane without its process: killed in the middle of traffic, nothing is lost; started again, nothing is remade. */
import t from 'tap';
import { kernelObjects } from '../lab/kernel-objects.ts';
import { Lab } from '../lab/lab.ts';
import { buildTopology, CONTOSO, FABRIKAM, provisionTenants } from '../lab/topology.ts';
import { until } from '../lab/until.ts';

const INTERNET = '198.51.100.1';
/** iperf3's port: packets of the transfer, to and from the internet, as the internet counts them. */
const COUNTING = `table ip count {
  chain in { type filter hook input priority 0; tcp dport 5201 counter; }
  chain out { type filter hook output priority 0; tcp sport 5201 counter; }
}`;

interface Counters {
  decapsulated: { packets: number };
  encapsulated: { packets: number };
  drops: Record<string, number>;
}

t.test('the gateway is killed with SIGKILL in the middle of traffic', { timeout: 180_000 }, async (t) => {
  const lab = await Lab.create(`kill${process.pid}`);
  t.teardown(() => lab.close());
  const { gateway, contoso, fabrikam, internet } = await buildTopology(lab);
  await gateway.start();
  await provisionTenants(gateway.api);
  const [vm] = contoso;
  const [other] = fabrikam;
  const counters = async (): Promise<Counters> =>
    (await gateway.api.get(`/v1/routing-domains/${CONTOSO.rdid}/counters`)) as Counters;
  for (const each of [vm, other])
    await until('the way is warm', 10_000, async () => (await each.ping(INTERNET, 1)).received === 1);

  await t.test('a ping flood at 1 ms loses no packet, through the kill and the restart', async (t) => {
    const command = `ping -n -q -i 0.001 -c 4000 -W 2 ${INTERNET}`;
    const flood = await vm.namespace.spawn(command.split(' '));
    await flood.waitFor(/^PING/);
    await until('500 echoes', 5_000, async () => (await counters()).decapsulated.packets > 500);
    await gateway.kill('SIGKILL');
    await gateway.start();
    t.ok(flood.running, 'the flood was still going on when the process was back');
    const [, sent, received] = await flood.waitFor(/(\d+) packets transmitted, (\d+) received/, 60_000);
    t.equal(sent, '4000');
    t.equal(received, sent, 'every echo came back');
  });

  await t.test('a TCP transfer loses no segment in the gateway', async (t) => {
    // Both sides of the gateway count: what its data plane took in and what the internet got, and the other way round.
    await internet.namespace.runChecked(['nft', '-f', '-'], { input: COUNTING });
    const server = await internet.namespace.spawn(['iperf3', '-s', '-1', '-B', INTERNET, '--forceflush']);
    await server.waitFor(/listening/);
    const before = await counters();
    const client = await vm.namespace.spawn(`iperf3 -c ${INTERNET} -t 6 -b 50M -f m --forceflush`.split(' '));
    await client.waitFor(/^\[ {2}\d\] {3}1\.00-/, 20_000);
    await gateway.kill('SIGKILL');
    await client.waitFor(/^\[ {2}\d\] {3}2\.00-/, 20_000);
    await gateway.start();
    const [, mbits, again] = await client.waitFor(/([\d.]+) Mbits\/sec +(\d+) +sender/, 60_000);
    await Promise.all([client.exited, server.exited]);
    t.ok(Number(mbits) > 40, `the transfer kept its rate (${mbits} Mbit/s of 50)`);
    const after = await counters();
    const { stdout } = await internet.namespace.runChecked(['nft', 'list', 'table', 'ip', 'count']);
    const [toInternet, fromInternet] = [...stdout.matchAll(/packets (\d+)/g)].map((match) =>
      Number(match[1]),
    );
    t.equal(
      after.decapsulated.packets - before.decapsulated.packets,
      toInternet,
      'every segment outwards left it',
    );
    t.equal(
      after.encapsulated.packets - before.encapsulated.packets,
      fromInternet,
      'and every segment inwards',
    );
    t.same(after.drops, {}, 'nothing was dropped');
    t.comment(`retransmissions, those for losses in the lab's userspace switches included: ${again}`);
  });

  await t.test('a restart adopts what is there and makes nothing anew', async (t) => {
    const before = await kernelObjects(gateway);
    await gateway.restart('SIGKILL');
    t.same(await kernelObjects(gateway), before, 'every object of the kernel is the one from before');
    await gateway.restart('SIGTERM');
    t.same(await kernelObjects(gateway), before, 'also after an orderly end');
    const status = (await gateway.api.get('/v1/status')) as { routingDomains: unknown };
    t.same(status.routingDomains, { ready: 2, pending: 0, failed: 0 });
  });

  await t.test('policy that changed just before the kill takes effect at the start', async (t) => {
    await gateway.api.delete(`/v1/routing-domains/${FABRIKAM.rdid}`);
    await gateway.restart('SIGKILL');
    t.equal((await other.ping(INTERNET, 1)).received, 0, 'the removed tenant is off');
    t.equal((await vm.ping(INTERNET, 3)).received, 3, 'the other one is on');
  });
});
