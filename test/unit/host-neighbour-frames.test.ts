/** Announcements and probes byte for byte. */
import t from 'tap';
import { announcementFrame, probeFrame } from '../../src/host/neighbour-frames.ts';

const hex = (frame: Uint8Array): string => Buffer.from(frame).toString('hex');

t.test('an IPv4 address is announced by an ARP request for itself, to all', async (t) => {
  t.equal(
    hex(announcementFrame('10.1.2.3', '02:00:00:aa:bb:cc')),
    [
      'ffffffffffff',
      '020000aabbcc',
      '0806',
      ...['0001', '0800', '06', '04', '0001'],
      ...['020000aabbcc', '0a010203'],
      ...['000000000000', '0a010203'],
    ].join(''),
  );
});

t.test(
  'an IPv6 address is announced by a neighbour advertisement that overrides, to all nodes',
  async (t) => {
    const frame = announcementFrame('2001:db8::10', '02:00:00:aa:bb:cc');
    t.equal(
      hex(frame),
      [
        ...['333300000001', '020000aabbcc', '86dd'],
        // Version, payload length 32, ICMPv6, hop limit 255.
        ...['60000000', '0020', '3a', 'ff'],
        '20010db8000000000000000000000010',
        'ff020000000000000000000000000001',
        // Neighbour advertisement, checksum, override.
        ...['88', '00', '3c97', '20000000'],
        '20010db8000000000000000000000010',
        // Target link-layer address.
        ...['02', '01', '020000aabbcc'],
      ].join(''),
    );
  },
);

const router = { mac: '02:48:4e:56:00:01' };
const vm = { mac: '02:00:00:aa:bb:cc' };

t.test('an IPv4 address is asked for by an ARP request to the VM alone', async (t) => {
  t.equal(
    hex(probeFrame({ ...router, address: '10.1.2.1' }, { ...vm, address: '10.1.2.3' })),
    [
      '020000aabbcc',
      '02484e560001',
      '0806',
      ...['0001', '0800', '06', '04', '0001'],
      ...['02484e560001', '0a010201'],
      ...['000000000000', '0a010203'],
    ].join(''),
  );
});

t.test('an IPv6 address is asked for by a neighbour solicitation to the VM alone', async (t) => {
  t.equal(
    hex(probeFrame({ ...router, address: '2001:db8::1' }, { ...vm, address: '2001:db8::10' })),
    [
      ...['020000aabbcc', '02484e560001', '86dd'],
      ...['60000000', '0020', '3a', 'ff'],
      '20010db8000000000000000000000001',
      '20010db8000000000000000000000010',
      // Neighbour solicitation, checksum.
      ...['87', '00', '9db8', '00000000'],
      '20010db8000000000000000000000010',
      // Source link-layer address.
      ...['01', '01', '02484e560001'],
    ].join(''),
  );
});

t.test('the ICMPv6 checksum of any advertisement adds up to zero with the pseudo-header', async (t) => {
  for (const address of ['2001:db8::1', 'fd00:1:2:3:4:5:6:7', 'ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe']) {
    const frame = Buffer.from(announcementFrame(address, 'fe:ff:ff:ff:ff:fe'));
    const message = frame.subarray(54);
    let sum = message.length + 58;
    for (const part of [frame.subarray(22, 54), message])
      for (let at = 0; at < part.length; at += 2) sum += part.readUInt16BE(at);
    while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
    t.equal(sum, 0xffff, address);
  }
});
