/**
 * Networks without NAT between real stacks: contexts are namespaces on the encap core, their neighbours namespaces behind
 * its NIC. ARP, ND and MLD are the kernels' own, and TCP makes super-packets, also under a tag.
 */
import '../lab/own-namespace.ts';

import t from 'tap';
import { EncapCore } from '../../src/encap/core.ts';
import { domainEntries } from '../../src/encap/entries.ts';
import { readStats } from '../../src/encap/stats.ts';
import { DomainTables } from '../../src/encap/tables.ts';
import { BpfObject } from '../../src/linux/bpf-object.ts';
import { ipBatch } from '../../src/linux/iproute2.ts';
import { ifindexOf } from '../../src/linux/links.ts';
import { inNetns } from '../../src/linux/netns.ts';
import { attachTc } from '../../src/linux/tc.ts';
import { compileFixture } from '../bpf/fixtures/compile.ts';
import { contoso, type DomainName, domains, fabrikam, plans, VLANS } from '../bpf/two-domains.ts';
import { Lab } from '../lab/lab.ts';
import type { Namespace } from '../lab/namespace.ts';
import { serveTransfer, Transfer } from '../lab/transfer.ts';

const NEIGHBOUR = ['203.0.113.1', '2001:db8:f::1'] as const;
const NIC_MAC = '02:f6:00:00:00:01';
const CAPACITY = {
  ...{ routingDomains: 8, lookupRecords: 256, customerRoutes: 64 },
  ...{ externalAddresses: 64, siteConnections: 8, ports: 64, fastFlows: 1 },
};
const names = ['contoso', 'fabrikam'] as const;
/** What a context has beside its own addresses in place of a tenant behind it. */
const TENANT = { contoso: ['10.1.1.4', 'fd00:1::4'], fabrikam: ['10.1.2.9', 'fd00:2::9'] } as const;
const BYTES = 8_000_000;
const PORT = 8080;

const lab = await Lab.create('segments');
t.teardown(() => lab.close());
const core = EncapCore.open('sg', CAPACITY, { fast: false });
t.teardown(() => {
  core.unpin();
  core.close();
});

const untagged = await lab.namespace('untagged');
const contexts: Record<DomainName, Namespace> = {
  contoso: await lab.namespace('contoso'),
  fabrikam: await lab.namespace('fabrikam'),
};
const sites: Record<DomainName, Namespace> = {
  contoso: await lab.namespace('site30'),
  fabrikam: await lab.namespace('site40'),
};
const onNeighbour = [
  `address add ${NEIGHBOUR[0]}/24 dev wan0`,
  `address add ${NEIGHBOUR[1]}/64 dev wan0 nodad`,
];
await ipBatch([
  ['link', 'set', 'lo', 'up'],
  [
    ...['link', 'add', 'wan0', 'address', NIC_MAC, 'up', 'type', 'veth'],
    ...['peer', 'name', 'wan0', 'netns', untagged.name],
  ],
  ...names.map((name) => [
    ...['link', 'add', name, 'mtu', '65535', 'up', 'type', 'veth'],
    ...['peer', 'name', 'fwd', 'mtu', '1500', 'address', domains[name].station.mac],
    ...['netns', contexts[name].name],
  ]),
]);
await untagged.ipBatch(['link set wan0 up', ...onNeighbour]);
await joinSites();
for (const name of names) {
  await contexts[name].runChecked(['sysctl', '-qw', 'net.ipv6.conf.fwd.accept_dad=0']);
  await contexts[name].ip('link', 'set', 'fwd', 'up');
}
for (const name of names) core.attach('segment', ifindexOf(name) ?? 0);
core.attach('uplink', ifindexOf('wan0') ?? 0);
const tables = new DomainTables((map) => core.map(map));

/** Each site is behind a switch at the far end of the NIC, in its VLAN. */
async function joinSites(): Promise<void> {
  const object = BpfObject.open(compileFixture(t, 'vlan-switch'));
  t.teardown(() => object.close());
  object.load();
  const word = (value: number): Buffer => Buffer.from(Uint32Array.of(value).buffer);
  for (const name of names) {
    await lab.veth(sites[name], 'wan0', untagged, name);
    await sites[name].ipBatch(onNeighbour);
  }
  inNetns(untagged.name, () => {
    for (const [vlan, link, program] of [
      [0, 'wan0', 'switch_trunk'],
      ...names.map((name) => [VLANS[name], name, 'switch_port'] as const),
    ] as const) {
      const ifindex = ifindexOf(link) ?? 0;
      object.map('port_of').update(word(vlan), word(ifindex));
      object.map('vlan_of').update(word(ifindex), word(vlan));
      attachTc(ifindex, 'ingress', object.program(program));
    }
  });
}

/** Gives contexts and neighbours their addresses and routes: all the same where `inVlans`. */
async function join(inVlans: boolean): Promise<void> {
  for (const [index, plan] of plans(inVlans).entries()) {
    const name = names[index] ?? 'contoso';
    const attachment = {
      ...{ tenantIfindex: 1000 + plan.handle, externalIfindex: 2000 + plan.handle, externalMac: NIC_MAC },
      ...{
        tunnel: { ifindex: 1, mtu: 1500, mac: NIC_MAC },
        uplinkIfindex: ifindexOf('wan0') ?? 0,
        mtu: 1458,
      },
      segment: { ifindex: ifindexOf(name) ?? 0, uplinkIfindex: ifindexOf('wan0') ?? 0 },
    };
    tables.apply(plan.handle, domainEntries(plan, { context: attachment, ports: new Map() }));
    const { addresses = [] } = plan.forwarding ?? {};
    const tenants = TENANT[inVlans ? 'contoso' : name];
    await contexts[name].ipBatch([
      'address flush dev fwd scope global',
      'address flush dev lo scope global',
      ...addresses.map((address) => `address add ${address} dev fwd${address.includes(':') ? ' nodad' : ''}`),
      `address add ${tenants[0]}/32 dev lo`,
      `address add ${tenants[1]}/128 dev lo`,
      ...NEIGHBOUR.map((address) => `route replace default via ${address}`),
    ]);
    for (const neighbour of inVlans ? [sites[name]] : [untagged])
      await neighbour.ipBatch(
        tenants.map(
          (tenant, family) =>
            `route replace ${tenant} via ${(addresses[family] ?? '').replace(/\/.*/, '')} dev wan0`,
        ),
      );
  }
}

const pings = async (from: Namespace, to: string, source?: string): Promise<boolean> => {
  const sender = source === undefined ? [] : ['-I', source];
  return (await from.run(['ping', '-c', '1', '-W', '2', ...sender, to])).code === 0;
};

/** A transfer from one to the other, whole. */
async function transfers(server: Namespace, address: string, client: Namespace): Promise<boolean> {
  const serving = await serveTransfer(server, address, PORT, BYTES);
  const transfer = await Transfer.start(client, address, PORT, BYTES);
  transfer.hurry();
  const { bytes, intact } = await transfer.finished();
  await serving.end('SIGTERM');
  return intact && bytes === BYTES;
}

/** Why anything was dropped, but for asking for routers, which kernels do that are no routers. */
function losses(): string[] {
  return names.flatMap((name) =>
    Object.entries(readStats((name) => core.map(name), domains[name].handle).drops)
      .filter(([reason, count]) => count > 0 && reason !== 'segment-router-message')
      .map(([reason, count]) => `${name}: ${count} ${reason}`),
  );
}

t.test('two VLANs with the same addresses', async (t) => {
  await join(true);
  for (const name of names) {
    const [site, context] = [sites[name], contexts[name]];
    for (const address of [...contoso.station.addresses, ...TENANT.contoso])
      t.ok(await pings(site, address), `${name}: ${address}`);
    for (const [family, address] of NEIGHBOUR.entries())
      t.ok(await pings(context, address, TENANT.contoso[family]), `${name}: from the tenant to ${address}`);
  }
  t.ok(await transfers(contexts.contoso, TENANT.contoso[0], sites.contoso), 'TCP outwards, with a tag');
  t.ok(await transfers(sites.contoso, NEIGHBOUR[1], contexts.contoso), 'TCP inwards, with a tag');
  const [own = ''] = contoso.station.addresses;
  const serving = await serveTransfer(contexts.contoso, own, PORT, 1);
  const connects = ['bash', '-c', `exec 3<>/dev/tcp/${own}/${PORT}`];
  t.equal((await sites.contoso.run(connects)).code, 0);
  t.not((await sites.fabrikam.run(connects)).code, 0, 'the other VLAN’s context does not listen');
  await serving.end('SIGTERM');
  t.notOk(await pings(untagged, own), 'nor does the untagged network reach it');
  t.same(losses(), [], 'what the kernels say to each other passes');
});

t.test('two domains on the untagged network', async (t) => {
  await join(false);
  for (const name of names) {
    for (const address of [...domains[name].station.addresses, ...TENANT[name]])
      t.ok(await pings(untagged, address), `${name}: ${address}`);
    for (const [family, address] of NEIGHBOUR.entries())
      t.ok(await pings(contexts[name], address, TENANT[name][family]), `${name}: to ${address}`);
  }
  const [other, other6] = fabrikam.station.addresses;
  t.ok(await pings(contexts.contoso, other), 'the neighbour on this node, by ARP');
  t.ok(await pings(contexts.contoso, other6), 'and by ND');
  t.ok(await transfers(contexts.fabrikam, other6, contexts.contoso), 'TCP between both');
  t.ok(await transfers(contexts.fabrikam, other, untagged), 'TCP to the network');
  t.same(losses(), [], 'what the kernels say to each other passes');
});
