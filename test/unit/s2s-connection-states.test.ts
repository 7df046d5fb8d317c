import { test } from 'tap';
import { ConnectionStates } from '../../src/s2s/connection-states.ts';

function start(initiate: 'start' | 'never' = 'start') {
  const told: string[] = [];
  const states = new ConnectionStates((name, what, reason) => told.push(`${name} ${what}: ${reason}`));
  states.keep([{ name: 'site', initiate }]);
  return { states, told, now: () => states.all().get('site') };
}
const UP = [{ name: 'site', peer: '198.51.100.2', carries: true }];

test('a connection goes up and down, and each is told once', async (t) => {
  const { states, told, now } = start();
  t.equal(now()?.state, 'connecting');
  states.see(UP, false);
  states.see(UP, false);
  t.match(now(), { state: 'connected', carries: true });
  states.see([], false);
  t.match(now(), { state: 'connecting', carries: false });
  t.same(told, ['site up: The tunnel to 198.51.100.2 is up.', 'site down: The tunnel was taken down.']);
});

test('a reason makes it failed, and is told once while it stays the same', async (t) => {
  const { states, told, now } = start();
  states.fail('site', 'No proposal chosen.');
  states.fail('site', 'No proposal chosen.');
  t.match(now(), { state: 'failed', lastError: 'No proposal chosen.' });
  states.fail('site', 'The peer does not answer.');
  t.same(told, ['site failed: No proposal chosen.', 'site failed: The peer does not answer.']);
});

test('what was said shortly before a tunnel went down is why', async (t) => {
  const { states, told, now } = start();
  states.see(UP, false);
  states.fail('site', 'The peer does not answer.');
  t.equal(now()?.state, 'connected');
  states.see([], false);
  t.match(now(), { state: 'failed', lastError: 'The peer does not answer.' });
  t.equal(told.at(-1), 'site down: The peer does not answer.');
});

test('who does not begin by itself listens, whatever failed', async (t) => {
  const { states, now } = start('never');
  t.equal(now()?.state, 'listening');
  states.fail('site', 'No proposal chosen.');
  t.match(now(), { state: 'listening', lastError: 'No proposal chosen.' });
});

test('what was up before this process is nothing new', async (t) => {
  const { states, told, now } = start();
  states.see(UP, true);
  t.equal(now()?.state, 'connected');
  t.same(told, []);
});

test('another configuration forgets what went wrong, a removed connection everything', async (t) => {
  const { states, now } = start();
  states.fail('site', 'No proposal chosen.');
  states.renew('site');
  t.same([now()?.state, now()?.lastError], ['connecting', undefined]);
  states.keep([]);
  t.equal(now(), undefined);
});
