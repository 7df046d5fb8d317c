// The packet fuzzer, for as long as CI has time; `node test/fuzz/main.ts` runs it at length.
import t from 'tap';
import {
  decodeMembers,
  encodeForwarded,
  encodeMembers,
  encodeMembersKey,
  encodePeerKey,
  encodePortKey,
  encodeRangeKey,
  encodeRouteKey,
  encodeSegmentKey,
  encodeSubnetKey,
} from '../../src/encap/layout.generated.ts';
import { addressBytes, macBytes, prefixBytes } from '../../src/policy/address.ts';
import { Fuzzer } from '../fuzz/fuzzer.ts';
import type { DataPlane } from './data-plane.ts';
import { contoso, fabrikam, SHARED, VM_PORTS } from './two-domains.ts';

const FRAMES = 200_000;
/** Enough for each sabotage to be noticed many times over. */
const SABOTAGED = 40_000;

t.test('mutated frames get verdicts, accounts and ways of their own domain only', async (t) => {
  const figures = new Fuzzer(t, 1).run(FRAMES);
  t.equal(figures.frames + figures.refused, FRAMES);
  const { pass, drop, redirect } = figures.verdicts;
  for (const [verdict, count] of Object.entries({
    pass,
    drop,
    redirect,
    copied: figures.copied,
    errors: figures.errors,
  }))
    t.ok(count > 500, `${verdict}: ${count}`);
  t.ok(Object.keys(figures.drops).length >= 40, 'most reasons to drop occur');
  for (const { handle } of [contoso, fabrikam])
    t.ok((figures.delivered[`domain ${handle}`] ?? 0) > 1000, `domain ${handle} gets what is its own`);
});

t.test('so they do with a VLAN for each domain, in which both have the same addresses', async (t) => {
  const { delivered } = new Fuzzer(t, 1, true).run(SABOTAGED);
  for (const { handle } of [contoso, fabrikam])
    t.ok((delivered[`domain ${handle}`] ?? 0) > 1000, `domain ${handle} gets what is its own`);
});

const pad = new Uint8Array(2);
const keyOf = (domain: number, vsid: number): Uint8Array =>
  encodePortKey({ domain, vsid, mac: macBytes(VM_PORTS.Db.mac), pad });

/** Policies that let one domain into the other. */
const sabotages: [string, (dataPlane: DataPlane) => void, RegExp][] = [
  [
    'a port of the other domain behind a MAC',
    (dataPlane) => {
      const ports = dataPlane.map('ports_by_mac');
      const foreign = ports.lookup(keyOf(fabrikam.handle, fabrikam.vsids.first));
      if (foreign) ports.update(keyOf(contoso.handle, contoso.vsids.first), foreign);
    },
    /charged to domain 2|a frame for domain 1, \d+ delivered to 2/,
  ],
  [
    'a port of the other domain among the members of a subnet',
    (dataPlane) => {
      const members = dataPlane.map('members');
      const key = encodeMembersKey({ vsid: contoso.vsids.first });
      const value = members.lookup(key);
      if (value === undefined) throw new Error('no members');
      const list = decodeMembers(value);
      list.local[0] = dataPlane.ifindex('fabrikamDb');
      members.update(key, encodeMembers(list));
    },
    /delivered to 2/,
  ],
  [
    'a VSID of the other domain',
    (dataPlane) => {
      const subnets = dataPlane.map('subnets');
      const foreign = subnets.lookup(encodeSubnetKey({ vsid: fabrikam.vsids.first }));
      if (foreign) subnets.update(encodeSubnetKey({ vsid: contoso.vsids.first }), foreign);
    },
    /charged to domain 2|delivered to 2/,
  ],
  [
    'a peer of a shared address at the other domain',
    (dataPlane) => {
      const peers = dataPlane.map('peers');
      const key = (remote: string): Uint8Array =>
        encodePeerKey({ local: addressBytes(SHARED), remote: addressBytes(remote) });
      const foreign = peers.lookup(key(fabrikam.peers[0]));
      if (foreign) peers.update(key(contoso.peers[0]), foreign);
    },
    /a frame for domain 1, \d+ delivered to 2/,
  ],
  [
    'a block of a shared address at the other domain',
    (dataPlane) => {
      const ranges = dataPlane.map('external_ranges');
      const blockAt = (port: number): Uint8Array =>
        encodeRangeKey({ prefixLength: 128 + 16, address: addressBytes(SHARED), port, pad });
      const foreign = ranges.lookup(blockAt(fabrikam.block[0]));
      if (foreign) ranges.update(blockAt(contoso.block[1]), foreign);
    },
    /a frame for domain 1, \d+ delivered to 2/,
  ],
  [
    'a MAC of the untagged network at the other domain',
    (dataPlane) => {
      const segments = dataPlane.map('segments');
      const key = (mac: string): Uint8Array =>
        encodeSegmentKey({ ifindex: dataPlane.ifindex('uplink'), vlan: 0, mac: macBytes(mac), pad });
      const foreign = segments.lookup(key(fabrikam.station.mac));
      if (foreign) segments.update(key(contoso.station.mac), foreign);
    },
    /a frame for domain 1, \d+ delivered to 2|charged to domain 2/,
  ],
  [
    'a prefix of the other domain among those that are routed',
    (dataPlane) => {
      const key = (domain: number): Uint8Array => {
        const { bytes, length } = prefixBytes(fabrikam.station.advertise[0] ?? '');
        return encodeRouteKey({ prefixLength: 32 + length, domain, address: bytes });
      };
      dataPlane.map('forwarded').update(key(contoso.handle), encodeForwarded({ known: 1 }));
    },
    /a frame for domain 1, \d+ delivered to 7/,
  ],
];

t.test('a hole in the policy does not escape the fuzzer', async (t) => {
  for (const [what, sabotage, complaint] of sabotages) {
    const fuzzer = new Fuzzer(t, 2);
    for (const dataPlane of fuzzer.dataPlanes) sabotage(dataPlane);
    t.throws(() => fuzzer.run(SABOTAGED), { message: complaint }, what);
  }
});
