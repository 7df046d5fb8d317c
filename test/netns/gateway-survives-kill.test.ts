/** The data plane without its process: killed in the middle of traffic, nothing is lost; started again, nothing is remade. */
import t from 'tap';
import { kernelObjects } from '../lab/kernel-objects.ts';
import { Lab } from '../lab/lab.ts';
import { buildTopology, provisionTenants } from '../lab/topology.ts';
import { until } from '../lab/until.ts';

const INTERNET = '198.51.100.1';

t.test(
  'the gateway process is killed with SIGKILL in the middle of traffic',
  { timeout: 180_000 },
  async (t) => {
    const lab = await Lab.create(`kill${process.pid}`);
    t.teardown(() => lab.close());
    const { gateway, contoso, fabrikam, internet } = await buildTopology(lab);
    await gateway.start();
    await provisionTenants(gateway.api);
    const [vm] = contoso;
    const [other] = fabrikam;
    for (const each of [vm, other])
      await until('the way is warm', 10_000, async () => (await each.ping(INTERNET, 1)).received === 1);

    await t.test(
      'a ping flood at 1 ms loses no packet, through the kill and through the restart',
      async (t) => {
        const flood = await vm.namespace.spawn([
          'ping',
          '-n',
          '-q',
          '-i',
          '0.001',
          '-c',
          '4000',
          '-W',
          '2',
          INTERNET,
        ]);
        await flood.waitFor(/^PING/);
        await until('half a second of flood', 5_000, async () => {
          const counters = (await gateway.api.get(
            `/v1/routing-domains/11111111-1111-1111-1111-111111111111/counters`,
          )) as {
            decapsulated: { packets: number };
          };
          return counters.decapsulated.packets > 500;
        });
        await gateway.kill('SIGKILL');
        await gateway.start();
        t.ok(flood.running, 'the flood was still going on when the process was back');
        const [, sent, received] = await flood.waitFor(/(\d+) packets transmitted, (\d+) received/, 60_000);
        t.equal(sent, '4000');
        t.equal(received, sent, 'every echo came back');
      },
    );

    await t.test('a TCP transfer goes on without a retransmission', async (t) => {
      await internet.namespace
        .spawn(['iperf3', '-s', '-1', '-B', INTERNET, '--forceflush'])
        .then((server) => server.waitFor(/listening/));
      // At a rate that the lab's userspace switches carry without loss of their own, so that a loss is the gateway's.
      const client = await vm.namespace.spawn([
        'iperf3',
        '-c',
        INTERNET,
        '-t',
        '6',
        '-b',
        '50M',
        '-f',
        'm',
        '-i',
        '1',
        '--forceflush',
      ]);
      await client.waitFor(/^\[ {2}\d\] {3}1\.00-/, 20_000);
      await gateway.kill('SIGKILL');
      await client.waitFor(/^\[ {2}\d\] {3}2\.00-/, 20_000);
      await gateway.start();
      const [, mbits, retransmissions] = await client.waitFor(/([\d.]+) Mbits\/sec +(\d+) +sender/, 60_000);
      await client.exited;
      t.equal(retransmissions, '0', 'no segment was lost');
      t.ok(Number(mbits) > 40, `the transfer kept its rate (${mbits} Mbit/s of 50)`);
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

    await t.test('policy that changed while the process was away takes effect at the start', async (t) => {
      const path = '/v1/routing-domains/22222222-2222-2222-2222-222222222222';
      await gateway.api.delete(`${path}?wait=10s`);
      await gateway.restart('SIGKILL');
      t.equal((await other.ping(INTERNET, 1)).received, 0, 'the removed tenant is off');
      t.equal((await vm.ping(INTERNET, 3)).received, 3, 'the other one is on');
    });
  },
);
