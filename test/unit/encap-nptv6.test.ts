import t from 'tap';
import { prefixAdjustment, translated, translation } from '../../src/encap/nptv6.ts';

const hex = (value: number): string => value.toString(16);

t.test('the adjustment of RFC 6296’s own example, both ways', async (t) => {
  const [inside, outside] = ['fd01:203:405::/48', '2001:db8:1::/48'];
  t.equal(hex(prefixAdjustment(inside, outside)), 'd54f');
  t.equal(hex(prefixAdjustment(outside, inside)), '2ab0');
  t.equal(translated('fd01:203:405:1::1234', translation(inside, outside)), '2001:db8:1:d550::1234');
  t.equal(translated('2001:db8:1:d550::1234', translation(outside, inside)), 'fd01:203:405:1::1234');
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

t.test('where the prefix has the subnet’s word, the interface identifier takes the adjustment', async (t) => {
  const there = translation('fd00:1:2:3400::/56', '2001:db8:9:5600::/56');
  const back = translation('2001:db8:9:5600::/56', 'fd00:1:2:3400::/56');
  for (const address of ['fd00:1:2:34ab:1:2:3:4', 'fd00:1:2:34ab:ffff:ffff:3:4', 'fd00:1:2:34ff::']) {
    const outside = translated(address, there);
    t.match(outside, /^2001:db8:9:56(ab|ff):/);
    t.equal(translated(outside, back), address);
  }
  t.equal(
    translated('fd00:1:2:34ab:ffff:ffff:ffff:ffff', there),
    'fd00:1:2:34ab:ffff:ffff:ffff:ffff',
    'all ones have no other form',
  );
});

t.test('prefixes of two lengths, or longer than 64, have no translation', async (t) => {
  t.throws(() => translation('fd00::/48', '2001:db8::/56'), RangeError);
  t.throws(() => translation('fd00::/65', '2001:db8::/65'), RangeError);
  t.same(translation('fd00::/64', '2001:db8::/64').length, 64);
});
