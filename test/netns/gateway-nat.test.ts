/**
 * NAT over the real gateway: whose address a tenant has outside, which VM a mapping leads to, and that nothing leads from
 * one tenant to another. Both tenants have the same inner addresses throughout.
 */
import t, { type Test } from 'tap';
import { Capture } from '../lab/capture.ts';
import { ask, type EchoAnswer, startEcho } from '../lab/echo.ts';
import { UPLINK_NIC } from '../lab/gateway-node.ts';
import { FAR_ADDRESS, INTERNET_ADDRESS } from '../lab/internet.ts';
import { Lab } from '../lab/lab.ts';
import { buildTopology, CONTOSO, FABRIKAM, provisionTenants, type Tenant } from '../lab/topology.ts';

const [VM1 = '', VM2 = ''] = CONTOSO.vms.map(({ ip }) => ip);
/** Ports of the servers in every VM of both tenants. */
const SERVED = ['tcp:0.0.0.0:80', 'udp:0.0.0.0:80', 'tcp:0.0.0.0:9000', 'udp:0.0.0.0:9000'];
/** How long is waited for an answer that must not come: many times what one takes here. */
const SILENCE = { timeoutMs: 700 };

const mapping = (
  protocol: string,
  tenant: Tenant,
  externalPort: number,
  internalIpAddress: string,
  internalPort: number,
  remote?: string,
) => ({
  ...{ protocol, externalIpAddress: tenant.externalAddress, externalPort, internalIpAddress, internalPort },
  ...(remote && { remoteExternalIpAddressPrefix: remote }),
});

t.test('NAT for two tenants with the same inner addresses', { timeout: 120_000 }, async (t) => {
  const lab = await Lab.create(`nat${process.pid}`);
  t.teardown(() => lab.close());
  const { gateway, contoso, fabrikam, internet } = await buildTopology(lab);
  await gateway.start();
  await provisionTenants(gateway.api);
  const outside = internet.namespace;
  const tenants = [
    { tenant: CONTOSO, vms: contoso },
    { tenant: FABRIKAM, vms: fabrikam },
  ];
  const endpoints = [INTERNET_ADDRESS, FAR_ADDRESS].flatMap((ip) => [`udp:${ip}:7000`, `tcp:${ip}:7000`]);
  await Promise.all([
    startEcho(outside, 'outside', endpoints),
    ...tenants.flatMap(({ vms }) => vms.map((vm) => startEcho(vm.namespace, vm.name, SERVED))),
  ]);
  const putNat = (tenant: Tenant, externalAddresses: object[], staticMappings: object[] = []) =>
    gateway.api.put(`/v1/routing-domains/${tenant.rdid}/nat?wait=10s`, { externalAddresses, staticMappings });
  const own = (tenant: Tenant) => [{ ipAddress: tenant.externalAddress }];

  await t.test('each VM fetches the page under its own tenant’s public address', async (t) => {
    for (const { tenant, vms } of tenants)
      for (const vm of vms)
        for (const address of [INTERNET_ADDRESS, FAR_ADDRESS]) {
          const { status, body } = await vm.fetch(`http://${address}/`);
          t.equal(status, 200, `${vm.name} from ${address}`);
          t.same(JSON.parse(body), { server: 'internet', yourAddress: tenant.externalAddress });
        }
  });

  await t.test('equal inner conversations of both tenants get each its own answers', async (t) => {
    for (const protocol of ['udp', 'tcp']) {
      // The same inner addresses and ports at the same time: only the tenant differs.
      const answers = await Promise.all(
        tenants.map(({ tenant, vms: [vm] }) =>
          ask(vm.namespace, `${protocol}:${INTERNET_ADDRESS}:7000`, { word: tenant.name, fromPort: 5555 }),
        ),
      );
      t.match(answers, [
        [{ server: 'outside', address: CONTOSO.externalAddress, said: 'contoso' }],
        [{ server: 'outside', address: FABRIKAM.externalAddress, said: 'fabrikam' }],
      ]);
    }
  });

  await t.test('equal pings of both tenants get each their own answers', async (t) => {
    const capture = await Capture.start(gateway.namespace, UPLINK_NIC, 'icmp');
    const pings = tenants.map(({ vms: [vm] }, index) =>
      vm.namespace.runChecked(
        ['ping', '-n', '-e', '77', '-p', `0${index}`, '-c', '5', '-i', '0.1'].concat(
          '-W',
          '1',
          INTERNET_ADDRESS,
        ),
      ),
    );
    for (const { stdout } of await Promise.all(pings)) {
      t.match(stdout, / 5 received/);
      t.notMatch(stdout, /DUP|wrong data/);
    }
    await capture.stop();
    const rows = await capture.decode('icmp', ['ip.src', 'ip.dst', 'icmp.type', 'data.data']);
    const seen = new Set(
      rows.map(([source, destination, type, data]) => `${type} ${source} ${destination} ${data?.at(-1)}`),
    );
    t.strictSame(
      seen,
      new Set([
        ...[
          `8 ${CONTOSO.externalAddress} ${INTERNET_ADDRESS} 0`,
          `0 ${INTERNET_ADDRESS} ${CONTOSO.externalAddress} 0`,
        ],
        ...[
          `8 ${FABRIKAM.externalAddress} ${INTERNET_ADDRESS} 1`,
          `0 ${INTERNET_ADDRESS} ${FABRIKAM.externalAddress} 1`,
        ],
      ]),
    );
  });

  /** Expects that VM `server` answers, who sees the asker as he is. */
  const reaches = (t: Test, answers: (EchoAnswer | null)[], server: string, address: string) =>
    t.match(answers, [{ server, address }]);

  await t.test(
    'TCP and UDP mappings lead to the VM and port that they name, of their own tenant',
    async (t) => {
      for (const { tenant } of tenants)
        await putNat(tenant, own(tenant), [
          mapping('tcp', tenant, 8080, VM2, 80),
          mapping('udp', tenant, 8080, VM1, 80),
          mapping('tcp', tenant, 9000, VM1, 9000),
        ]);
      for (const { tenant } of tenants) {
        const at = tenant.externalAddress;
        reaches(t, await ask(outside, `tcp:${at}:8080`), `${tenant.name}2`, INTERNET_ADDRESS);
        reaches(t, await ask(outside, `udp:${at}:8080`), `${tenant.name}1`, INTERNET_ADDRESS);
        reaches(
          t,
          await ask(outside, `tcp:${at}:9000`, { from: FAR_ADDRESS }),
          `${tenant.name}1`,
          FAR_ADDRESS,
        );
      }
    },
  );

  await t.test('a mapping of one tenant leads nowhere under the address of the other', async (t) => {
    await putNat(FABRIKAM, own(FABRIKAM));
    for (const endpoint of ['tcp', 'udp'].map((protocol) => `${protocol}:${FABRIKAM.externalAddress}:8080`))
      t.same(await ask(outside, endpoint, SILENCE), [null], endpoint);
    reaches(t, await ask(outside, `tcp:${CONTOSO.externalAddress}:8080`), 'contoso2', INTERNET_ADDRESS);
  });

  await t.test('a mapping with a remote prefix admits that remote and refuses another', async (t) => {
    await putNat(CONTOSO, own(CONTOSO), [
      mapping('tcp', CONTOSO, 8081, VM1, 80, `${FAR_ADDRESS}/32`),
      mapping('udp', CONTOSO, 8081, VM1, 80, '203.0.113.192/28'),
      // One port, two remotes, two VMs.
      mapping('tcp', CONTOSO, 8082, VM1, 80, '198.51.100.0/28'),
      mapping('tcp', CONTOSO, 8082, VM2, 80, '203.0.113.0/24'),
    ]);
    const from = { from: FAR_ADDRESS };
    const at = (protocol: string, port: number) => `${protocol}:${CONTOSO.externalAddress}:${port}`;
    for (const protocol of ['tcp', 'udp']) {
      reaches(t, await ask(outside, at(protocol, 8081), from), 'contoso1', FAR_ADDRESS);
      t.same(
        await ask(outside, at(protocol, 8081), { ...SILENCE, from: INTERNET_ADDRESS }),
        [null],
        protocol,
      );
    }
    reaches(t, await ask(outside, at('tcp', 8082), from), 'contoso2', FAR_ADDRESS);
    reaches(t, await ask(outside, at('tcp', 8082)), 'contoso1', INTERNET_ADDRESS);
  });

  await t.test('a public address without mapping answers ping and nothing else', async (t) => {
    await putNat(CONTOSO, own(CONTOSO));
    const ping = await outside.run([
      'ping',
      '-n',
      '-c',
      '2',
      '-i',
      '0.1',
      '-W',
      '1',
      CONTOSO.externalAddress,
    ]);
    t.match(ping.stdout, / 2 received/);
    for (const port of [22, 80, 8080, 8081, 9000])
      for (const protocol of ['tcp', 'udp']) {
        const endpoint = `${protocol}:${CONTOSO.externalAddress}:${port}`;
        t.same(await ask(outside, endpoint, { timeoutMs: 200 }), [null], endpoint);
      }
  });

  await t.test('of several external addresses a VM has always the same, whatever it does', async (t) => {
    const several = ['198.51.100.101', '198.51.100.103', '203.0.113.7', '203.0.113.8'];
    await putNat(
      CONTOSO,
      several.map((ipAddress) => ({ ipAddress })),
    );
    for (const vm of contoso) {
      const answers: (EchoAnswer | null)[] = [];
      for (const endpoint of [
        `udp:${INTERNET_ADDRESS}:7000`,
        `tcp:${INTERNET_ADDRESS}:7000`,
        `udp:${FAR_ADDRESS}:7000`,
      ])
        answers.push(...(await ask(vm.namespace, endpoint, { count: 20 })));
      const seen = [...new Set(answers.map((answer) => answer?.address))];
      t.equal(seen.length, 1, `${vm.name} is seen as ${seen.join()}`);
      t.ok(several.includes(seen[0] ?? ''));
      const capture = await Capture.start(gateway.namespace, UPLINK_NIC, 'icmp');
      t.match(await vm.ping(INTERNET_ADDRESS, 2), { received: 2 });
      await capture.stop();
      t.same(
        new Set((await capture.decode('icmp.type == 8', ['ip.src'])).flat()),
        new Set(seen),
        'as in ping',
      );
    }
  });

  await t.test('with a port range, all ports that are seen outside lie in it', async (t) => {
    const [portStart, portEnd] = [40_000, 40_063];
    await putNat(CONTOSO, [{ ipAddress: CONTOSO.externalAddress, portStart, portEnd }]);
    for (const protocol of ['udp', 'tcp']) {
      const asked = await Promise.all(
        contoso.map((vm) => ask(vm.namespace, `${protocol}:${INTERNET_ADDRESS}:7000`, { count: 30 })),
      );
      const ports = asked.map((answers) => answers.map((answer) => answer?.port ?? 0));
      t.same(
        ports.flat().filter((port) => port < portStart || port > portEnd),
        [],
        protocol,
      );
      // Ports of TCP conversations that have ended are given again when few are left, and one VM may be through before the
      // other begins; what goes on at the same time never shares one.
      const simultaneous = protocol === 'udp' ? [ports.flat()] : ports;
      for (const each of simultaneous)
        t.equal(new Set(each).size, each.length, 'each conversation has a port of its own');
    }
    t.match(await contoso[0].ping(INTERNET_ADDRESS, 1), { received: 1 }, 'and ping works');
  });

  await t.test('a tenant reaches the public mapping of another, under its own public address', async (t) => {
    for (const { tenant } of tenants)
      await putNat(tenant, own(tenant), [
        mapping('tcp', tenant, 8080, VM2, 80),
        mapping('udp', tenant, 8080, VM1, 80),
      ]);
    for (const [from, to] of [tenants, tenants.toReversed()])
      for (const vm of from?.vms ?? []) {
        const target = to?.tenant.externalAddress;
        const source = from?.tenant.externalAddress ?? '';
        reaches(t, await ask(vm.namespace, `tcp:${target}:8080`), `${to?.tenant.name}2`, source);
        reaches(t, await ask(vm.namespace, `udp:${target}:8080`), `${to?.tenant.name}1`, source);
        t.same(
          await ask(vm.namespace, `tcp:${target}:9000`, { timeoutMs: 300 }),
          [null],
          'and nothing else of it',
        );
      }
  });
});
