/** The command line with a real gateway: what it writes carries packets, and what it shows is what the kernel has. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import type { DropSample } from '../../src/api/operations.ts';
import { INTERNET_ADDRESS } from '../lab/internet.ts';
import { Lab } from '../lab/lab.ts';
import { buildTopology, CONTOSO, provisionTenants } from '../lab/topology.ts';
import { until } from '../lab/until.ts';

const PROGRAM = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));

t.test('the command line and a gateway', { timeout: 120_000 }, async (t) => {
  const lab = await Lab.create(`cli${process.pid}`);
  t.teardown(() => lab.close());
  const { gateway, contoso } = await buildTopology(lab);
  await gateway.start();
  await provisionTenants(gateway.api);
  const server = `unix:${gateway.api.socketPath}`;
  /** Standard output; throws when it fails. */
  const hnvgw = async (...words: string[]): Promise<string> => {
    const args = ['-u', 'NODE_OPTIONS', process.execPath, PROGRAM, ...words, '--server', server];
    return (await gateway.namespace.runChecked(['env', ...args])).stdout;
  };
  const [vm] = contoso;
  const policyFile = join(lab.dir, 'policy.yaml');
  const emptyFile = join(lab.dir, 'empty.yaml');
  const reaches = () =>
    until('the VM is answered', 10_000, async () => (await vm.ping(INTERNET_ADDRESS, 1)).received === 1);

  await t.test(
    'a policy that is taken away and applied again carries packets when apply returns',
    async (t) => {
      await writeFile(policyFile, await hnvgw('get', 'policy'));
      await writeFile(emptyFile, 'routingDomains: []\n');
      await hnvgw('apply', '-f', emptyFile, '--whole');
      t.equal(await hnvgw('get', 'routing-domains'), 'There are no routing domains.\n');
      await hnvgw('apply', '-f', policyFile, '--whole');
      const { items } = JSON.parse(await hnvgw('get', 'routing-domains', '-o', 'json'));
      t.match(items, [{ status: { state: 'ready' } }, { status: { state: 'ready' } }]);
      await reaches();
    },
  );

  await t.test('status and counters tell what has passed', async (t) => {
    t.match(await hnvgw('status'), /^node +gateway .*\nstate +ready\n/);
    const { decapsulated, encapsulated } = JSON.parse(
      await hnvgw('counters', '-d', CONTOSO.rdid, '-o', 'json'),
    );
    t.ok(decapsulated.packets > 0 && encapsulated.packets > 0);
    t.match(await hnvgw('counters'), new RegExp(`${CONTOSO.rdid} +${decapsulated.packets} `));
  });

  await t.test('a VM whose record is deleted is dropped, which is told in words', async (t) => {
    const { items } = JSON.parse(await hnvgw('get', 'records', '-d', CONTOSO.rdid, '-o', 'json'));
    const record = items.find(
      ({ customerAddress }: { customerAddress: string }) => customerAddress === vm.ip,
    );
    await hnvgw('delete', 'record', record.id, '-d', CONTOSO.rdid);
    const said = new RegExp(
      `NVGRE 192\\.168\\.1\\.10 > 192\\.168\\.1\\.20 VSID ${CONTOSO.gatewayVsid}: ICMP echo request ${vm.ip} > `,
    );
    const shown = await until('a drop is sampled', 10_000, async () => {
      await vm.ping(INTERNET_ADDRESS, 1);
      const text = await hnvgw('drops', '-d', CONTOSO.rdid);
      return said.test(text) && text;
    });
    const [drop] = JSON.parse(await hnvgw('drops', '-d', CONTOSO.rdid, '-o', 'json')) as DropSample[];
    t.match(shown, new RegExp(`^${drop?.reason}: [A-Z].*\\.$`, 'm'), 'with what the reason means');
    await hnvgw('apply', '-f', policyFile);
    await reaches();
  });

  await t.test(
    'a deletion is over when the kernel has it, however long it may take',
    { timeout: 30_000 },
    async (t) => {
      const address = '192.168.1.99';
      await gateway.api.put(`/v1/provider-addresses/${address}`, { interface: 'pa9', prefixLength: 24 });
      t.match(await hnvgw('status'), /no interface pa9/);
      await hnvgw('delete', 'provider-address', address, '--wait', '60s');
      t.notMatch(await hnvgw('get', 'provider-addresses'), address);
    },
  );

  await t.test('the doctor finds a healthy node', async (t) => {
    const said = await hnvgw('doctor', '--config', gateway.configFile);
    t.match(said, /^ok {5}The gateway .* is ready, and the kernel has what the store says\.$/m);
    t.match(said, /^ok {5}All 2 routing domains are ready\.$/m);
    t.notMatch(said, /^wrong/m);
  });
});
