/** A closed lab leaves nothing: no namespace, no process, no file. */
import { existsSync } from 'node:fs';
import { mkdir, readdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename } from 'node:path';
import t from 'tap';
import { contextNames } from '../../src/gateway/names.ts';
import { Capture } from '../lab/capture.ts';
import { contextNamespaces, pinDirectory } from '../lab/gateway-remains.ts';
import { Lab, namespaceNames } from '../lab/lab.ts';
import { buildHosts, buildTopology, CONTOSO } from '../lab/topology.ts';
import { startWebSite } from '../lab/web-site.ts';

const ownNamespaces = async (name: string) =>
  (await namespaceNames()).filter((found) => found.startsWith(`${name}-`));

/** Process ids of everything that runs in the lab's namespaces. */
async function ownProcesses(lab: Lab): Promise<string[]> {
  const found: string[] = [];
  for (const namespace of await ownNamespaces(lab.name)) {
    const { stdout } = await lab.runChecked('ip', ['netns', 'pids', namespace]);
    found.push(...stdout.split('\n').filter((pid) => pid !== ''));
  }
  return found;
}

t.test('closing removes namespaces, processes and files, and may be done twice', async (t) => {
  const lab = await Lab.create(`lc${process.pid}`);
  t.teardown(() => lab.close());
  const { hosts, contoso } = await buildHosts(lab);
  await Capture.start(hosts[0].namespace, 'pa');
  await startWebSite(contoso[0].namespace, 'web', ['10.1.1.11:80']);
  const pids = await ownProcesses(lab);
  t.equal((await ownNamespaces(lab.name)).length, 7);
  t.equal(pids.length, 6, 'two processes a host, one capture, one web server');

  // A command that would take longer than the test must not hold the lab open.
  const slow = contoso[0].namespace.run(['sleep', '300'], { timeoutMs: 300_000 });
  await lab.close();
  t.equal((await slow).code, 128);
  t.same(await ownNamespaces(lab.name), []);
  t.same(
    pids.filter((pid) => existsSync(`/proc/${pid}`)),
    [],
  );
  t.notOk(existsSync(lab.dir));
  await lab.close();
  await t.rejects(lab.namespace('late'), /closed/);
});

t.test('closing removes what a gateway left in the kernel', async (t) => {
  const lab = await Lab.create(`lc${process.pid}`);
  t.teardown(() => lab.close());
  const { gateway } = await buildTopology(lab);
  const context = contextNames(gateway.instance, CONTOSO.rdid).netns;
  await lab.runChecked('ip', ['netns', 'add', context]);
  await mkdir(pinDirectory(gateway.instance), { recursive: true });
  await lab.close();
  t.same(await contextNamespaces(gateway.instance), []);
  t.notOk(existsSync(pinDirectory(gateway.instance)));
});

t.test('a failure while building leaves nothing either', async (t) => {
  const lab = await Lab.create(`lc${process.pid}`);
  t.teardown(() => lab.close());
  const namespace = await lab.namespace('one');
  await t.rejects(lab.veth(namespace, 'a-name-that-is-too-long', namespace, 'b'));
  await t.rejects(lab.namespace('no/such'));
  await lab.close();
  t.same(await ownNamespaces(lab.name), []);
});

t.test('closing goes on after a failure and tells of it', async (t) => {
  const lab = await Lab.create(`lc${process.pid}`);
  await lab.namespace('one');
  const order: string[] = [];
  lab.onClose(() => void order.push('first registered'));
  lab.onClose(() => {
    order.push('last registered');
    throw new Error('on purpose');
  });
  await t.rejects(lab.close(), /not closed cleanly/);
  t.same(order, ['last registered', 'first registered']);
  t.same(await ownNamespaces(lab.name), []);
  t.notOk(existsSync(lab.dir));
});

t.test('a new lab clears what a killed one of its name left, but not one in use', async (t) => {
  const name = `lk${process.pid}`;
  const left = await Lab.create(name);
  t.teardown(() => left.close());
  const namespace = await left.namespace('one');
  const user = await namespace.spawn(['sleep', '300']);
  await t.rejects(Lab.create(name), /in use/);
  t.same(await ownNamespaces(name), [`${name}-one`]);
  await user.end('SIGKILL');
  const lab = await Lab.create(name);
  t.teardown(() => lab.close());
  t.same(await ownNamespaces(name), []);
  const dirs = (await readdir(tmpdir())).filter((dir) => dir.startsWith(`hnvgw-lab-${name}-`));
  t.same(dirs, [basename(lab.dir)]);
});
