/**
 * The uplink: which addresses the gateway answers for on a shared link, routed prefixes beside it, and what is left to the
 * machine itself.
 */
import t from 'tap';
import { contextNames } from '../../src/gateway/names.ts';
import { Capture } from '../lab/capture.ts';
import { ask, startEcho } from '../lab/echo.ts';
import { UPLINK_NIC } from '../lab/gateway-node.ts';
import { INTERNET_ADDRESS, Internet, UPLINK_ADDRESS } from '../lab/internet.ts';
import { Lab } from '../lab/lab.ts';
import { Namespace } from '../lab/namespace.ts';
import { buildTopology, CONTOSO, FABRIKAM, provisionTenants, TENANTS, type Tenant } from '../lab/topology.ts';
import { until } from '../lab/until.ts';
import { ping } from '../lab/vm.ts';

/** On the shared link, and of the routed prefix. */
const ON_LINK = '198.51.100.103';
const ROUTED = '203.0.113.7';
/** A tenant's that the machine takes for itself. */
const ON_LINK_LATE = '198.51.100.104';
/** The same, but nobody's. */
const ON_LINK_NOBODYS = '198.51.100.177';
const ROUTED_NOBODYS = '203.0.113.77';

t.test('the uplink', { timeout: 120_000 }, async (t) => {
  const lab = await Lab.create(`upl${process.pid}`);
  t.teardown(() => lab.close());
  const { gateway, contoso, fabrikam, internet } = await buildTopology(lab);
  await gateway.start();
  await provisionTenants(gateway.api);
  const outside = internet.namespace;
  await startEcho(outside, 'outside', [`udp:${INTERNET_ADDRESS}:7000`]);
  await startEcho(contoso[0].namespace, 'contoso1', ['udp:0.0.0.0:80']);
  await startEcho(fabrikam[0].namespace, 'fabrikam1', ['udp:0.0.0.0:80']);
  const [link] = JSON.parse(await gateway.namespace.ip('-json', 'link', 'show', 'dev', UPLINK_NIC)) as {
    address: string;
  }[];

  // The hosts' switches lose what they have no neighbour for yet.
  for (const vm of [contoso[0], fabrikam[0]])
    await until('the way is warm', 10_000, async () => (await vm.ping(INTERNET_ADDRESS, 1)).received === 1);

  /** Who answers ARP requests for the address; arping stops at the first answer. */
  const whoHas = async (address: string, ...options: string[]): Promise<string[]> => {
    const arping = ['arping', '-f', '-c', '2', '-w', '1', ...options, '-I', Internet.nic, address];
    const { stdout } = await outside.run(arping);
    return [...stdout.matchAll(/reply from (\S+) \[([0-9A-F:]+)\]/g)].map(
      ([, from, mac = '']) => `${from} ${mac.toLowerCase()}`,
    );
  };
  const yes = (address: string): string[] => [`${address} ${link?.address}`];

  /** NAT with the addresses, UDP port 80 of each leading to VM 1. */
  const putNat = ({ rdid, vms: [vm] }: Tenant, addresses: string[]) =>
    gateway.api.put(`/v1/routing-domains/${rdid}/nat?wait=10s`, {
      externalAddresses: addresses.map((ipAddress) => ({ ipAddress })),
      staticMappings: addresses.map((externalIpAddress) => ({
        ...{ protocol: 'udp', externalIpAddress, externalPort: 80 },
        ...{ internalIpAddress: vm?.ip, internalPort: 80 },
      })),
    });

  await t.test('ARP is answered for owned addresses and for no others', async (t) => {
    for (const { externalAddress } of TENANTS) t.same(await whoHas(externalAddress), yes(externalAddress));
    t.same(
      await whoHas(CONTOSO.externalAddress, '-D'),
      yes(CONTOSO.externalAddress),
      'also to who probes for a duplicate',
    );
    for (const address of [ON_LINK, ON_LINK_NOBODYS, contoso[0].ip])
      t.same(await whoHas(address), [], address);
  });

  await t.test('an address is answered for as soon as it is owned, and not after', async (t) => {
    await putNat(CONTOSO, [CONTOSO.externalAddress, ON_LINK]);
    t.same(await whoHas(ON_LINK), yes(ON_LINK));
    await putNat(CONTOSO, [CONTOSO.externalAddress]);
    t.same(await whoHas(ON_LINK), []);
    t.same(await whoHas(CONTOSO.externalAddress), yes(CONTOSO.externalAddress));
    await gateway.api.delete(`/v1/routing-domains/${CONTOSO.rdid}/nat?wait=10s`);
    t.same(await whoHas(CONTOSO.externalAddress), []);
    t.same(await whoHas(FABRIKAM.externalAddress), yes(FABRIKAM.externalAddress), 'the other tenant’s stays');
    await outside.ip('neigh', 'flush', 'dev', Internet.nic);
    t.match(await ping(outside, CONTOSO.externalAddress, 1), { received: 0 });
  });

  await t.test('addresses of a routed prefix work beside one on the shared link', async (t) => {
    await putNat(CONTOSO, [ON_LINK, ROUTED]);
    await putNat(FABRIKAM, ['203.0.113.8']);
    for (const address of [ON_LINK, ROUTED]) {
      t.match(await ping(outside, address, 1), { received: 1 }, address);
      t.match(await ask(outside, `udp:${address}:80`), [{ server: 'contoso1', address: INTERNET_ADDRESS }]);
    }
    t.match(await ask(outside, 'udp:203.0.113.8:80'), [{ server: 'fabrikam1' }]);
    t.match(await ask(fabrikam[0].namespace, `udp:${INTERNET_ADDRESS}:7000`), [{ address: '203.0.113.8' }]);
    const [answer] = await ask(contoso[0].namespace, `udp:${INTERNET_ADDRESS}:7000`);
    t.ok([ON_LINK, ROUTED].includes(answer?.address ?? ''), `out as ${answer?.address}`);
  });

  await t.test('an address that goes from one tenant to the other leads to the new one alone', async (t) => {
    await putNat(CONTOSO, [ON_LINK]);
    await putNat(FABRIKAM, [ROUTED]);
    t.match(await ask(outside, `udp:${ROUTED}:80`), [{ server: 'fabrikam1' }]);
    await putNat(FABRIKAM, [FABRIKAM.externalAddress]);
    await putNat(CONTOSO, [ROUTED]);
    t.match(await ask(outside, `udp:${ROUTED}:80`), [{ server: 'contoso1' }]);
    t.same(await ask(outside, `udp:${ON_LINK}:80`, { timeoutMs: 300 }), [null]);
    t.match(await ask(contoso[0].namespace, `udp:${INTERNET_ADDRESS}:7000`), [{ address: ROUTED }]);
  });

  await t.test('packets to addresses that nobody owns are left to the machine', async (t) => {
    // Sent to the gateway's MAC all the same.
    await outside.ip('neigh', 'replace', ON_LINK_NOBODYS, 'lladdr', link?.address ?? '', 'dev', Internet.nic);
    const contexts = TENANTS.map(
      ({ rdid }) => new Namespace(lab, contextNames(gateway.instance, rdid).netns),
    );
    const captures = await Promise.all(contexts.map((context) => Capture.start(context, 'ext', 'icmp')));
    for (const address of [ON_LINK_NOBODYS, ROUTED_NOBODYS])
      t.match(await ping(outside, address, 1), { received: 0 });
    t.match(await ping(outside, FABRIKAM.externalAddress, 1), { received: 1 });
    await Promise.all(captures.map((capture) => capture.stop()));
    const seen = await Promise.all(captures.map((capture) => capture.decode('icmp.type == 8', ['ip.dst'])));
    t.same(seen, [[], [[FABRIKAM.externalAddress]]], 'no context sees them');
    for (const address of [ON_LINK_NOBODYS, ROUTED_NOBODYS]) {
      await gateway.namespace.ip('addr', 'add', `${address}/32`, 'dev', 'lo');
      t.match(await ping(outside, address, 1), { received: 1 }, 'the machine itself gets them');
    }
  });

  await t.test('the machine’s own traffic on the uplink goes on', async (t) => {
    await outside.ip('neigh', 'flush', 'dev', Internet.nic);
    await gateway.namespace.ip('neigh', 'flush', 'dev', UPLINK_NIC);
    t.same(await whoHas(UPLINK_ADDRESS), yes(UPLINK_ADDRESS));
    t.match(await ping(outside, UPLINK_ADDRESS, 2), { received: 2 });
    t.match(await ping(gateway.namespace, INTERNET_ADDRESS, 2), { received: 2 });
    t.match(await ask(gateway.namespace, `udp:${INTERNET_ADDRESS}:7000`), [{ address: UPLINK_ADDRESS }]);
  });

  await t.test('the node’s own address and its router’s are no tenant’s, now or later', async (t) => {
    const natPath = `/v1/routing-domains/${CONTOSO.rdid}/nat`;
    const natIs = (state: string) =>
      until(`NAT is ${state}`, 15_000, async () => {
        const { status } = (await gateway.api.get(natPath)) as { status: { state: string; reason?: string } };
        return status.state === state && status;
      });
    await putNat(CONTOSO, [ON_LINK, UPLINK_ADDRESS, INTERNET_ADDRESS]);
    const { reason } = await natIs('failed');
    t.match(reason, `${UPLINK_ADDRESS} is an address of this node’s uplink ${UPLINK_NIC}`);
    t.match(reason, `${INTERNET_ADDRESS} is the next hop of this node’s routes over ${UPLINK_NIC}`);
    t.same(await whoHas(INTERNET_ADDRESS, '-b'), [], 'the gateway does not answer for its router');
    t.match(await ping(gateway.namespace, INTERNET_ADDRESS, 2), { received: 2 });
    t.match(await ask(gateway.namespace, `udp:${INTERNET_ADDRESS}:7000`), [{ address: UPLINK_ADDRESS }]);
    t.match(await ask(outside, `udp:${ON_LINK}:80`), [{ server: 'contoso1' }], 'the others work');

    await putNat(CONTOSO, [ON_LINK, ON_LINK_LATE]);
    await natIs('ready');
    t.match(await ask(outside, `udp:${ON_LINK_LATE}:80`), [{ server: 'contoso1' }]);
    await gateway.namespace.ip('addr', 'add', `${ON_LINK_LATE}/32`, 'dev', UPLINK_NIC);
    await natIs('failed');
    t.same(await ask(outside, `udp:${ON_LINK_LATE}:80`, { timeoutMs: 300 }), [null]);
    t.match(await ping(outside, ON_LINK_LATE, 1), { received: 1 }, 'it is the machine’s');
    await gateway.namespace.ip('addr', 'del', `${ON_LINK_LATE}/32`, 'dev', UPLINK_NIC);
    await natIs('ready');
    t.match(await ask(outside, `udp:${ON_LINK_LATE}:80`), [{ server: 'contoso1' }]);
  });
});
