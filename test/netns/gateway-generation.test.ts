/** Other table sizes make another generation of the data plane: it takes over under traffic, and the old one goes. */
import { readdirSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import t from 'tap';
import { parse, stringify } from 'yaml';
import { pinDirectory } from '../lab/gateway-remains.ts';
import { Lab } from '../lab/lab.ts';
import { buildTopology, provisionTenants } from '../lab/topology.ts';
import { until } from '../lab/until.ts';

const INTERNET = '198.51.100.1';

t.test('a restart with larger tables takes over without losing a packet', { timeout: 120_000 }, async (t) => {
  const lab = await Lab.create(`gen${process.pid}`);
  t.teardown(() => lab.close());
  const { gateway, contoso } = await buildTopology(lab);
  await gateway.start();
  await provisionTenants(gateway.api);
  const [vm] = contoso;
  await until('the way is warm', 10_000, async () => (await vm.ping(INTERNET, 1)).received === 1);
  const before = readdirSync(pinDirectory(gateway.instance));
  t.equal(before.length, 1);

  const flood = await vm.namespace.spawn([
    'ping',
    '-n',
    '-q',
    '-i',
    '0.002',
    '-c',
    '2000',
    '-W',
    '2',
    INTERNET,
  ]);
  await flood.waitFor(/^PING/);
  const config = parse(await readFile(gateway.configFile, 'utf8'));
  await writeFile(gateway.configFile, stringify({ ...config, capacity: { routingDomains: 2000 } }));
  await gateway.restart('SIGKILL');
  t.ok(flood.running, 'the traffic was still going on');
  const [, sent, received] = await flood.waitFor(/(\d+) packets transmitted, (\d+) received/, 60_000);
  t.equal(sent, '2000');
  t.equal(received, sent, 'every echo came back');

  const after = readdirSync(pinDirectory(gateway.instance));
  t.equal(after.length, 1, 'the pins of the old generation are gone');
  t.not(after[0], before[0]);
  t.equal((await vm.ping(INTERNET, 3)).received, 3);
});
