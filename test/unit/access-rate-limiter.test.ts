import t from 'tap';
import { RateLimiter } from '../../src/access/rate-limiter.ts';
import { addressName } from '../../src/api/request-limit.ts';

t.test('a name has its burst at once and its rate from then on', async (t) => {
  let now = 100;
  const limiter = new RateLimiter({ perSecond: 2, burst: 3 }, () => now);
  const take = () => limiter.take('a');
  t.same([take(), take(), take(), take(), take()], ['allowed', 'allowed', 'allowed', 'first', 'refused']);
  t.equal(limiter.retryAfter('a'), 1);
  now += 0.5;
  t.same([take(), take()], ['allowed', 'first']);
  now += 1_000;
  t.same(
    [take(), take(), take(), take()],
    ['allowed', 'allowed', 'allowed', 'first'],
    'no more than the burst',
  );
});

t.test('names have nothing to do with each other', async (t) => {
  const limiter = new RateLimiter({ perSecond: 1, burst: 1 }, () => 0);
  t.same([limiter.take('a'), limiter.take('b'), limiter.take('a')], ['allowed', 'allowed', 'first']);
});

t.test('what is given back can be taken again', async (t) => {
  const limiter = new RateLimiter({ perSecond: 0.1, burst: 1 }, () => 0);
  limiter.take('a');
  limiter.giveBack('a');
  limiter.giveBack('a');
  t.same([limiter.take('a'), limiter.take('a')], ['allowed', 'first']);
  t.equal(limiter.retryAfter('a'), 10);
});

t.test('a flood of names does not grow it without end, and those in use are remembered', async (t) => {
  const limiter = new RateLimiter({ perSecond: 1, burst: 1 }, () => 0);
  limiter.take('used');
  for (let n = 0; n < 25_000; n++) {
    limiter.take(`name ${n}`);
    if (n % 5_000 === 0) t.not(limiter.take('used'), 'allowed');
  }
  t.equal(limiter.size, 10_000);
});

t.test('whoever has a /64 has one name', async (t) => {
  t.equal(addressName('2001:db8::1'), addressName('2001:db8::ffff:2'));
  t.not(addressName('2001:db8::1'), addressName('2001:db8:0:1::1'));
  t.equal(addressName('192.0.2.1'), '192.0.2.1');
  t.equal(addressName('unix'), 'unix');
});
