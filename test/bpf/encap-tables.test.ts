// The owner of the maps, on real maps: writes differences only, takes away only what is the domain's, adopts what it finds.
import t from 'tap';
import { type DomainEntries, domainEntries, domainMaps } from '../../src/encap/entries.ts';
import {
  decodeExternal,
  decodePeerKey,
  decodeSubnet,
  encodeExternalKey,
  encodeSubnet,
  encodeSubnetKey,
} from '../../src/encap/layout.generated.ts';
import { encodeNvgre } from '../../src/encap/nvgre.ts';
import { DomainTables } from '../../src/encap/tables.ts';
import { addressBytes, addressFromBytes } from '../../src/policy/address.ts';
import type { DomainPlan } from '../../src/policy/plan.ts';
import { DataPlane, LINK_MACS } from './data-plane.ts';
import { contoso, fabrikam, natOf, SHARED, SHARED6, tenantFrame } from './two-domains.ts';

type Test = Parameters<typeof DataPlane.open>[0];
type Entries = Record<string, string[]>;

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
/** All maps that DomainTables writes entries to. */
const counting = ['port_macs', 'shared_addresses'] as const;
const written = [...domainMaps, ...counting];

/** What is in the maps, comparable. */
function content(dataPlane: DataPlane): Entries {
  return Object.fromEntries(
    written.map((name) => [
      name,
      dataPlane
        .map(name)
        .entries()
        .map(([key, value]) => `${hex(key)}=${hex(value)}`)
        .sort(),
    ]),
  );
}

/** The maps' content by the entries that they should have. */
function contentOf(entries: readonly DomainEntries[]): Entries {
  return Object.fromEntries(
    domainMaps.map((name) => [
      name,
      entries
        .flatMap((domain) => [...domain[name]])
        .map(([key, value]) => `${hex(Buffer.from(key, 'latin1'))}=${hex(Buffer.from(value, 'latin1'))}`)
        .sort(),
    ]),
  );
}

/** The content of a map that tells which parts there are in another map's keys. */
function counted(parts: readonly string[]): string[] {
  return [...new Set(parts)].map((part) => `${part}=${hex(Buffer.of(1, 0, 0, 0))}`).sort();
}

/** The content of `port_macs`: each MAC that ports have. */
function macsOf(entries: readonly DomainEntries[]): string[] {
  const keys = entries.flatMap((domain) => [...domain.ports_by_mac.keys()]);
  return counted(keys.map((key) => hex(Buffer.from(key, 'latin1').subarray(8))));
}

/** The content of `shared_addresses`: each address that has blocks of ports. */
function sharedOf(entries: readonly DomainEntries[]): string[] {
  const keys = entries.flatMap((domain) =>
    [...domain.external_ranges.keys()].map((key) => Buffer.from(key, 'latin1')),
  );
  const blocks = keys.filter((key) => key.readUInt32LE() > 128);
  return counted(blocks.map((key) => hex(key.subarray(4, 20))));
}

const derivedOf = (entries: readonly DomainEntries[]): Entries => ({
  port_macs: macsOf(entries),
  shared_addresses: sharedOf(entries),
});

function planOf(dataPlane: DataPlane, handle: number): DomainPlan {
  const plan = dataPlane.plans.find((candidate) => candidate.handle === handle);
  if (plan === undefined) throw new Error(`no domain ${handle}`);
  return plan;
}

function setUp(t: Test) {
  const dataPlane = DataPlane.open(t);
  const entriesOf = (plan: DomainPlan): DomainEntries =>
    domainEntries(plan, dataPlane.attachments(plan.handle));
  return {
    dataPlane,
    entriesOf,
    ours: planOf(dataPlane, contoso.handle),
    theirs: planOf(dataPlane, fabrikam.handle),
    adopt: () => new DomainTables((name) => dataPlane.map(name)),
  };
}

/** Changes the last byte of every entry behind the tables' back; what is not written again keeps it. */
function tamper(dataPlane: DataPlane): void {
  for (const name of written) {
    const map = dataPlane.map(name);
    for (const [key, value] of map.entries()) {
      value[value.length - 1] = (value[value.length - 1] ?? 0) ^ 0x80;
      map.update(key, value);
    }
  }
}

t.test('the maps hold just the entries of the domains', async (t) => {
  const { dataPlane, entriesOf, ours, theirs } = setUp(t);
  const entries = [entriesOf(ours), entriesOf(theirs)];
  t.same(content(dataPlane), { ...contentOf(entries), ...derivedOf(entries) });
  for (const name of written) t.ok(content(dataPlane)[name]?.length, `${name} is not empty`);
});

t.test('peers of shared addresses have entries, those of whole ones need none', async (t) => {
  const { entriesOf, ours } = setUp(t);
  const locals = [...entriesOf(ours).peers.keys()].map((key) => {
    const { local, remote } = decodePeerKey(Buffer.from(key, 'latin1'));
    return [addressFromBytes(local), addressFromBytes(remote)];
  });
  t.ok(ours.nat?.peers.some(({ localAddress }) => localAddress === contoso.external));
  t.same(
    locals,
    contoso.peers.map((remote) => [remote.includes(':') ? SHARED6 : SHARED, remote]),
  );
});

t.test('applying the same again writes nothing', async (t) => {
  const { dataPlane, entriesOf, ours, theirs } = setUp(t);
  tamper(dataPlane);
  const tampered = content(dataPlane);
  for (const plan of [ours, theirs]) dataPlane.tables.apply(plan.handle, entriesOf(plan));
  t.same(content(dataPlane), tampered);
});

t.test('a change writes the entries that differ, and no others', async (t) => {
  const { dataPlane, entriesOf, ours } = setUp(t);
  const changed: DomainPlan = {
    ...ours,
    records: ours.records.map((record) =>
      record.address === '10.1.1.4' ? { ...record, providerAddress: '192.168.4.12' } : record,
    ),
    routes: ours.routes.filter(({ prefix }) => prefix !== '172.16.5.0/24'),
    subnets: [...ours.subnets, { vsid: 5005, routerAddresses: [], remotes: [] }],
  };
  tamper(dataPlane);
  const before = content(dataPlane);
  dataPlane.tables.apply(ours.handle, entriesOf(changed));
  const after = content(dataPlane);
  const differences = Object.fromEntries(
    written
      .map((name) => [
        name,
        {
          added: after[name]?.filter((entry) => !before[name]?.includes(entry)).length,
          removed: before[name]?.filter((entry) => !after[name]?.includes(entry)).length,
        },
      ])
      .filter(([, difference]) => typeof difference === 'object' && (difference.added || difference.removed)),
  );
  t.same(differences, {
    records: { added: 1, removed: 1 },
    routes: { added: 0, removed: 1 },
    subnets: { added: 1, removed: 0 },
  });
});

t.test(
  'a VSID, external address or peer that moves to another domain stays with it, in either order',
  async (t) => {
    const moved = { vsid: 5002, address: contoso.external };
    for (const order of ['loser first', 'winner first']) {
      await t.test(order, async (t) => {
        const { dataPlane, entriesOf, ours, theirs, adopt } = setUp(t);
        const loser: DomainPlan = {
          ...ours,
          subnets: ours.subnets.filter(({ vsid }) => vsid !== moved.vsid),
          nat: { ...natOf(contoso), externalAddresses: [{ address: '203.0.113.30' }], prefixes: [] },
        };
        const winner: DomainPlan = {
          ...theirs,
          subnets: [...theirs.subnets, ...ours.subnets.filter(({ vsid }) => vsid === moved.vsid)],
          nat: {
            ...natOf(fabrikam),
            externalAddresses: [
              ...[{ address: fabrikam.external }, { address: moved.address }],
              { address: SHARED, portStart: contoso.block[0], portEnd: fabrikam.block[1] },
            ],
            prefixes: [contoso.prefix, fabrikam.prefix],
            peers: [...natOf(contoso).peers, ...natOf(fabrikam).peers],
          },
        };
        const sequence = order === 'loser first' ? [loser, winner] : [winner, loser];
        for (const plan of sequence) dataPlane.tables.apply(plan.handle, entriesOf(plan));

        const subnet = dataPlane.map('subnets').lookup(encodeSubnetKey({ vsid: moved.vsid }));
        t.equal(subnet && decodeSubnet(subnet).domain, fabrikam.handle, 'the VSID');
        const external = dataPlane
          .map('externals')
          .lookup(encodeExternalKey({ address: addressBytes(moved.address) }));
        t.equal(external && decodeExternal(external).domain, fabrikam.handle, 'the external address');
        const both = [entriesOf(loser), entriesOf(winner)];
        t.same(
          content(dataPlane),
          { ...contentOf(both), ...derivedOf(both) },
          'blocks, prefixes and peers too, and all else is as it should be',
        );

        t.comment('and the loser’s removal, also after a restart, does not take them');
        adopt().remove(loser.handle);
        const one = [entriesOf(winner)];
        t.same(content(dataPlane), { ...contentOf(one), ...derivedOf(one) });
      });
    }
  },
);

t.test(
  'a removed domain leaves no entry in any map, and zeroed counters; the other domain keeps all',
  async (t) => {
    const { dataPlane, entriesOf, theirs } = setUp(t);
    const frame = encodeNvgre(tenantFrame(LINK_MACS.provider));
    t.equal(dataPlane.run('provider', frame).verdict, 'redirect');
    t.equal(dataPlane.run('provider', frame.subarray(0, 60)).verdict, 'drop');
    dataPlane.run('port', Buffer.alloc(60));
    t.not(dataPlane.stats(contoso.handle).decapsulated.packets, 0);

    dataPlane.tables.remove(contoso.handle);
    const entries = [entriesOf(theirs)];
    t.same(content(dataPlane), { ...contentOf(entries), ...derivedOf(entries) });
    t.same(dataPlane.tables.domains(), [fabrikam.handle]);
    const key = Buffer.from([contoso.handle, 0, 0, 0]);
    for (const name of ['traffic', 'drops'])
      t.ok(
        dataPlane
          .map(name)
          .lookup(key)
          ?.every((byte) => byte === 0),
        'every byte of its counters, on every CPU',
      );
    t.same(dataPlane.run('provider', frame).drop, { reason: 'vsid-unknown', domain: 0 });

    dataPlane.tables.remove(fabrikam.handle);
    for (const [name, entries] of Object.entries(content(dataPlane))) t.same(entries, [], name);
  },
);

t.test('two domains with one gateway MAC: it stays a known port until both are gone', async (t) => {
  const { dataPlane, entriesOf, ours, theirs } = setUp(t);
  const { context } = theirs;
  if (context === undefined) throw new Error('Fabrikam has no context');
  const alike: DomainPlan = { ...theirs, context: { ...context, mac: contoso.gatewayMac } };
  const mac = contoso.gatewayMac.replaceAll(':', '');
  const keysOfMac = () => content(dataPlane).port_macs?.filter((entry) => entry.startsWith(mac));
  dataPlane.tables.apply(alike.handle, entriesOf(alike));
  t.same(content(dataPlane).port_macs, macsOf([entriesOf(ours), entriesOf(alike)]));
  t.same(keysOfMac(), [`${mac}0000=01000000`]);
  dataPlane.tables.remove(ours.handle);
  t.same(content(dataPlane).port_macs, macsOf([entriesOf(alike)]));
  t.same(keysOfMac(), [`${mac}0000=01000000`]);
  dataPlane.tables.remove(alike.handle);
  t.same(content(dataPlane).port_macs, []);
});

t.test(
  'new tables on filled maps know what is there: they write nothing twice, and can remove it',
  async (t) => {
    const { dataPlane, entriesOf, ours, theirs, adopt } = setUp(t);
    const before = content(dataPlane);
    const adopted = adopt();
    t.same(adopted.domains().toSorted(), [contoso.handle, fabrikam.handle]);
    t.same(content(dataPlane), before, 'adopting changes nothing');
    tamper(dataPlane);
    const tampered = content(dataPlane);
    for (const plan of [ours, theirs]) adopted.apply(plan.handle, entriesOf(plan));
    t.same(content(dataPlane), tampered, 'applying what is there writes nothing');
    tamper(dataPlane);
    t.same(content(dataPlane), before, 'tampering twice undoes it');
    for (const handle of adopted.domains()) adopted.remove(handle);
    for (const [name, entries] of Object.entries(content(dataPlane))) t.same(entries, [], name);
  },
);

t.test('new tables mend what is not as it should be', async (t) => {
  const { dataPlane, entriesOf, ours, theirs, adopt } = setUp(t);
  const { records, subnets } = { records: dataPlane.map('records'), subnets: dataPlane.map('subnets') };
  const before = content(dataPlane);
  const [record] = records.entries();
  if (record === undefined) throw new Error('no record');
  records.update(record[0], new Uint8Array(record[1].length));
  t.ok(subnets.delete(encodeSubnetKey({ vsid: contoso.vsids.gateway })));
  const none = new Uint8Array(16);
  subnets.update(
    encodeSubnetKey({ vsid: 9999 }),
    encodeSubnet({ domain: contoso.handle, router: none, router6: none }),
  );
  const adopted = adopt();
  for (const plan of [ours, theirs]) adopted.apply(plan.handle, entriesOf(plan));
  t.same(content(dataPlane), before);
});
