/**
 * The gateway in both families over provider addresses of either: customer addresses of IPv4 and IPv6 to an internet of
 * both, two tenants with equal addresses, ND on the uplink, MTU, a killed process, hostile frames; and in all that time
 * nothing on the uplink that was not translated.
 */

import ipaddr from 'ipaddr.js';
import t, { type Test } from 'tap';
import { Capture } from '../lab/capture.ts';
import { dropsBetween, dropsOf } from '../lab/drop-counters.ts';
import {
  DualStackGateway,
  type DualStackTenant,
  GATEWAY_CUSTOMER_ADDRESSES,
  gatewayProviderAddress,
  ROUTER_ADDRESSES,
} from '../lab/dual-stack-gateway.ts';
import { ask, type EchoAnswer, startEcho } from '../lab/echo.ts';
import { sendWireFrames } from '../lab/fabric.ts';
import { PROVIDER_NIC, UPLINK_NIC } from '../lab/gateway-node.ts';
import {
  FAR_ADDRESS,
  FAR_ADDRESS6,
  INTERNET_ADDRESS,
  INTERNET_ADDRESS6,
  Internet,
  UPLINK_ADDRESS,
  UPLINK_ADDRESS6,
} from '../lab/internet.ts';
import { kernelObjects } from '../lab/kernel-objects.ts';
import { Lab } from '../lab/lab.ts';
import type { Namespace } from '../lab/namespace.ts';
import { addUniqueAddress, neighbours } from '../lab/neighbours.ts';
import { type FrameFields, nvgreFrame } from '../lab/nvgre-frame.ts';
import { RawLink } from '../lab/raw-link.ts';
import { serveTransfer, Transfer } from '../lab/transfer.ts';
import { until } from '../lab/until.ts';
import { innerMtu, ping, VM_NIC, type Vm } from '../lab/vm.ts';
import { ipPacket, udpFrame, udpPacket } from '../lab/vm-frame.ts';
import { providerAddress } from '../lab/vm-network.ts';

const FAMILIES = [4, 6] as const;
type Family = (typeof FAMILIES)[number];

const INTERNET = { 4: INTERNET_ADDRESS, 6: INTERNET_ADDRESS6 };
const FAR = { 4: FAR_ADDRESS, 6: FAR_ADDRESS6 };
const GATEWAY = { 4: GATEWAY_CUSTOMER_ADDRESSES[0], 6: GATEWAY_CUSTOMER_ADDRESSES[1] };
/** Public addresses of the routed prefixes. */
const ROUTED = { 4: '203.0.113.7', 6: '2001:db8:200::7' };
/** One more on the shared link, owned for a while. */
const ANOTHER6 = '2001:db8:100::ab:cdef';
/** On the shared link, and nobody's. */
const NOBODYS6 = '2001:db8:100::77:77';
/** IP and UDP headers, IP and ICMP echo headers. */
const HEADERS = { 4: 28, 6: 48 };
const WEB_PORT = 8080;
const UDP_PORT = 7001;
const SILENCE = { timeoutMs: 500 };
const TRANSFER_BYTES = 3_000_000;
const TRANSFER_RATE = 6_000_000;
const HOP_BY_HOP = 0;
const ROUTING = 43;
const FRAGMENT = 44;
const DESTINATION_OPTIONS = 60;

const inUrl = (address: string): string => (address.includes(':') ? `[${address}]` : address);
const addressOf = (vm: Vm, family: Family): string => (family === 4 ? vm.ip : vm.ip6);

async function macOf(namespace: Namespace, nic: string): Promise<string> {
  const [link] = JSON.parse(await namespace.ip('-json', 'link', 'show', 'dev', nic)) as { address: string }[];
  return link?.address ?? '';
}

/** The group in which a neighbour solicitation for the address is sent (RFC 4291 section 2.7.1). */
function solicitedGroup(address: string): string {
  const [high = 0, low = 0] = (ipaddr.parse(address) as ipaddr.IPv6).parts.slice(6);
  return `ff02::1:ff${(high & 0xff).toString(16).padStart(2, '0')}:${low.toString(16)}`;
}

for (const providerFamily of FAMILIES) {
  t.test(
    `a gateway for both families over IPv${providerFamily} provider addresses`,
    { timeout: 240_000 },
    async (t) => {
      const lab = await Lab.create(`gw${providerFamily}x${process.pid}`);
      t.teardown(() => lab.close());
      const all = await DualStackGateway.build(lab, providerFamily);
      await all.start();
      const { gateway, internet, tenants, hosts } = all;
      const [contoso, fabrikam] = tenants;
      const outside = internet.namespace;
      const uplinkMac = await macOf(gateway.namespace, UPLINK_NIC);
      const mtu = innerMtu(providerFamily);
      // On the outside's NIC: a capture on the uplink would open its multicast filter.
      const sent = await Capture.start(outside, Internet.nic, `ether src ${uplinkMac}`, 256);

      const vmsOf = (tenant: DualStackTenant): Vm[] => [1, 2, 3].map((host) => all.vm(tenant, host));
      const outsideEndpoints = FAMILIES.flatMap((family) =>
        ['udp', 'tcp'].map((protocol) => `${protocol}:${inUrl(INTERNET[family])}:7000`),
      );
      const served = (vm: Vm): string[] =>
        FAMILIES.flatMap((family) =>
          ['udp', 'tcp'].map((protocol) => `${protocol}:${inUrl(addressOf(vm, family))}:80`),
        );
      await Promise.all([
        startEcho(outside, 'outside', outsideEndpoints),
        ...tenants.flatMap((tenant) =>
          vmsOf(tenant).map((vm) => startEcho(vm.namespace, vm.name, served(vm))),
        ),
      ]);
      // The Open vSwitch host loses what it has no provider neighbour for yet.
      for (const tenant of tenants)
        for (const vm of vmsOf(tenant))
          for (const family of FAMILIES)
            await until(
              `${vm.name} reaches the internet by IPv${family}`,
              10_000,
              async () => (await vm.ping(INTERNET[family], 1)).received === 1,
            );

      /** TCP to VM 2 and UDP to VM 1 of the tenant, at the external address of each family. */
      const mappings = (tenant: DualStackTenant, external: Readonly<Record<Family, string>>): object[] =>
        FAMILIES.flatMap((family) =>
          (
            [
              ['tcp', WEB_PORT, 2],
              ['udp', UDP_PORT, 1],
            ] as const
          ).map(([protocol, externalPort, host]) => ({
            ...{ protocol, externalPort, externalIpAddress: external[family] },
            ...{ internalIpAddress: addressOf(all.vm(tenant, host), family), internalPort: 80 },
          })),
        );
      const putNat = (tenant: DualStackTenant, external = tenant.external) =>
        all.putNat(tenant, Object.values(external), mappings(tenant, external));
      const reaches = (t: Test, answers: (EchoAnswer | null)[], server: string, address: string) =>
        t.match(answers, [{ server, address }]);

      await t.test(
        'every VM of both tenants has the internet, under its tenant’s public addresses',
        async (t) => {
          for (const tenant of tenants)
            for (const vm of vmsOf(tenant))
              for (const family of FAMILIES) {
                for (const address of [INTERNET[family], FAR[family]]) {
                  const { status, body } = await vm.fetch(`http://${inUrl(address)}/`);
                  t.equal(status, 200, `${vm.name} from ${address}`);
                  t.same(JSON.parse(body), { server: 'internet', yourAddress: tenant.external[family] });
                }
                // One less by the context, one less by the distributed router.
                t.match(await vm.ping(FAR[family], 2), { received: 2, ttls: [62, 62] });
              }
        },
      );

      await t.test('traceroute shows the distributed router and the gateway', async (t) => {
        for (const family of FAMILIES)
          t.same(
            await all.vm(contoso, 1).traceroute(FAR[family]),
            [ROUTER_ADDRESSES[family], GATEWAY[family], FAR[family]].map((address) => ({ address })),
          );
      });

      await t.test('equal conversations of both tenants get each its own answers', async (t) => {
        for (const family of FAMILIES)
          for (const protocol of ['udp', 'tcp']) {
            const endpoint = `${protocol}:${inUrl(INTERNET[family])}:7000`;
            const answers = await Promise.all(
              tenants.map((tenant) =>
                ask(all.vm(tenant, 1).namespace, endpoint, { word: tenant.network.name, fromPort: 5555 }),
              ),
            );
            t.match(
              answers,
              tenants.map(({ network, external }) => [
                { server: 'outside', address: external[family], said: network.name },
              ]),
              `${protocol} over IPv${family}`,
            );
          }
      });

      await t.test(
        'port mappings of each tenant lead to its own VM, from outside and from the other',
        async (t) => {
          for (const tenant of tenants) await putNat(tenant);
          for (const family of FAMILIES)
            for (const [tenant, other] of [
              [contoso, fabrikam],
              [fabrikam, contoso],
            ] as const) {
              const at = inUrl(tenant.external[family]);
              const { name } = tenant.network;
              for (const [endpoint, server] of [
                [`tcp:${at}:${WEB_PORT}`, `${name}-s1h2`],
                [`udp:${at}:${UDP_PORT}`, `${name}-s1h1`],
              ] as const) {
                reaches(t, await ask(outside, endpoint), server, INTERNET[family]);
                const { namespace } = all.vm(other, 3);
                reaches(t, await ask(namespace, endpoint), server, other.external[family]);
              }
              t.same(await ask(outside, `tcp:${at}:80`, SILENCE), [null], 'and nothing else is open');
            }
        },
      );

      await t.test('addresses of the routed prefixes work as well', async (t) => {
        await putNat(contoso, ROUTED);
        for (const family of FAMILIES) {
          const endpoint = `tcp:${inUrl(INTERNET[family])}:7000`;
          t.match(await ask(all.vm(contoso, 2).namespace, endpoint), [{ address: ROUTED[family] }]);
          const mapped = `tcp:${inUrl(ROUTED[family])}:${WEB_PORT}`;
          reaches(t, await ask(outside, mapped), 'contoso-s1h2', INTERNET[family]);
          t.match(await ping(outside, ROUTED[family], 1), { received: 1 });
        }
        await putNat(contoso);
      });

      await t.test('neighbour discovery on the uplink', async (t) => {
        const external = contoso.external[6];
        const known = async () =>
          (await neighbours(outside, Internet.nic)).find(({ address }) => address === external);
        /** Groups of IPv6 that the uplink listens to. */
        const joined = async () => {
          const shown = await gateway.namespace.ip('-json', '-6', 'maddr', 'show', 'dev', UPLINK_NIC);
          const [{ maddr } = { maddr: [] }] = JSON.parse(shown) as { maddr: { address?: string }[] }[];
          return maddr.map(({ address }) => address);
        };
        const group = solicitedGroup(external);

        await t.test('the router on the link finds external addresses, and no others', async (t) => {
          await outside.ip('neigh', 'flush', 'dev', Internet.nic);
          t.match(await ping(outside, external, 1), { received: 1 });
          t.match(await known(), { mac: uplinkMac, state: 'REACHABLE', isRouter: false });
          t.match(await ping(outside, NOBODYS6, 1), { received: 0 });
        });

        await t.test('and confirms them by unicast', async (t) => {
          await outside.runChecked([
            'sysctl',
            '-qw',
            `net.ipv6.neigh.${Internet.nic}.delay_first_probe_time=1`,
          ]);
          const probes = await Capture.start(outside, Internet.nic, `icmp6 and ether dst ${uplinkMac}`);
          const entry = [external, 'lladdr', uplinkMac, 'dev', Internet.nic];
          await outside.ip('neigh', 'replace', ...entry, 'nud', 'stale');
          t.match(await ping(outside, external, 1), { received: 1 });
          await until(
            'the neighbour is confirmed',
            5_000,
            async () => (await known())?.state === 'REACHABLE',
          );
          await probes.stop();
          const asked = await probes.decode('icmpv6.type == 135', ['icmpv6.nd.ns.target_address']);
          // Beside it the gateway's own address may be confirmed.
          t.ok(
            asked.some(([target]) => target === external),
            'by a solicitation to the uplink’s MAC',
          );
        });

        await t.test('duplicate address detection finds that an external address is taken', async (t) => {
          t.equal(await addUniqueAddress(outside, Internet.nic, `${external}/128`), false);
          t.equal(await addUniqueAddress(outside, Internet.nic, `${NOBODYS6}/128`), true);
          for (const address of [external, NOBODYS6])
            await outside.ip('addr', 'del', `${address}/128`, 'dev', Internet.nic);
        });

        await t.test(
          'the uplink is in the addresses’ groups, and says so, as long as they are owned',
          async (t) => {
            t.ok((await joined()).includes(group));
            const reports = await Capture.start(outside, Internet.nic, 'ip6');
            await all.putNat(contoso, [external, ANOTHER6]);
            t.ok((await joined()).includes(solicitedGroup(ANOTHER6)));
            t.match(await ping(outside, ANOTHER6, 1), { received: 1 });
            const told = async () =>
              (await reports.decode('icmpv6.type == 143', ['icmpv6.mldr.mar.multicast_address'])).flat();
            await until('the group is reported', 5_000, async () =>
              (await told()).some((groups) => groups.split(',').includes(solicitedGroup(ANOTHER6))),
            );
            await reports.stop();
            await putNat(contoso);
            t.notOk((await joined()).includes(solicitedGroup(ANOTHER6)));
            await outside.ip('neigh', 'flush', 'dev', Internet.nic);
            t.match(await ping(outside, ANOTHER6, 1), { received: 0 });
          },
        );

        await t.test('an uplink that went down is in the groups again', async (t) => {
          await gateway.namespace.ipBatch([
            `link set ${UPLINK_NIC} down`,
            // What the kernel forgets with the link is the operator's to set again.
            `addr add ${UPLINK_ADDRESS6}/64 dev ${UPLINK_NIC} nodad`,
            `link set ${UPLINK_NIC} up`,
            `route replace default via ${INTERNET_ADDRESS}`,
            `route replace default via ${INTERNET_ADDRESS6}`,
          ]);
          await until('the group is joined', 5_000, async () => (await joined()).includes(group));
          await outside.ip('neigh', 'flush', 'dev', Internet.nic);
          // The link itself takes up to a second.
          const reached = async (from: Namespace, to: string) => (await ping(from, to, 1)).received === 1;
          await until('outside reaches the address', 5_000, () => reached(outside, external));
          const { namespace } = all.vm(contoso, 1);
          await until('the VM reaches the outside', 5_000, () => reached(namespace, INTERNET_ADDRESS6));
          t.pass();
        });
      });

      await t.test(`what is larger than ${mtu} bytes does not fit`, async (t) => {
        await sendWireFrames(outside, Internet.nic);
        for (const family of FAMILIES) {
          const vm = all.vm(contoso, 1);
          const external = contoso.external[family];

          await t.test(
            `UDP over IPv${family} from outside: the external address says what fits`,
            async (t) => {
              const word = 'x'.repeat(1500 - HEADERS[family]);
              const endpoint = `udp:${inUrl(external)}:${UDP_PORT}`;
              const capture = await Capture.start(outside, Internet.nic, family === 4 ? 'icmp' : 'icmp6');
              t.same(await ask(outside, endpoint, { ...SILENCE, word }), [null], 'the first one is lost');
              t.match(
                await ask(outside, endpoint, { word }),
                [{ server: vm.name, said: word }],
                'the sender heeds it',
              );
              await capture.stop();
              const [filter, ...fields] =
                family === 4
                  ? ['icmp.type == 3 && icmp.code == 4', 'icmp.mtu', 'ip.src', 'ip.dst', 'udp.dstport']
                  : ['icmpv6.type == 2', 'icmpv6.mtu', 'ipv6.src', 'ipv6.dst', 'udp.dstport'];
              t.same(await capture.decode(filter ?? '', fields), [
                [
                  `${mtu}`,
                  `${external},${INTERNET[family]}`,
                  `${INTERNET[family]},${external}`,
                  `${UDP_PORT}`,
                ],
              ]);
            },
          );

          await t.test(`TCP over IPv${family}: both sides are told before`, async (t) => {
            await serveTransfer(outside, FAR[family], 8000, TRANSFER_BYTES);
            const segment = 1500 - (family === 4 ? 40 : 60);
            const route = ['route', 'replace', 'default', 'via', ROUTER_ADDRESSES[family]];
            await vm.namespace.ip(...route, 'advmss', `${segment}`);
            const capture = await Capture.start(outside, Internet.nic, `host ${FAR[family]}`);
            const transfer = await Transfer.start(vm.namespace, FAR[family], 8000, TRANSFER_RATE);
            t.match(await transfer.finished(), { bytes: TRANSFER_BYTES, intact: true });
            await capture.stop();
            const field = family === 4 ? 'ip.len' : 'ipv6.plen';
            const sizes = (await capture.decode('tcp', [field])).map(
              ([size]) => Number(size) + (family === 4 ? 0 : 40),
            );
            t.equal(Math.max(...sizes), mtu, 'no packet is larger, and some are as large');
            t.same(await capture.decode('icmp or icmpv6.type == 2', ['frame.number']), [], 'without ICMP');
          });

          await t.test(`pings over IPv${family} that just fit, and fragments of larger ones`, async (t) => {
            const sized = (bytes: number, ...more: string[]) =>
              vm.namespace.run(
                ['ping', '-n', '-c', '2', '-i', '0.2', '-W', '1', '-s', `${bytes - HEADERS[family]}`].concat(
                  more,
                  INTERNET[family],
                ),
              );
            t.match((await sized(mtu, '-M', 'do')).stdout, / 2 received/);
            t.match((await sized(4_000, '-M', 'dont')).stdout, / 2 received/);
          });
        }
      });

      await t.test('hostile frames from the provider network are dropped under their reasons', async (t) => {
        const attacker = await lab.namespace('evil');
        const { fabric } = hosts;
        await fabric.attach(attacker, 'pa', { wireFrames: false });
        const ports = JSON.parse(await fabric.namespace.ip('-json', 'link', 'show')) as { ifname: string }[];
        await fabric.namespace.ipBatch(
          ports.filter(({ ifname }) => ifname !== 'lo').map(({ ifname }) => `link set ${ifname} mtu 1600`),
        );
        await attacker.ip('link', 'set', 'pa', 'mtu', '1600');
        const raw = await RawLink.open(attacker, 'pa');
        const heard = await Capture.start(outside, Internet.nic, 'udp port 6666');
        const { network, gatewayMac, gatewayVsid } = contoso;
        const own = providerAddress(providerFamily, 0);
        const vm = all.vm(contoso, 1);
        const neighbour = all.vm(contoso, 2);
        const hostile = (family: Family, source: string, data = 'hostile') =>
          udpPacket({ source, destination: INTERNET[family], port: 6666, data });
        const goodOf = async (family: Family): Promise<FrameFields> => ({
          destinationMac: await macOf(gateway.namespace, PROVIDER_NIC),
          sourceMac: await macOf(attacker, 'pa'),
          from: own,
          to: gatewayProviderAddress(providerFamily),
          vsid: gatewayVsid,
          innerDestinationMac: gatewayMac,
          innerSourceMac: vm.spec.mac,
          inner: hostile(family, addressOf(vm, family)),
        });

        for (const family of FAMILIES) {
          const good = await goodOf(family);
          const spoofed = (source: string) => nvgreFrame({ ...good, inner: hostile(family, source) });
          const cases: { what: string; frame: Buffer; reason: string; isNobodys?: boolean }[] = [
            {
              what: 'an unknown VSID',
              frame: nvgreFrame({ ...good, vsid: 7777 }),
              reason: 'vsid-unknown',
              isNobodys: true,
            },
            {
              what: 'GRE flags',
              frame: nvgreFrame({ ...good, greFlags: 0x3000 }),
              reason: 'gre-flags',
              isNobodys: true,
            },
            {
              what: 'a provider address that is not the domain’s',
              frame: nvgreFrame({ ...good, from: providerAddress(providerFamily, 77) }),
              reason: 'source-provider-address',
            },
            {
              what: 'an address that no VM has',
              frame: spoofed(family === 4 ? '10.1.1.99' : 'fd00:1:1::99'),
              reason: 'inner-source-address',
            },
            {
              what: 'an address of the outside',
              frame: spoofed(FAR[family]),
              reason: 'inner-source-address',
            },
            {
              what: 'the address of a VM on another host',
              frame: spoofed(addressOf(neighbour, family)),
              reason: 'inner-source-address',
            },
            {
              what: 'the unspecified address',
              frame: spoofed(family === 4 ? '0.0.0.0' : '::'),
              reason: 'inner-source-address',
            },
            {
              what: 'a multicast address',
              frame: spoofed(family === 4 ? '224.0.0.5' : 'ff02::5'),
              reason: 'inner-source-address',
            },
            {
              what: 'a spoofed MAC',
              frame: nvgreFrame({ ...good, innerSourceMac: neighbour.spec.mac }),
              reason: 'inner-source-mac',
            },
            {
              what: 'the EtherType of the other family',
              frame: nvgreFrame({
                ...good,
                inner: hostile(family, addressOf(vm, family), 'x'.repeat(20)),
                innerType: family === 4 ? 0x86dd : 0x0800,
              }),
              reason: 'inner-malformed',
            },
            {
              what: 'an inner packet that is too big',
              frame: nvgreFrame({
                ...good,
                inner: hostile(family, addressOf(vm, family), 'x'.repeat(mtu + 1 - HEADERS[family])),
              }),
              reason: 'inner-too-big',
            },
          ];
          if (family === 6)
            cases.push(
              { what: 'a link-local address', frame: spoofed('fe80::1'), reason: 'inner-source-address' },
              { what: 'a v4-mapped source', frame: spoofed(`::ffff:${vm.ip}`), reason: 'inner-malformed' },
              {
                what: 'a v4-mapped destination',
                frame: nvgreFrame({
                  ...good,
                  inner: udpPacket({
                    ...{ source: vm.ip6, destination: `::ffff:${INTERNET_ADDRESS}` },
                    ...{ port: 6666, data: 'hostile' },
                  }),
                }),
                reason: 'inner-malformed',
              },
              {
                what: 'a spoofed address behind extension headers',
                frame: nvgreFrame({
                  ...good,
                  inner: ipPacket(
                    'fd00:1:1::99',
                    INTERNET_ADDRESS6,
                    HOP_BY_HOP,
                    Buffer.from('3b00010400000000', 'hex'),
                  ),
                }),
                reason: 'inner-source-address',
              },
              {
                what: 'a spoofed address in a fragment',
                frame: nvgreFrame({
                  ...good,
                  inner: ipPacket(
                    'fd00:1:1::99',
                    INTERNET_ADDRESS6,
                    FRAGMENT,
                    Buffer.from('1100000100000001', 'hex'),
                  ),
                }),
                reason: 'inner-source-address',
              },
            );
          if (providerFamily === 6) {
            const outer = (protocol: number, bytes: string) =>
              nvgreFrame({ ...good, extension: { protocol, bytes: Buffer.from(bytes, 'hex') } });
            const isNobodys = true;
            const reason = 'outer-options';
            const options = '2f00010400000000';
            cases.push(
              {
                what: 'an outer fragment',
                frame: outer(FRAGMENT, '2f00000100000001'),
                reason: 'outer-fragment',
                isNobodys,
              },
              { what: 'outer hop-by-hop options', frame: outer(HOP_BY_HOP, options), reason, isNobodys },
              {
                what: 'an outer routing header',
                frame: outer(ROUTING, '2f00040000000000'),
                reason,
                isNobodys,
              },
              {
                what: 'outer destination options',
                frame: outer(DESTINATION_OPTIONS, options),
                reason,
                isNobodys,
              },
              {
                what: 'a v4-mapped provider address',
                frame: nvgreFrame({ ...good, from: `::ffff:${providerAddress(4, 0)}` }),
                ...{ reason: 'source-provider-address', isNobodys },
              },
            );
          }

          for (const { what, frame, reason, isNobodys = false } of cases)
            await t.test(`IPv${family} with ${what}: ${reason}`, async (t) => {
              const rdid = isNobodys ? undefined : network.rdid;
              const before = await dropsOf(gateway, rdid);
              await raw.send(frame);
              const grown = await until('the drop is counted', 5_000, async () => {
                const now = dropsBetween(before, await dropsOf(gateway, rdid));
                return Object.keys(now).length > 0 && now;
              });
              t.same(grown, { [reason]: 1 });
            });

          await t.test(`IPv${family} cut at every byte`, async (t) => {
            const reasons = ['outer-truncated', 'inner-truncated', 'inner-malformed'];
            const total = async (): Promise<number> => {
              const both = [await dropsOf(gateway, undefined), await dropsOf(gateway, network.rdid)];
              return both
                .flatMap((part) => reasons.map((reason) => part[reason] ?? 0))
                .reduce((a, b) => a + b);
            };
            const before = await total();
            const whole = nvgreFrame(good);
            for (let bytes = 15; bytes < whole.length; bytes++) await raw.send(whole.subarray(0, bytes));
            await until(
              'all cuts are counted',
              5_000,
              async () => (await total()) - before >= whole.length - 15,
            );
            t.equal((await total()) - before, whole.length - 15);
          });
        }

        await t.test('none of it reaches the internet', async (t) => {
          const good = await goodOf(6);
          await raw.send(nvgreFrame({ ...good, inner: hostile(6, vm.ip6, 'good') }));
          await until('the good one arrives', 5_000, async () => {
            return (await heard.decode('udp', ['frame.number'])).length > 0;
          });
          await heard.stop();
          t.same(await heard.decode('udp', ['ipv6.src', 'udp.payload']), [
            [contoso.external[6], Buffer.from('good').toString('hex')],
          ]);
        });
      });

      await t.test('hostile packets from the internet do not reach a VM', async (t) => {
        const raw = await RawLink.open(outside, Internet.nic);
        const vm = all.vm(contoso, 1);
        const heard = await Capture.start(vm.namespace, VM_NIC, 'udp');
        const external = contoso.external[6];
        const macs = { destinationMac: uplinkMac, sourceMac: await macOf(outside, Internet.nic) };
        const send = (source: string, destination: string) =>
          raw.send(udpFrame({ ...macs, source, destination, port: UDP_PORT, data: 'hostile' }));
        // The tenant's own addresses, those of nobody's, and ones that would pass for the IPv4 external address.
        for (const source of [
          all.vm(contoso, 3).ip6,
          GATEWAY[6],
          'fd00:1:1::99',
          '::',
          'ff02::1',
          'fe80::99',
        ])
          await send(source, external);
        await send(INTERNET_ADDRESS6, `::ffff:${contoso.external[4]}`);
        await send(`::ffff:${INTERNET_ADDRESS}`, external);
        await send(INTERNET_ADDRESS6, vm.ip6);
        reaches(t, await ask(outside, `udp:[${external}]:${UDP_PORT}`), vm.name, INTERNET_ADDRESS6);
        await heard.stop();
        const seen = await heard.decode(`udp.dstport == 80`, ['ipv6.src', 'udp.payload']);
        t.same(seen, [[INTERNET_ADDRESS6, Buffer.from('hello').toString('hex')]]);
      });

      await t.test('killed in the middle of pings, the gateway loses none of either family', async (t) => {
        const counters = async () =>
          (await gateway.api.get(`/v1/routing-domains/${contoso.network.rdid}/counters`)) as {
            decapsulated: { packets: number };
          };
        const objects = await kernelObjects(gateway);
        t.match(objects, { proxies: tenants.map(() => ({ dst: /^2001:db8:100::/ })) }, 'the groups are seen');
        const before = (await counters()).decapsulated.packets;
        const floods = await Promise.all(
          FAMILIES.map((family) =>
            all
              .vm(contoso, 1)
              .namespace.spawn(`ping -n -q -i 0.002 -c 3500 -W 2 ${INTERNET[family]}`.split(' ')),
          ),
        );
        await Promise.all(floods.map((flood) => flood.waitFor(/^PING/)));
        await until('500 echoes', 5_000, async () => (await counters()).decapsulated.packets > before + 500);
        await gateway.kill('SIGKILL');
        await gateway.start();
        t.same(await kernelObjects(gateway), objects, 'every object of the kernel is the one from before');
        for (const flood of floods)
          t.ok(flood.running, 'the flood was still going on when the process was back');
        for (const flood of floods) {
          const [, count, received] = await flood.waitFor(
            /(\d+) packets transmitted, (\d+) received/,
            60_000,
          );
          t.equal(received, count, 'every echo came back');
        }
      });

      await t.test('in all this time nothing was on the uplink that was not translated', async (t) => {
        await sent.stop();
        t.equal(sent.dropped, 0, 'the capture has all');
        const addresses = ['ip.src', 'ipv6.src', 'ip.dst', 'ipv6.dst'] as const;
        const frames = await sent.frames('ip or ipv6', [...addresses, 'icmpv6.type', 'icmp.type']);
        t.ok(frames.length > 1_000, `${frames.length} packets`);
        const owned = [
          ...tenants.flatMap(({ external }) => Object.values(external)),
          ...[...Object.values(ROUTED), ANOTHER6],
          // The machine itself.
          ...[UPLINK_ADDRESS, UPLINK_ADDRESS6, '::'],
        ];
        const wrong = frames.filter((frame) => {
          const source = frame['ip.src'][0] ?? frame['ipv6.src'][0] ?? '';
          // Quotes of ICMP errors are looked at as well.
          const shown = addresses.flatMap((field) => frame[field]);
          const isOwned = owned.includes(source) || source.startsWith('fe80:');
          return !isOwned || shown.some((address) => /^(10\.|fd00:)/.test(address));
        });
        t.same(wrong, []);
      });
    },
  );
}
