import t from 'tap';
import { prefixAdjustment, translation } from '../../src/encap/nptv6.ts';
import { addressBytes, addressFromBytes } from '../../src/policy/address.ts';

const hex = (value: number): string => value.toString(16);

/** RFC 6296 section 3.6 by hand: what the data plane does with a translation of /48. */
function translated(address: string, from: string, to: string): string {
  const { prefix, adjustment } = translation(from, to);
  const bytes = Buffer.from(addressBytes(address));
  bytes.set(prefix.subarray(0, 6));
  const sum = bytes.readUInt16BE(6) + adjustment;
  bytes.writeUInt16BE(((sum & 0xffff) + (sum >> 16)) % 0xffff, 6);
  return addressFromBytes(bytes);
}

t.test('the adjustment of RFC 6296’s own example, both ways', async (t) => {
  const [inside, outside] = ['fd01:203:405::/48', '2001:db8:1::/48'];
  t.equal(hex(prefixAdjustment(inside, outside)), 'd54f');
  t.equal(hex(prefixAdjustment(outside, inside)), '2ab0');
  t.equal(translated('fd01:203:405:1::1234', inside, outside), '2001:db8:1:d550::1234');
  t.equal(translated('2001:db8:1:d550::1234', outside, inside), 'fd01:203:405:1::1234');
});

t.test('there and back it adds up to nothing', async (t) => {
  for (const [a, b] of [
    ['fd00::/8', '2000::/8'],
    ['fd01:203:405:ff00::/56', '2001:db8:2:ff00::/56'],
    ['fd00:ffff:ffff:ffff::/64', '2001:db8::/64'],
    ['2001:db8::/32', '2001:db8::/32'],
  ] as const)
    t.equal((prefixAdjustment(a, b) + prefixAdjustment(b, a)) % 0xffff, 0, `${a} and ${b}`);
});

t.test('prefixes of two lengths, or longer than 64, have no translation', async (t) => {
  t.throws(() => translation('fd00::/48', '2001:db8::/56'), RangeError);
  t.throws(() => translation('fd00::/65', '2001:db8::/65'), RangeError);
  t.same(translation('fd00::/64', '2001:db8::/64').length, 64);
});
