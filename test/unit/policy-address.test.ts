/** Canonical text and data-plane bytes of addresses, prefixes and MAC addresses. */
import t from 'tap';
import {
  addressBytes,
  addressFromBytes,
  addressOrder,
  canonicalAddress,
  canonicalMac,
  contains,
  containsPrefix,
  firstUsable,
  isForwardableUnicast,
  isUnicastMac,
  lastAddress,
  macBytes,
  overlaps,
  parsePrefix,
  prefixAround,
  prefixBytes,
} from '../../src/policy/address.ts';

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');

t.test('an IPv4 address is four decimal numbers and nothing else', async (t) => {
  for (const text of ['0.0.0.0', '10.1.1.4', '255.255.255.255']) t.equal(canonicalAddress(text), text);
  for (const text of [
    '',
    '10.1',
    '10',
    '167837956',
    '0x0a.1.1.4',
    '0xa010104',
    '010.1.1.4',
    '10.01.1.4',
    '10.1.1.256',
    '10.1.1.4.5',
    '10.1.1.',
    ' 10.1.1.4',
    '10.1.1.4\n',
    '10.1.1.4/32',
    '-1.1.1.4',
    '١.1.1.4',
  ]) {
    t.equal(canonicalAddress(text), undefined, JSON.stringify(text));
  }
});

t.test('an IPv6 address is written as RFC 5952 says', async (t) => {
  t.equal(canonicalAddress('2001:DB8:0:0:0:1:0:0'), '2001:db8::1:0:0');
  t.equal(canonicalAddress('2001:db8:0:1:1:1:1:1'), '2001:db8:0:1:1:1:1:1');
  t.equal(canonicalAddress('::'), '::');
  for (const text of [
    '::ffff:10.1.1.4',
    '::ffff:a01:104',
    '::10.1.1.4',
    'fe80::1%eth0',
    '1::2::3',
    '12345::',
  ]) {
    t.equal(canonicalAddress(text), undefined, text);
  }
});

t.test('a prefix is an address and a decimal length of its family', async (t) => {
  t.strictSame(parsePrefix('10.1.0.0/16'), { text: '10.1.0.0/16', family: 4, length: 16, hostBits: false });
  t.strictSame(parsePrefix('10.1.255.7/23'), {
    text: '10.1.254.0/23',
    family: 4,
    length: 23,
    hostBits: true,
  });
  t.strictSame(parsePrefix('0.0.0.0/0'), { text: '0.0.0.0/0', family: 4, length: 0, hostBits: false });
  t.strictSame(parsePrefix('1.2.3.4/32'), { text: '1.2.3.4/32', family: 4, length: 32, hostBits: false });
  t.strictSame(parsePrefix('2001:DB8::1/33'), {
    text: '2001:db8::/33',
    family: 6,
    length: 33,
    hostBits: true,
  });
  for (const text of [
    '10.0.0.0',
    '10.0.0.0/',
    '10.0.0.0/33',
    '10.0.0.0/08',
    '10/8',
    '10.0.0.0/8/8',
    '::/129',
    '/8',
    '10.0.0.0/-1',
  ]) {
    t.equal(parsePrefix(text), undefined, text);
  }
});

t.test('containment and overlap stop at the family', async (t) => {
  t.ok(contains('10.1.0.0/23', '10.1.1.255'));
  t.notOk(contains('10.1.0.0/23', '10.1.2.0'));
  t.ok(contains('0.0.0.0/0', '255.255.255.255'));
  t.notOk(contains('::/0', '10.1.1.1'));
  t.notOk(contains('0.0.0.0/0', '::1'));
  t.ok(overlaps('10.0.0.0/8', '10.1.1.0/24'));
  t.ok(overlaps('10.1.1.0/24', '10.0.0.0/8'));
  t.notOk(overlaps('10.1.0.0/24', '10.1.1.0/24'));
  t.notOk(overlaps('0.0.0.0/0', '::/0'));
  t.ok(containsPrefix('10.0.0.0/8', '10.0.0.0/8'));
  t.notOk(containsPrefix('10.0.0.0/9', '10.0.0.0/8'));
  t.notOk(containsPrefix('10.0.0.0/9', '10.128.0.0/10'));
});

t.test('the .1, the last address and the prefix around an address follow from the bits', async (t) => {
  t.equal(firstUsable('10.254.254.0/29'), '10.254.254.1');
  t.equal(firstUsable('10.0.0.255/32'), '10.0.1.0', 'carries');
  t.equal(firstUsable('2001:db8::/64'), '2001:db8::1');
  t.equal(lastAddress('10.254.254.8/29'), '10.254.254.15');
  t.equal(lastAddress('10.0.0.0/9'), '10.127.255.255');
  t.equal(lastAddress('10.1.1.1/32'), '10.1.1.1');
  t.equal(prefixAround('10.1.3.7', 23), '10.1.2.0/23');
  t.equal(prefixAround('10.1.3.7', 0), '0.0.0.0/0');
});

t.test('the data plane sees 128 bits, IPv4 as v4-mapped', async (t) => {
  t.equal(hex(addressBytes('10.1.1.4')), '00000000000000000000ffff0a010104');
  t.equal(hex(addressBytes('2001:db8::1')), '20010db8000000000000000000000001');
  for (const text of ['0.0.0.0', '10.1.1.4', '::', '2001:db8::1', '::fffe:a01:104']) {
    t.equal(addressFromBytes(addressBytes(text)), text);
  }
  t.throws(() => addressFromBytes(new Uint8Array(4)), { code: 'HNV_INTERNAL' });
  t.throws(() => addressBytes('10.1'), { code: 'HNV_INTERNAL', message: /10\.1/ });

  const v4 = prefixBytes('10.1.0.0/16');
  t.equal(hex(v4.bytes), '00000000000000000000ffff0a010000');
  t.equal(v4.length, 112);
  t.equal(prefixBytes('0.0.0.0/0').length, 96);
  t.equal(prefixBytes('2001:db8::/32').length, 32);
});

t.test('text sorts as numbers by its order key', async (t) => {
  const texts = ['10.0.0.0/16', '10.0.0.10', '9.9.9.9', '10.0.0.9', '10.0.0.0/8', '2001:db8::1', '100.0.0.1'];
  t.strictSame(
    texts.sort((a, b) => (addressOrder(a) < addressOrder(b) ? -1 : 1)),
    ['9.9.9.9', '10.0.0.0/8', '10.0.0.0/16', '10.0.0.9', '10.0.0.10', '100.0.0.1', '2001:db8::1'],
  );
});

t.test('only addresses that routers forward to are forwardable unicast', async (t) => {
  for (const text of [
    '1.0.0.0',
    '10.1.1.4',
    '172.16.0.1',
    '100.64.0.1',
    '203.0.113.10',
    '223.255.255.255',
    '2001:db8::1',
  ]) {
    t.ok(isForwardableUnicast(text), text);
  }
  for (const text of [
    '0.0.0.0',
    '0.1.2.3',
    '127.0.0.1',
    '169.254.1.1',
    '224.0.0.1',
    '239.255.255.255',
    '240.0.0.1',
    '255.255.255.255',
    '::',
    '::1',
    'fe80::1',
    'ff02::1',
  ]) {
    t.notOk(isForwardableUnicast(text), text);
  }
});

t.test('a MAC address is lower case with colons', async (t) => {
  t.equal(canonicalMac('00-15-5D-AA-BB-CC'), '00:15:5d:aa:bb:cc');
  t.equal(canonicalMac('00:15:5d:aa:bb:cc'), '00:15:5d:aa:bb:cc');
  for (const text of [
    '',
    '00155daabbcc',
    '00:15:5d:aa:bb',
    '00:15:5d:aa:bb:cc:dd',
    '0:15:5d:aa:bb:cc',
    '00:15:5g:aa:bb:cc',
  ]) {
    t.equal(canonicalMac(text), undefined, text);
  }
  t.equal(hex(macBytes('00:15:5d:aa:bb:cc')), '00155daabbcc');
  t.ok(isUnicastMac('02:00:00:00:00:01'));
  t.notOk(isUnicastMac('01:00:5e:00:00:01'));
  t.notOk(isUnicastMac('ff:ff:ff:ff:ff:ff'));
  t.notOk(isUnicastMac('00:00:00:00:00:00'));
});
