/** Where the flows of a conversation are looked for, byte by byte, and what of them counts. */
import t from 'tap';
import { FlowAmounts, type FlowPlace, flowKey } from '../../src/encap/flow-amounts.ts';
import { decodeFlow, encodeRecord, type Flow, flowSize } from '../../src/encap/layout.generated.ts';

const TCP = 6;
const UDP = 17;
const inside = { source: '10.1.1.11', destination: '203.0.113.5', sourcePort: 0x1234, destinationPort: 80 };
const outside = {
  source: '203.0.113.5',
  destination: '198.51.100.101',
  sourcePort: 80,
  destinationPort: 0x1234,
};
const place: FlowPlace = { domain: 7, gatewayVsid: 5002, uplinkIfindex: 3, prefixes: [] };
const STARTED = 1_789_012_345_678_901_234n;
const startedMs = Number(STARTED) / 1e6;

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
const flow = (packets: number, bytes: number, started = STARTED): Flow => ({
  ...decodeFlow(new Uint8Array(flowSize)),
  // Three packets of 100 bytes since it was learned last.
  ...{ packets: BigInt(packets - 3), bytes: BigInt(bytes - 300), started },
  recent: (3n << 36n) | 300n,
});
/** (domain, address) of a record. */
const recordKey = (domain: number, address: string): string => {
  const number = Buffer.from(Uint32Array.of(domain).buffer).toString('hex');
  return `${number}${'00'.repeat(10)}ffff${Buffer.from(address.split('.').map(Number)).toString('hex')}`;
};

const key = (...of: Parameters<typeof flowKey>): string => hex(flowKey(...of));

/** Flows and records by their keys in hexadecimal; `asked` is what was looked up. */
function amounts(
  { flows = {}, records = {} }: { flows?: Record<string, Flow>; records?: Record<string, Uint8Array> },
  more: Partial<FlowPlace> = {},
) {
  const asked: string[] = [];
  const find = <T>(of: Record<string, T>, key: Uint8Array): T | undefined => {
    asked.push(hex(key));
    return of[hex(key)];
  };
  const sources = {
    flows: (key: Uint8Array) => [find(flows, key) ?? []].flat(),
    records: { lookup: (key: Uint8Array) => find(records, key) },
  };
  return { asked, amounts: new FlowAmounts(sources, { ...place, ...more }) };
}

t.test('keys are as packets have them on the wire', async (t) => {
  // Addresses and ports in network order; place and VLAN in the machine's.
  t.equal(
    key(inside, TCP, 'provider', 0x1234_56),
    [
      '1234',
      '0050',
      '56341200',
      '0000',
      '06',
      '01',
      '04000000',
      '0a01010b',
      'cb007105',
      '00'.repeat(24),
    ].join(''),
  );
  t.equal(
    key(outside, UDP, 'uplink', 3),
    [
      '0050',
      '1234',
      '03000000',
      '0000',
      '11',
      '02',
      '04000000',
      'cb007105',
      'c6336465',
      '00'.repeat(24),
    ].join(''),
  );
  t.equal(
    key({ ...inside, source: 'fd00:1:1::11', destination: '2001:db8:9::5' }, UDP, 'provider', 5002),
    [
      ...['1234', '0050', '8a130000', '0000', '11', '01', '06000000'],
      ...['fd000001000100000000000000000011', '20010db8000900000000000000000005'],
    ].join(''),
  );
});

t.test('from a tunnel, under the VSID of the gateway and that of the host', async (t) => {
  const record = encodeRecord({
    ...{ vsid: 5001, flags: 0, providerAddress: new Uint8Array(16), mac: new Uint8Array(6) },
    pad: new Uint8Array(2),
  });
  const flows = {
    [key(inside, TCP, 'provider', 5002)]: flow(10, 1000),
    [key(inside, TCP, 'provider', 5001)]: flow(5, 300),
    // Of another conversation: from the other side.
    [key(inside, TCP, 'uplink', 3)]: flow(99, 999),
  };
  const records = { [recordKey(7, inside.source)]: record };
  const { amounts: found, asked } = amounts({ flows, records });
  t.same(found.of(inside, TCP, startedMs, true), { packets: 15, bytes: 1300 });
  t.equal(asked.length, 3);
  t.same(amounts({ flows }).amounts.of(inside, TCP, startedMs, true), { packets: 10, bytes: 1000 });
  t.same(found.of(inside, UDP, startedMs, true), { packets: 0, bytes: 0 });
});

t.test('from the uplink, under what the destination is outside', async (t) => {
  const flows = { [key(outside, TCP, 'uplink', 3)]: flow(4, 340) };
  t.same(amounts({ flows }).amounts.of(outside, TCP, startedMs, false), { packets: 4, bytes: 340 });
  // RFC 6296's own example.
  const prefixes = [
    { external: '2001:db8:2::/48', internal: '2001:db8:2::/48' },
    { external: '2001:db8:1::/48', internal: 'fd01:203:405::/48' },
  ];
  const tuple = { ...outside, source: '2001:db8:9::5', destination: 'fd01:203:405:1::1234' };
  const onWire = { ...tuple, destination: '2001:db8:1:d550::1234' };
  const { amounts: found } = amounts(
    { flows: { [key(onWire, TCP, 'uplink', 3)]: flow(5, 460) } },
    { prefixes },
  );
  t.same(found.of(tuple, TCP, startedMs, false), { packets: 5, bytes: 460 });
});

t.test('what another conversation had is not this one’s', async (t) => {
  for (const started of [STARTED + 1_000_000n, 0n]) {
    const flows = { [key(outside, TCP, 'uplink', 3)]: flow(4, 340, started) };
    t.same(amounts({ flows }).amounts.of(outside, TCP, startedMs, false), { packets: 0, bytes: 0 });
  }
});

t.test('of what is never fast, and of echoes, nothing is looked up', async (t) => {
  const { amounts: found, asked } = amounts({});
  for (const protocol of [1, 47, 50, 58, 132])
    t.same(found.of(inside, protocol, startedMs, true), { packets: 0, bytes: 0 });
  t.same(asked, []);
});
