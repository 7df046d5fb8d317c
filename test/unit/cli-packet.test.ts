import t from 'tap';
import { describePacket } from '../../src/cli/packet.ts';

const ethernet = '020000000002020000000001';
const arp = '0001080006040001' + '020000000011' + '0a01010b' + '000000000000' + '0a010105';
const ipv4 = (protocol: string, rest: string, fragment = '0000') =>
  `08004500003c0000${fragment}40${protocol}00000a01010bc6336401${rest}`;
const ipv6 = (next: string, rest: string) =>
  `86dd` +
  `6000000000${'28'}${next}40` +
  '20010db8000100000000000000000011' +
  '20010db8000200000000000000000001' +
  rest;
const nvgre = (inner: string) => `08004500006000000000402f0000c0a8010ac0a801142000655800138907${inner}`;

const said: [what: string, hex: string, words: string][] = [
  ['TCP', ethernet + ipv4('06', 'c00001bb'), 'TCP 10.1.1.11:49152 > 198.51.100.1:443'],
  ['UDP over IPv6', ethernet + ipv6('11', 'c0000035'), 'UDP [2001:db8:1::11]:49152 > [2001:db8:2::1]:53'],
  ['ICMP', ethernet + ipv4('01', '0800'), 'ICMP echo request 10.1.1.11 > 198.51.100.1'],
  [
    'ICMPv6 behind a hop-by-hop header',
    ethernet + ipv6('00', '3a00000000000000' + '8700'),
    'ICMPv6 neighbour solicitation 2001:db8:1::11 > 2001:db8:2::1',
  ],
  ['a later fragment', ethernet + ipv4('11', 'ffffffff', '00b9'), 'UDP 10.1.1.11 > 198.51.100.1, a fragment'],
  [
    'a later fragment of IPv6',
    ethernet + ipv6('2c', '1100000900000001'),
    'UDP 2001:db8:1::11 > 2001:db8:2::1, a fragment',
  ],
  ['ARP', `${ethernet}0806${arp}`, 'ARP who has 10.1.1.5, asked by 10.1.1.11 (02:00:00:00:00:11)'],
  [
    'a VLAN',
    `${ethernet}81000007${ipv4('06', 'c00001bb')}`,
    'VLAN 7: TCP 10.1.1.11:49152 > 198.51.100.1:443',
  ],
  [
    'NVGRE',
    ethernet + nvgre(ethernet + ipv4('06', 'c00001bb')),
    'NVGRE 192.168.1.10 > 192.168.1.20 VSID 5001: TCP 10.1.1.11:49152 > 198.51.100.1:443',
  ],
  ['an unknown type', `${ethernet}88cc0102`, '02:00:00:00:00:01 > 02:00:00:00:00:02 type 0x88cc'],
];

for (const [what, hex, words] of said) {
  t.test(`${what} is told in words`, async (t) => {
    t.equal(describePacket(hex), words);
  });
}

t.test('a packet that is cut anywhere is told as far as it goes', async (t) => {
  for (const [, hex] of said)
    for (let bytes = 0; bytes < hex.length / 2; bytes++)
      t.type(describePacket(hex.slice(0, bytes * 2)), 'string');
});
