/** One stream without HTTP: what it keeps, what it says when nothing happens, when it gives up. */
import { once } from 'node:events';
import { mock } from 'node:test';
import t, { type Test } from 'tap';
import { EventStream } from '../../src/api/event-stream.ts';
import { Journal, keptEvents } from '../../src/node/journal.ts';
import { openStore } from '../../src/store/sqlite.ts';
import { capacity, storePath } from './store-folder.ts';

async function streamOf(t: Test, wanted: (reason: string | undefined) => boolean = () => true) {
  const store = await openStore({ path: storePath(t), capacity });
  t.teardown(() => store.close());
  const journal = new Journal(store);
  const stream = new EventStream(journal, ({ reason }) => wanted(reason), undefined);
  t.teardown(() => stream.destroy());
  const add = (reason: string) => journal.add({ type: 'drift', what: 'found', reason });
  return { journal, stream, add };
}

t.test(
  'it keeps little for a client that reads nothing, and gives up when the journal is ahead',
  async (t) => {
    const { stream, add } = await streamOf(t);
    const closed = once(stream, 'close');
    stream.read(0);
    let most = 0;
    for (let n = 0; n < keptEvents; n++) {
      add('x'.repeat(100));
      most = Math.max(most, stream.readableLength);
    }
    t.ok(most < 128 * 1024, `${most} bytes are kept`);
    t.notOk(stream.destroyed, 'the journal still has all of it');
    for (let n = 0; n < 20; n++) add('');
    t.ok(stream.destroyed);
    await closed;
  },
);

t.test('it says that it is alive, and how far it has passed over what is not wanted', async (t) => {
  mock.timers.enable({ apis: ['setInterval'] });
  t.teardown(() => mock.timers.reset());
  const { journal, stream, add } = await streamOf(t, (reason) => reason === 'wanted');
  let text = '';
  stream.setEncoding('utf8').on('data', (chunk) => {
    text += chunk;
  });
  await once(stream, 'data');
  mock.timers.tick(15_000);
  await new Promise(setImmediate);
  t.equal(text, ': events of this node\n\n: keep-alive\n\n');
  text = '';
  add('unwanted');
  mock.timers.tick(15_000);
  await new Promise(setImmediate);
  const [passed] = journal.since(undefined);
  t.equal(text, `: keep-alive\nid: ${passed?.id}\n\n`);
  text = '';
  add('wanted');
  await new Promise(setImmediate);
  const [event] = journal.since(passed?.id);
  t.equal(text, `id: ${event?.id}\nevent: drift\ndata: ${JSON.stringify(event)}\n\n`);
  stream.destroy();
  text = '';
  add('wanted');
  mock.timers.tick(15_000);
  await new Promise(setImmediate);
  t.equal(text, '', 'nothing follows the end');
});
