import type { FastifyRequest } from 'fastify';
import t from 'tap';
import { PolicyBodies } from '../../src/api/policy-body.ts';

/** As much of a request as is looked at: its body, which is big enough to wait for its turn. */
function bigRequest(): FastifyRequest {
  const ports = Array.from({ length: 6000 }, (_, n) => ({ interface: `tap${n}`, customerAddresses: [] }));
  return { headers: {}, body: Buffer.from(JSON.stringify({ ports })) } as FastifyRequest;
}

t.test('big documents have their turns, and a queue that is full refuses more', async (t) => {
  const bodies = new PolicyBodies();
  t.teardown(() => bodies.close());
  let inUse = 0;
  let most = 0;
  const answers = await Promise.allSettled(
    Array.from({ length: 10 }, (_, n) =>
      bodies.read(bigRequest(), async (entries) => {
        most = Math.max(most, ++inUse);
        await new Promise((resolve) => setImmediate(resolve));
        inUse--;
        if (n === 1) throw new Error('the store refuses');
        return entries.length;
      }),
    ),
  );
  t.equal(most, 1, 'one at a time');
  t.strictSame(
    answers.map((answer) =>
      answer.status === 'fulfilled' ? answer.value : (answer.reason.code ?? 'refused'),
    ),
    [6000, 'refused', ...Array(6).fill(6000), 'HNV_TOO_MANY_REQUESTS', 'HNV_TOO_MANY_REQUESTS'],
  );
  t.equal(await bodies.read(bigRequest(), async ({ length }) => length), 6000, 'there is room again');
});

t.test('a small document does not wait behind big ones', async (t) => {
  const bodies = new PolicyBodies();
  t.teardown(() => bodies.close());
  let release: () => void = () => {};
  const big = bodies.read(
    bigRequest(),
    () =>
      new Promise<void>((resolve) => {
        release = resolve;
      }),
  );
  const small = { headers: {}, body: Buffer.from('{"ports":[{"interface":"tap0"}]}') } as FastifyRequest;
  t.equal(await bodies.read(small, async ({ length }) => length), 1);
  const wait = setInterval(() => release(), 5);
  await big;
  clearInterval(wait);
});
