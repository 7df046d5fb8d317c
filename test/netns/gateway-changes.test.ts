/**
 * NAT is changed while traffic runs: whatever the moment, no packet with a tenant's address leaves the uplink, and
 * traffic works again afterwards.
 */
import { setTimeout as delay } from 'node:timers/promises';
import t, { type Test } from 'tap';
import { contextNames } from '../../src/gateway/names.ts';
import { Capture } from '../lab/capture.ts';
import { ask, startEcho, startFlood } from '../lab/echo.ts';
import { UPLINK_NIC } from '../lab/gateway-node.ts';
import { INTERNET_ADDRESS } from '../lab/internet.ts';
import { Lab } from '../lab/lab.ts';
import {
  buildTopology,
  CONTOSO,
  FABRIKAM,
  MAPPED_PORT,
  provisionTenants,
  tenantPolicy,
} from '../lab/topology.ts';
import { until } from '../lab/until.ts';

const DOMAIN = `/v1/routing-domains/${CONTOSO.rdid}`;
const ADDRESSES = [CONTOSO.externalAddress, '198.51.100.103', '203.0.113.9'] as const;
/** What must never be seen on the uplink, be it in IPv4 or ARP. */
const TENANT_ADDRESSES = 'net 10.0.0.0/8';
const ROUNDS = 6;

interface Counters {
  decapsulated: { packets: number };
  drops: Record<string, number>;
}

t.test('changes of NAT under traffic', { timeout: 120_000 }, async (t) => {
  const lab = await Lab.create(`chg${process.pid}`);
  t.teardown(() => lab.close());
  const { gateway, contoso, fabrikam, hosts, internet } = await buildTopology(lab);
  const { api } = gateway;
  await gateway.start();
  await provisionTenants(api);
  await startEcho(internet.namespace, 'outside', [
    `udp:${INTERNET_ADDRESS}:7000`,
    `tcp:${INTERNET_ADDRESS}:7000`,
  ]);
  const [vm] = contoso;
  await startEcho(vm.namespace, 'contoso1', ['udp:0.0.0.0:80']);

  const mapping = (externalIpAddress: string, externalPort: number) => ({
    ...{ protocol: 'udp', externalIpAddress, externalPort },
    ...{ internalIpAddress: vm.ip, internalPort: 80 },
  });
  const putNat = (addresses: readonly string[], mappings: object[] = [], wait = '?wait=10s') =>
    api.put(`${DOMAIN}/nat${wait}`, {
      externalAddresses: addresses.map((ipAddress) => ({ ipAddress })),
      staticMappings: mappings,
    });
  const putGateway = (wait = '?wait=10s', macAddress = CONTOSO.gatewayMac) =>
    api.put(`${DOMAIN}/gateway${wait}`, {
      virtualSubnetId: CONTOSO.gatewayVsid,
      customerAddresses: ['10.254.254.2'],
      macAddress,
    });
  const counters = async () => (await api.get(`${DOMAIN}/counters`)) as Counters;

  const [first, second, third] = ADDRESSES;
  /** What is done to NAT, each followed by the next while traffic goes on. */
  const changes: [what: string, change: () => Promise<unknown>][] = [
    ['another external address', () => putNat([second])],
    ['more addresses', () => putNat(ADDRESSES)],
    ['fewer addresses', () => putNat([third])],
    [
      'mappings',
      () =>
        putNat(
          [first],
          Array.from({ length: 200 }, (_, i) => mapping(first, 1000 + i)),
        ),
    ],
    ['no mappings and another address', () => putNat([second])],
    [
      'a port range',
      () =>
        api.put(`${DOMAIN}/nat?wait=10s`, {
          externalAddresses: [{ ipAddress: first, portStart: 20_000, portEnd: 50_000 }],
        }),
    ],
    ['no NAT', () => api.delete(`${DOMAIN}/nat?wait=10s`)],
    ['NAT again', () => putNat([first])],
    ['no gateway', () => api.delete(`${DOMAIN}/gateway?wait=10s`)],
    ['the gateway again', () => putGateway()],
    ['no NAT, not waited for', () => api.delete(`${DOMAIN}/nat`)],
    ['another address, not waited for', () => putNat([second], [], '')],
    ['no gateway, not waited for', () => api.delete(`${DOMAIN}/gateway`)],
    ['the gateway again, not waited for', () => putGateway('')],
    ['no routing domain', () => api.delete(`${DOMAIN}?wait=10s`)],
    ['the routing domain again', () => provisionTenants(api)],
    ['no routing domain, not waited for', () => api.delete(DOMAIN)],
    ['the routing domain again', () => provisionTenants(api)],
  ];

  /** Expects that all kinds of traffic work, under one of the addresses. */
  const works = async (t: Test, addresses: readonly string[]) => {
    for (const protocol of ['udp', 'tcp']) {
      const answers = await ask(vm.namespace, `${protocol}:${INTERNET_ADDRESS}:7000`, { count: 5 });
      t.equal(answers.length, 5);
      for (const answer of answers)
        t.ok(addresses.includes(answer?.address ?? ''), `seen as ${answer?.address}`);
    }
    t.match(await vm.ping(INTERNET_ADDRESS, 2), { received: 2 });
  };

  await t.test('no packet leaves untranslated while NAT, gateway and domain come and go', async (t) => {
    const leaks = await Capture.start(gateway.namespace, UPLINK_NIC, TENANT_ADDRESSES);
    const ours = ADDRESSES.map((address) => `src host ${address}`).join(' or ');
    const translated = await Capture.start(gateway.namespace, UPLINK_NIC, ours, 256);
    const flood = await startFlood(vm.namespace, INTERNET_ADDRESS, 7000);
    const pings = await vm.namespace.spawn(['ping', '-n', '-q', '-i', '0.005', INTERNET_ADDRESS]);
    const before = (await counters()).decapsulated.packets;
    await until(
      'the flood arrives',
      5_000,
      async () => (await counters()).decapsulated.packets > before + 100,
    );
    for (let round = 0; round < ROUNDS; round++)
      for (const [what, change] of changes) {
        await change().catch((error: unknown) => t.fail(what, { error }));
        // Traffic shall meet the state between two changes too, at a moment that differs from round to round.
        await delay(7 * round);
      }
    t.ok(flood.running && pings.running, 'the flood went on all the time');
    await flood.end();
    await pings.end('SIGINT');
    await leaks.stop();
    await translated.stop();
    t.same(
      await leaks.decode('', ['frame.time_relative', 'ip.src', 'ip.dst', 'arp']),
      [],
      'no tenant address',
    );
    const counts = new Map(ADDRESSES.map((address) => [address, 0]));
    const quoted: string[] = [];
    for (const [source = '', destination = ''] of await translated.decode('ip', ['ip.src', 'ip.dst'])) {
      const [outer = ''] = source.split(',');
      counts.set(outer, (counts.get(outer) ?? 0) + 1);
      // An ICMP error quotes the packet that it is about.
      if (/(^|,)10\./.test(`${source},${destination}`)) quoted.push(`${source} to ${destination}`);
    }
    for (const [address, count] of counts) t.ok(count > 100, `${count} packets translated to ${address}`);
    t.same(quoted, [], 'no tenant address in what an ICMP error quotes either');
    t.equal(translated.dropped + leaks.dropped, 0, 'the captures are complete');
    await works(t, [CONTOSO.externalAddress]);
    const mapped = await internet.fetch(`http://${CONTOSO.externalAddress}:${MAPPED_PORT}/`);
    t.match(mapped.error, /^curl: \(7\)/, 'the VM, where nobody serves, refuses the connection itself');
  });

  await t.test(
    'a conversation that goes on gets the new address when the old one is taken away',
    async (t) => {
      const onePort = { fromPort: 5556 };
      const asks = () => ask(vm.namespace, `udp:${INTERNET_ADDRESS}:7000`, onePort);
      await putNat([first]);
      t.match(await asks(), [{ address: first }]);
      await putNat([second]);
      t.match(await asks(), [{ address: second }]);
      await putNat([second, first]);
      t.match(await asks(), [{ address: second }], 'an address that is added disturbs no conversation');
    },
  );

  await t.test(
    'NAT that is taken away and given back works, and so does a gateway with another MAC address',
    async (t) => {
      await api.delete(`${DOMAIN}/nat?wait=10s`);
      t.same(await ask(vm.namespace, `udp:${INTERNET_ADDRESS}:7000`, { timeoutMs: 300 }), [null]);
      await putNat([third]);
      await works(t, [third]);
      const renamed = { ...CONTOSO, gatewayMac: '02:00:00:50:02:99' };
      await api.delete(`${DOMAIN}/lookup-records/10.254.254.2`);
      await putGateway('?wait=10s', renamed.gatewayMac);
      for (const host of hosts) await host.setPolicy([renamed, FABRIKAM].map(tenantPolicy));
      await works(t, [third]);
      await api.delete(`${DOMAIN}?wait=10s`);
      for (const host of hosts) await host.setPolicy([CONTOSO, FABRIKAM].map(tenantPolicy));
    },
  );

  await t.test('the other tenant has not noticed', async (t) => {
    t.match(await ask(fabrikam[0].namespace, `udp:${INTERNET_ADDRESS}:7000`), [
      { address: FABRIKAM.externalAddress },
    ]);
  });

  await t.test('without the ruleset nothing leaves untranslated, and each drop is counted', async (t) => {
    await provisionTenants(api);
    await works(t, [CONTOSO.externalAddress]);
    const { netns } = contextNames(gateway.instance, CONTOSO.rdid);
    const leaks = await Capture.start(gateway.namespace, UPLINK_NIC, TENANT_ADDRESSES);
    const flood = await startFlood(vm.namespace, INTERNET_ADDRESS, 7000);
    const before = (await counters()).drops.untranslated ?? 0;
    // Stopped, or it would mend that at once.
    await gateway.kill();
    await lab.runChecked('nsenter', [`--net=/run/netns/${netns}`, 'nft', 'flush', 'ruleset']);
    t.equal((await vm.ping(INTERNET_ADDRESS, 1)).received, 0, 'nothing passes');
    await gateway.start();
    t.ok(((await counters()).drops.untranslated ?? 0) > before + 200, 'the guard has dropped it');
    await until(
      'traffic works again',
      10_000,
      async () => (await vm.ping(INTERNET_ADDRESS, 1)).received === 1,
    );
    await flood.end();
    await leaks.stop();
    t.same(await leaks.decode('', ['ip.src', 'ip.dst']), []);
    await works(t, [CONTOSO.externalAddress]);
  });
});
