/** Which prefix of many has an address. */
import t from 'tap';
import { outermost, PrefixSet } from '../../src/policy/prefix-set.ts';

t.test('an address is looked for in prefixes of its family', async (t) => {
  const set = new PrefixSet(['10.0.0.0/8', '192.168.50.0/24', '203.0.113.7/32', 'fd00:50::/64']);
  for (const inside of ['10.255.0.1', '192.168.50.255', '203.0.113.7', 'fd00:50::1'])
    t.ok(set.has(inside), inside);
  for (const outside of ['11.0.0.0', '192.168.51.0', '203.0.113.8', 'fd00:51::1', '::a00:1'])
    t.notOk(set.has(outside), outside);
  t.notOk(new PrefixSet().has('10.0.0.1'));
  t.ok(new PrefixSet(['0.0.0.0/0']).has('10.0.0.1'));
  t.notOk(new PrefixSet(['0.0.0.0/0']).has('fd00::1'));
});

t.test('prefixes within others are left out, whatever the order', async (t) => {
  const all = [
    '192.168.50.7/32',
    '192.168.50.0/24',
    '192.168.0.0/16',
    '192.169.0.0/24',
    'fd00:50::/64',
    'fd00::/8',
  ];
  const outer = ['fd00::/8', '192.168.0.0/16', '192.169.0.0/24'];
  t.same(outermost(all), outer);
  t.same(outermost(all.toReversed()), outer);
  t.same(outermost(['10.0.0.0/8', '0.0.0.0/0', '::/0', 'fd00::/8']), ['0.0.0.0/0', '::/0']);
});
