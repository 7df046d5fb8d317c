// The distributed router: longest prefix, next hop or on-link, within the domain of the port and no other.
import t from 'tap';
import { decodeNvgre } from '../../src/encap/nvgre.ts';
import { DataPlane, LINK_MACS, type Link } from './data-plane.ts';
import { ipv4Frame } from './packets.ts';
import { BRANCH_MAC, contoso, FOREIGN_PA, fabrikam, HOST_PA, SHARED_PA, VM_MAC } from './two-domains.ts';

const dataPlane = DataPlane.open(t);

/** Where a packet from the domain's context goes, or the reason why nowhere. */
function wayOf(destination: string, on: Extract<Link, `${string}Port`> = 'contosoPort') {
  const { drop, frame } = dataPlane.run(
    'port',
    ipv4Frame(LINK_MACS[on], contoso.gatewayMac, { source: '198.51.100.7', destination }),
    { on },
  );
  if (drop !== undefined) return drop;
  const { vsid, innerEthernet, outer, inner } = decodeNvgre(frame);
  if (inner.destination !== destination) throw new Error(`the packet is for ${inner.destination} now`);
  return { vsid, mac: innerEthernet.destination, host: outer.destination };
}

const { first, second } = contoso.vsids;
const vm = { vsid: first, mac: VM_MAC, host: HOST_PA };
const branch = { vsid: second, mac: BRANCH_MAC, host: SHARED_PA };
const onLink = { vsid: second, mac: '00:15:5d:00:06:06', host: SHARED_PA };
const noRoute = { reason: 'no-route', domain: contoso.handle };
const noRecord = { reason: 'no-record', domain: contoso.handle };

t.test('the longest prefix decides, to the next hop’s record or to the destination’s own', async (t) => {
  const rows: [string, string, unknown][] = [
    ['10.1.1.4', 'on-link, its own record', vm],
    ['10.1.2.9', 'on-link in the other subnet', branch],
    ['172.16.0.0', 'first address behind the branch', branch],
    ['172.16.4.255', 'just before the longer prefix', branch],
    ['172.16.5.0', 'first of the longer prefix: another next hop', vm],
    ['172.16.5.255', 'last of it', vm],
    ['172.16.6.6', 'longer prefix, on-link: its own record', onLink],
    ['172.16.6.7', 'longer prefix, on-link, no record: the shorter prefix does not step in', noRecord],
    ['172.16.7.1', 'longer prefix, next hop without record: the shorter prefix does not step in', noRecord],
    ['172.16.8.0', 'just behind the longer prefixes', branch],
    ['172.17.0.0', 'just behind the branch', noRoute],
    ['172.15.255.255', 'just before the branch', noRoute],
    ['10.1.1.5', 'in a subnet, no record', noRecord],
    ['10.1.3.4', 'in no subnet', noRoute],
    ['198.51.100.9', 'outside: the default route leads to this gateway itself and is none here', noRoute],
  ];
  for (const [destination, what, expected] of rows)
    t.same(wayOf(destination), expected, `${destination}: ${what}`);
});

t.test('equal addresses lead each domain to its own host, in its own VSID', async (t) => {
  t.same(wayOf('10.1.1.4', 'contosoPort'), vm);
  t.same(wayOf('10.1.1.4', 'fabrikamPort'), { vsid: fabrikam.vsids.first, mac: VM_MAC, host: FOREIGN_PA });
});

t.test('a route of one domain is none of another', async (t) => {
  const own = { vsid: fabrikam.vsids.second, mac: BRANCH_MAC, host: SHARED_PA };
  t.same(wayOf('172.20.1.1', 'fabrikamPort'), own);
  t.same(wayOf('172.20.1.1', 'contosoPort'), noRoute);
  t.same(wayOf('172.16.5.1', 'fabrikamPort'), own, 'Contoso’s longer prefix is not seen');
  t.same(wayOf('172.16.6.6', 'fabrikamPort'), own, 'nor its record');
});

t.test('a domain without entries has no way left, and the other keeps its own', async (t) => {
  const { tables } = dataPlane;
  tables.remove(contoso.handle);
  t.same(wayOf('10.1.1.4', 'contosoPort'), { reason: 'port-unknown', domain: 0 });
  t.same(wayOf('10.1.1.4', 'fabrikamPort'), { vsid: fabrikam.vsids.first, mac: VM_MAC, host: FOREIGN_PA });
});
