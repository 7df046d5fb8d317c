/**
 * Whatever is changed while packets take the fast path, none that comes behind the API's answer is treated as before. Each row has a
 * conversation that is fast, by the counters, changes one thing while it goes on, and looks at the packets on the far side.
 */
import t, { type Test } from 'tap';
import { contextNames } from '../../src/gateway/names.ts';
import { TCP_FLAG } from '../lab/crafted-packet.ts';
import { UPLINK_NIC } from '../lab/gateway-node.ts';
import { Lab } from '../lab/lab.ts';
import { PROVIDER_NIC } from '../lab/node-process.ts';
import type { TalkSpec } from '../lab/numbered-talk.ts';
import { stayOnThisCpu } from '../lab/one-cpu.ts';
import { type Behind, COUNT, type Running, TalkWires } from '../lab/talk-wires.ts';
import {
  addProviderAddress,
  CORPORATE,
  NEIGHBOURS,
  REMOTE,
  TalkingTenant,
  VMS,
} from '../lab/talking-tenant.ts';
import { putReady } from '../lab/three-hosts.ts';
import { until } from '../lab/until.ts';
import { HOSTS, NICS, ROUTER, WiredGateway } from '../lab/wired-gateway.ts';

type Side = keyof Behind;
/** What all packets of a side have behind the change; undefined: none arrives. */
type Expected = Partial<Record<Side, object | undefined>>;

interface Row {
  what: string;
  talk: TalkSpec;
  opener?: Side;
  /** Before the conversation. */
  prepare?: () => Promise<unknown>;
  change: () => Promise<unknown>;
  behind: Expected;
  restore: () => Promise<unknown>;
}

const OTHER_MAC = '02:9a:00:05:00:99';
const [VM, OTHER_VM] = VMS;
const [HOST, OTHER_HOST] = HOSTS;
const atHost = (host: (typeof HOSTS)[0]) => {
  return { destinationMac: host.mac, tunnel: { to: host.addresses[4] } };
};
const OTHER_ROUTER = '198.51.100.9';
const MAPPED_PORT = 8080;
/** The fast path asks connection tracking once a second. */
const ASKED_WITHIN_MS = 1_500;
/** Packets each way, when they are counted. */
const EXACT = 40;
const SHARED = '203.0.113.200';
const block = (portStart: number) => ({
  externalAddresses: [{ ipAddress: SHARED, portStart, portEnd: portStart + 99 }],
});
/** Of the gateway, on the provider network. */
const [SECOND_ADDRESS, OTHERS_ADDRESS] = ['192.168.1.21', '192.168.1.22'];
const SITE_PREFIX = '203.0.113.0/28';

for (const mode of ['generic', 'native'] as const)
  t.test(`changes while packets are fast, ${mode}`, { timeout: 120_000 }, async (t) => {
    const lab = await Lab.create(`inv${mode.slice(0, 3)}${process.pid}`);
    t.teardown(() => lab.close());
    const gateway = await WiredGateway.create(await lab.namespace('wire'), mode);
    await gateway.start();
    stayOnThisCpu();
    await addProviderAddress(gateway, NICS.provider.addresses[4]);
    const [tenant, other] = [new TalkingTenant(gateway, 1), new TalkingTenant(gateway, 2)];
    await tenant.provision();
    await other.provision();
    await addProviderAddress(gateway, OTHERS_ADDRESS);
    await other.announce(OTHERS_ADDRESS);
    const wires = new TalkWires(gateway);
    await wires.openControl(other.rdid, other.talk('udp', { to: OTHERS_ADDRESS }));
    const { netns } = contextNames(gateway.instance, tenant.rdid);
    const inContext = (...args: string[]) =>
      lab.runChecked('nsenter', [`--net=/run/netns/${netns}`, ...args]);

    const natTalk = (more: Partial<TalkSpec> = {}): TalkSpec => tenant.talk('udp', more);
    const restoreVm = () => tenant.putVm(VM);

    const rows: Row[] = [
      {
        what: 'a lookup record moves to another host',
        talk: tenant.talk('tcp'),
        change: () => tenant.putRecord(VM.addresses[4], VM.mac, OTHER_HOST.addresses[4]),
        behind: { inside: undefined, outside: atHost(OTHER_HOST) },
        restore: restoreVm,
      },
      {
        what: 'the same of IPv6',
        talk: tenant.talk('tcp', {}, 6),
        change: () => tenant.putRecord(VM.addresses[6], VM.mac, OTHER_HOST.addresses[4]),
        behind: { inside: undefined, outside: atHost(OTHER_HOST) },
        restore: () => tenant.putVm(VM, 6),
      },
      {
        what: 'the MAC of a record changes',
        talk: tenant.talk('udp'),
        change: () => tenant.putRecord(VM.addresses[4], OTHER_MAC, HOST.addresses[4]),
        behind: { inside: undefined, outside: { tunnel: { destinationMac: OTHER_MAC } } },
        restore: restoreVm,
      },
      {
        what: 'a record is deleted',
        talk: tenant.talk('udp'),
        change: () => tenant.delete(`lookup-records/${VM.addresses[4]}`),
        behind: { inside: undefined, outside: undefined },
        restore: restoreVm,
      },
      {
        what: 'the virtual subnet whose VSID is in the frames is deleted',
        talk: tenant.talk('udp', { vsid: 5999 }),
        prepare: () => tenant.put('virtual-subnets/5999', { addressPrefixes: ['10.1.99.0/24'] }),
        change: () => tenant.delete('virtual-subnets/5999'),
        behind: { inside: undefined, outside: atHost(HOST) },
        restore: async () => undefined,
      },
      {
        what: 'a customer route leads to another VM',
        talk: natTalk({ inside: { address: '192.168.77.5', port: 7000 } }),
        prepare: () => putRoute(tenant, VM.addresses[4]),
        change: () => putRoute(tenant, OTHER_VM.addresses[4]),
        behind: {
          inside: undefined,
          outside: { destinationMac: OTHER_HOST.mac, tunnel: { destinationMac: OTHER_VM.mac } },
        },
        restore: () => tenant.delete('customer-routes/beyond'),
      },
      {
        what: 'a customer route is deleted',
        talk: natTalk({ inside: { address: '192.168.77.5', port: 7001 } }),
        prepare: () => putRoute(tenant, VM.addresses[4]),
        change: () => tenant.delete('customer-routes/beyond'),
        behind: { inside: undefined, outside: undefined },
        restore: async () => undefined,
      },
      {
        what: 'the gateway’s provider address becomes another one',
        talk: tenant.talk('tcp'),
        prepare: () => addProviderAddress(gateway, SECOND_ADDRESS),
        change: () => tenant.announce(SECOND_ADDRESS),
        behind: { outside: { tunnel: { from: SECOND_ADDRESS } } },
        restore: async () => {
          await tenant.announce();
          await removeProviderAddress(gateway);
        },
      },
      {
        what: 'the provider address that frames come to is removed',
        talk: tenant.talk('udp'),
        prepare: () => addProviderAddress(gateway, SECOND_ADDRESS),
        change: () => gateway.api.delete(`/v1/provider-addresses/${NICS.provider.addresses[4]}?wait=10s`),
        behind: { inside: undefined },
        restore: async () => {
          await addProviderAddress(gateway, NICS.provider.addresses[4]);
          await removeProviderAddress(gateway);
        },
      },
      {
        what: 'a provider route leads by another router',
        talk: natTalk({ host: { ...HOST, addresses: { ...HOST.addresses, 4: '10.9.9.9' } } }),
        prepare: async () => {
          await putProviderRoute(gateway, HOST.addresses[4]);
          await tenant.putRecord(VM.addresses[4], VM.mac, '10.9.9.9');
        },
        change: () => putProviderRoute(gateway, OTHER_HOST.addresses[4]),
        behind: { inside: {}, outside: { destinationMac: OTHER_HOST.mac, tunnel: { to: '10.9.9.9' } } },
        restore: async () => {
          await restoreVm();
          await gateway.api.delete('/v1/provider-routes/away?wait=10s');
        },
      },
      {
        what: 'NAT has another external address',
        talk: natTalk(),
        change: () => tenant.putNat({ externalAddresses: [{ ipAddress: '203.0.113.111' }] }),
        behind: { inside: { source: '203.0.113.111' }, outside: undefined },
        restore: () => tenant.putNat(),
      },
      {
        what: 'the same of IPv6',
        talk: tenant.talk('udp', {}, 6),
        change: () => tenant.putNat({ externalAddresses: [{ ipAddress: '2001:db8:200::111' }] }),
        behind: { inside: { source: '2001:db8:200::111' }, outside: undefined },
        restore: () => tenant.putNat(),
      },
      {
        what: 'the same of a ping',
        talk: tenant.talk('ping'),
        change: () => tenant.putNat({ externalAddresses: [{ ipAddress: '203.0.113.111' }] }),
        behind: { inside: { source: '203.0.113.111' }, outside: undefined },
        restore: () => tenant.putNat(),
      },
      {
        what: 'the same of a ping by IPv6',
        talk: tenant.talk('ping', {}, 6),
        change: () => tenant.putNat({ externalAddresses: [{ ipAddress: '2001:db8:200::111' }] }),
        behind: { inside: { source: '2001:db8:200::111' }, outside: undefined },
        restore: () => tenant.putNat(),
      },
      {
        what: 'NAT has another block of ports',
        talk: natTalk(),
        prepare: () => tenant.putNat(block(30_000)),
        change: () => tenant.putNat(block(40_000)),
        behind: { inside: { source: SHARED, sourcePort: /^400\d\d$/ }, outside: undefined },
        restore: () => tenant.putNat(),
      },
      {
        what: 'a port mapping is removed',
        talk: natTalk({
          ...{ inside: { address: VM.addresses[4], port: 80 } },
          reached: { address: tenant.external[4], port: MAPPED_PORT },
        }),
        opener: 'outside',
        prepare: () => tenant.putNat(mapping(tenant)),
        change: () => tenant.putNat(),
        behind: { inside: { sourcePort: /^(?!8080$)/ }, outside: undefined },
        restore: async () => undefined,
      },
      {
        what: 'a one-to-one translation becomes another one',
        talk: natTalk(),
        prepare: () => tenant.putNat(oneToOne('203.0.113.121')),
        change: () => tenant.putNat(oneToOne('203.0.113.122')),
        behind: { inside: { source: '203.0.113.122' }, outside: undefined },
        restore: () => tenant.putNat(),
      },
      {
        what: 'a site connection takes over the remote',
        talk: natTalk(),
        change: () =>
          tenant.put('site-connections/office', {
            ...{ destination: '198.51.100.77', initiate: 'never', subnets: [{ prefix: SITE_PREFIX }] },
            authentication: { method: 'psk', preSharedKey: 'a long secret of nobody', remoteId: 'office' },
          }),
        behind: { inside: undefined, outside: undefined },
        restore: () => tenant.delete('site-connections/office'),
      },
      {
        what: 'NAT is removed',
        talk: natTalk(),
        change: () => tenant.delete('nat'),
        behind: { inside: undefined, outside: undefined },
        restore: () => tenant.putNat(),
      },
      {
        what: 'forwarding has another next hop',
        talk: tenant.forwardedTalk('tcp'),
        prepare: () => tenant.putForwarding().then(() => gateway.prepareContext(tenant.rdid, NEIGHBOURS)),
        change: () => tenant.putForwarding(NEIGHBOURS[1]),
        behind: { inside: { vlan: 100, destinationMac: NEIGHBOURS[1].mac }, outside: { source: CORPORATE } },
        restore: () => tenant.putForwarding(),
      },
      {
        what: 'forwarding is removed',
        talk: tenant.forwardedTalk('udp'),
        prepare: () => gateway.prepareContext(tenant.rdid, NEIGHBOURS),
        change: () => tenant.delete('forwarding'),
        // NAT takes over.
        behind: { inside: { vlan: 0, source: tenant.external[4] }, outside: undefined },
        restore: async () => undefined,
      },
      {
        what: 'the same of a ping that is forwarded',
        talk: tenant.forwardedTalk('ping'),
        prepare: () => tenant.putForwarding().then(() => gateway.prepareContext(tenant.rdid, NEIGHBOURS)),
        change: () => tenant.delete('forwarding'),
        behind: { inside: { vlan: 0, source: tenant.external[4] }, outside: undefined },
        restore: async () => undefined,
      },
      {
        what: 'the gateway is removed',
        talk: tenant.talk('tcp'),
        change: () => tenant.delete('gateway'),
        behind: { inside: undefined, outside: undefined },
        restore: () => tenant.putGateway(),
      },
      {
        what: 'the routing domain is deleted',
        talk: tenant.talk('tcp'),
        change: () => gateway.api.delete(`${tenant.base}?wait=10s`),
        behind: { inside: undefined, outside: undefined },
        restore: () => tenant.provision(),
      },
    ];

    for (const row of rows)
      await t.test(row.what, async (t) => {
        try {
          await row.prepare?.();
          const running = await wires.open(tenant.rdid, row.talk, row.opener);
          isAs(t, await wires.during(running, row.change), row.behind);
        } finally {
          await row.restore();
        }
      });

    await t.test('a session that is ended in the context begins anew', async (t) => {
      const running = await wires.open(tenant.rdid, natTalk());
      await inContext('conntrack', '-D', '-s', VM.addresses[4], '-p', 'udp');
      const ended = performance.now();
      const comesIn = async () => (await wires.during(running, async () => undefined, ['outside'])).outside;
      await until('connection tracking has been asked', 5_000, async () => {
        await comesIn();
        return performance.now() - ended > ASKED_WITHIN_MS;
      });
      t.same(await comesIn(), [], 'nothing comes in any more');
      await wires.exchangeFrom(running, 'inside', 1);
      t.match(await wires.session(running), { sent: { packets: 1 }, received: { packets: 0 } });
      await wires.warm(running);
    });

    for (const family of [4, 6] as const)
      await t.test(`the session of a ping that is ended begins anew, IPv${family}`, async (t) => {
        const running = await wires.open(tenant.rdid, tenant.talk('ping', {}, family));
        const begun = await wires.session(running);
        // Those outside answer nobody any more, once one of them has gone the slow way.
        await inContext('conntrack', '-D', '-f', `ipv${family}`, '-s', VM.addresses[family]);
        await wires.whenever(running, 'outside', 'nothing comes in', ({ outside }) => outside.length === 0);
        t.equal(await wires.session(running), undefined);
        await wires.exchangeFrom(running, 'inside', 1);
        await wires.warm(running);
        t.not((await wires.session(running))?.started, begun?.started);
      });

    await t.test('counters of domain and session have every packet', async (t) => {
      for (const family of [4, 6] as const)
        for (const protocol of ['tcp', 'udp', 'ping'] as const) {
          const running = await wires.open(tenant.rdid, tenant.talk(protocol, { more: 100 }, family));
          const { packetBytes } = running.talk;
          const [before, session] = [await wires.counters(tenant.rdid), await wires.session(running)];
          await wires.exchange(running, EXACT);
          const grown = (amount = { packets: 0, bytes: 0 }) => {
            return { packets: amount.packets + EXACT, bytes: amount.bytes + EXACT * packetBytes };
          };
          const after = await wires.counters(tenant.rdid);
          t.match(after, {
            ...{ decapsulated: grown(before.decapsulated), encapsulated: grown(before.encapsulated) },
            drops: before.drops,
          });
          t.ok(after.fast.packets - before.fast.packets > EXACT, 'most by the fast path');
          // Which session it was of, a fast echo does not know.
          if (protocol === 'ping') continue;
          t.match(await wires.session(running), {
            ...{ sent: grown(session?.sent), received: grown(session?.received), started: session?.started },
          });
        }
    });

    await t.test('busy sessions stay, silent ones end in their time', async (t) => {
      await tenant.putNat({ timeouts: { icmp: 4, udp: 3 } });
      const openBoth = async (): Promise<Running[]> => [
        await wires.open(tenant.rdid, natTalk()),
        await wires.open(tenant.rdid, tenant.talk('ping')),
      ];
      const [busy, idle] = [await openBoth(), await openBoth()];
      const sessions = (of: Running[]) => Promise.all(of.map((running) => wires.session(running)));
      const begun = await sessions(busy);
      const [fast, first] = [await wires.fastPackets(tenant.rdid), performance.now()];
      let said = 0;
      await until('the silent ones have ended', 10_000, async () => {
        for (const running of busy) await wires.exchange(running, 1);
        said += 2 * busy.length;
        return (await sessions(idle)).every((session) => session === undefined);
      });
      const seconds = (performance.now() - first) / 1000;
      t.match(
        await sessions(busy),
        begun.map((session) => ({ started: session?.started })),
        'the busy ones are the same',
      );
      const slow = said - ((await wires.fastPackets(tenant.rdid)) - fast);
      t.ok(slow <= 2 * busy.length * (seconds + 1), `of ${said} packets, ${slow} were slow in ${seconds} s`);
      await tenant.putNat();
    });

    await t.test(
      'the end of a TCP connection is connection tracking’s, and another one may follow',
      async (t) => {
        const running = await wires.open(tenant.rdid, tenant.talk('tcp'));
        const { fin, ack, rst } = TCP_FLAG;
        wires.say(running, 'inside', fin | ack);
        wires.say(running, 'outside', fin | ack);
        wires.say(running, 'inside', ack);
        await until('both sides have ended', 5_000, async () => {
          return (await wires.session(running))?.state === 'timeWait';
        });
        await wires.begin(running);
        await wires.warm(running);
        wires.say(running, 'outside', rst);
        // Connection tracking, which has not seen all, cannot tell whether the other side takes it: it waits for 10 s.
        await until('it was reset', 5_000, async () => {
          const session = await wires.session(running);
          return session === undefined || session.state === 'close' || session.timeoutSeconds <= 10;
        });
        await wires.begin(running);
        await wires.warm(running);
        t.match(await wires.session(running), { state: 'established' });
      },
    );

    /** What the kernel is told and no answer of the API tells: soon, and then for good. Without `mac`, nothing leaves that way any more. */
    const soon: {
      what: string;
      talk: TalkSpec;
      side: Side;
      change: string[];
      back: string[];
      mac?: string;
    }[] = [
      {
        what: 'the router on the uplink has another MAC',
        ...{ talk: natTalk(), side: 'inside', mac: OTHER_MAC },
        change: [neighbour(ROUTER.addresses[4], OTHER_MAC, UPLINK_NIC)],
        back: [neighbour(ROUTER.addresses[4], ROUTER.mac, UPLINK_NIC)],
      },
      {
        what: 'a host has another MAC',
        ...{ talk: tenant.talk('tcp'), side: 'outside', mac: OTHER_MAC },
        change: [neighbour(HOST.addresses[4], OTHER_MAC, PROVIDER_NIC)],
        back: [neighbour(HOST.addresses[4], HOST.mac, PROVIDER_NIC)],
      },
      {
        what: 'another router is on the way outside',
        ...{ talk: natTalk(), side: 'inside', mac: OTHER_MAC },
        change: [
          neighbour(OTHER_ROUTER, OTHER_MAC, UPLINK_NIC),
          `route add ${REMOTE[4]}/32 via ${OTHER_ROUTER}`,
        ],
        back: [`route del ${REMOTE[4]}/32 via ${OTHER_ROUTER}`],
      },
      {
        what: 'the MTU of the uplink is lowered',
        ...{ talk: natTalk({ more: 1300 }), side: 'inside' },
        change: [`link set ${UPLINK_NIC} mtu 1300`],
        back: [`link set ${UPLINK_NIC} mtu 1500`],
      },
    ];
    for (const { what, talk, side, change, back, mac } of soon)
      await t.test(what, async (t) => {
        const running = await wires.open(tenant.rdid, talk);
        const isSo = (behind: Behind): boolean =>
          mac === undefined
            ? behind[side].length === 0
            : behind[side].length > 0 && behind[side].every(({ destinationMac }) => destinationMac === mac);
        try {
          await gateway.namespace.ipBatch(change);
          const behind = await wires.whenever(running, side, what, isSo);
          isAs(t, behind, { [side]: mac && { destinationMac: mac } });
        } finally {
          await gateway.namespace.ipBatch(back);
        }
        await wires.whenever(running, side, `${what} no more`, (behind) => !isSo(behind));
        await wires.warm(running);
      });

    await t.test('the uplink goes down, and comes up again', async () => {
      const running = await wires.open(tenant.rdid, natTalk());
      await gateway.namespace.ip('link', 'set', UPLINK_NIC, 'down');
      for (let packet = 0; packet < COUNT; packet++) wires.say(running, 'inside');
      // Its routes and neighbours went with it; a few packets may wait for the neighbour, as in any router.
      await gateway.namespace.ipBatch([
        `link set ${UPLINK_NIC} up`,
        neighbour(ROUTER.addresses[4], ROUTER.mac, UPLINK_NIC),
        `route add default via ${ROUTER.addresses[4]}`,
      ]);
      await wires.whenever(running, 'inside', 'packets pass again', ({ inside }) => inside.length > 0);
      await wires.warm(running);
    });
  });

const neighbour = (address: string, mac: string, nic: string): string =>
  `neigh replace ${address} lladdr ${mac} dev ${nic} nud permanent`;

function putRoute(tenant: TalkingTenant, nextHop: string): Promise<void> {
  return tenant.put('customer-routes/beyond', {
    ...{ virtualSubnetId: tenant.vsid, destinationPrefix: '192.168.77.0/24', nextHop },
  });
}

async function removeProviderAddress({ namespace, api }: WiredGateway): Promise<void> {
  await api.delete(`/v1/provider-addresses/${SECOND_ADDRESS}?wait=10s`);
  await namespace.ip('addr', 'del', `${SECOND_ADDRESS}/24`, 'dev', PROVIDER_NIC);
}

function putProviderRoute(gateway: WiredGateway, nextHop: string): Promise<void> {
  return putReady(gateway.api, '/v1/provider-routes/away', {
    ...{ interface: PROVIDER_NIC, destinationPrefix: '10.9.9.0/24', nextHop },
  });
}

function mapping(tenant: TalkingTenant): object {
  return {
    staticMappings: [
      {
        ...{ protocol: 'udp', externalIpAddress: tenant.external[4], externalPort: MAPPED_PORT },
        ...{ internalIpAddress: VM.addresses[4], internalPort: 80 },
      },
    ],
  };
}

function oneToOne(externalIpAddress: string): object {
  return {
    externalAddresses: ['203.0.113.121', '203.0.113.122'].map((ipAddress) => ({ ipAddress })),
    oneToOne: [{ externalIpAddress, internalIpAddress: VM.addresses[4] }],
  };
}

function isAs(t: Test, behind: Behind, expected: Expected): void {
  for (const [side, wanted] of Object.entries(expected) as [Side, object | undefined][])
    if (wanted === undefined) t.same(behind[side], [], `nothing that is said ${side} arrives`);
    else t.match(behind[side], Array(COUNT).fill(wanted), `what is said ${side} arrives so`);
}
