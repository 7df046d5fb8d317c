/** The lab's DHCP server and client talk to each other over a plain bridge. */
import { readFile } from 'node:fs/promises';
import t from 'tap';
import { requestLease, serveDhcp } from '../lab/dhcp.ts';
import { Lab } from '../lab/lab.ts';
import { ping } from '../lab/vm.ts';

t.test('DHCP on a bridge', { timeout: 60_000 }, async (t) => {
  const lab = await Lab.create(`ld${process.pid}`);
  t.teardown(() => lab.close());
  const names = await readFile('/etc/resolv.conf', 'utf8').catch(() => 'none');
  const segment = await lab.namespace('segment');
  const server = await lab.namespace('server');
  const client = await lab.namespace('client');
  await lab.veth(server, 'eth0', segment, 'port0');
  await lab.veth(client, 'eth0', segment, 'port1');
  await lab.bridge(segment, 'br0', ['port0', 'port1']);
  await server.ip('addr', 'add', '10.1.1.2/24', 'dev', 'eth0');

  await t.test('a client that nobody answers gets no lease', async (t) => {
    t.equal(await requestLease(client, 'eth0', { timeoutSeconds: 1 }), undefined);
  });

  const range = { first: '10.1.1.100', last: '10.1.1.110', mask: '255.255.255.0', router: '10.1.1.1' };
  const [link] = JSON.parse(await client.ip('-json', 'link', 'show', 'dev', 'eth0')) as { address: string }[];
  await serveDhcp(server, 'eth0', { ...range, fixed: [{ mac: link?.address ?? '', ip: '10.1.1.50' }] });

  await t.test('a lease gives address and default route', async (t) => {
    const lease = await requestLease(client, 'eth0');
    const want = {
      ip: '10.1.1.50',
      mask: range.mask,
      router: range.router,
      server: '10.1.1.2',
      seconds: 120,
    };
    t.same(lease, want);
    t.equal((await ping(client, '10.1.1.2', 1)).received, 1);
    t.match(await client.ip('route', 'show', 'default'), /via 10\.1\.1\.1 dev eth0/);
  });

  await t.test('a client may ask for answers by broadcast', async (t) => {
    t.match(await requestLease(client, 'eth0', { broadcast: true }), { ip: '10.1.1.50' });
  });

  t.equal(
    await readFile('/etc/resolv.conf', 'utf8').catch(() => 'none'),
    names,
    'the machine’s name servers are untouched',
  );
});
