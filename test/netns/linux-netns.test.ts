import { execFileSync } from 'node:child_process';
import { closeSync, existsSync, openSync, readFileSync, readlinkSync, rmSync } from 'node:fs';
import t from 'tap';
import { ip } from '../../src/linux/iproute2.ts';
import { ifindexOf, linkName } from '../../src/linux/links.ts';
import { inNetns, inNewNetns, netnsExists, netnsInode, netnsNames } from '../../src/linux/netns.ts';
import { readSysctl, writeSysctl } from '../../src/linux/sysctl.ts';

const prefix = `ln${process.pid}`;
const names = [`${prefix}a`, `${prefix}b`];
const here = (): string => readlinkSync('/proc/thread-self/ns/net');
const home = here();

t.before(async () => {
  for (const name of names) await ip(['netns', 'add', name]);
});
t.teardown(() => {
  for (const name of names) execFileSync('ip', ['netns', 'delete', name]);
});
t.afterEach(() => {
  if (here() !== home) throw new Error('The thread is not back in the namespace of the process.');
});

t.test('a function runs in the namespace, and the thread is back home after it', async (t) => {
  const [a = '', b = ''] = names;
  const seen = [a, b].map((name) => inNetns(name, here));
  t.same(seen, [`net:[${netnsInode(a)}]`, `net:[${netnsInode(b)}]`]);
  t.not(seen[0], seen[1]);
  t.equal(
    inNetns(a, () => execFileSync('readlink', ['/proc/self/ns/net'], { encoding: 'utf8' }).trim()),
    seen[0],
  );
});

t.test('what a function throws comes through, and the thread is back home', async (t) => {
  const error = new Error('from inside');
  t.throws(
    () =>
      inNetns(names[0] ?? '', () => {
        throw error;
      }),
    error,
  );
});

t.test('a function that returns a promise is refused, also when the promise rejects', async (t) => {
  const refused = { code: 'HNV_NETNS', message: /must be synchronous/ };
  t.throws(() => inNetns(names[0] ?? '', async () => 1), refused);
  t.throws(() => inNetns(names[0] ?? '', async () => Promise.reject(new Error('late'))), refused);
});

t.test('namespaces do not nest', async (t) => {
  const [a = '', b = ''] = names;
  t.throws(() => inNetns(a, () => inNetns(b, here)), { code: 'HNV_NETNS', message: /do not nest/ });
});

t.test('a new namespace has nothing but its loopback, and leaves no trace', async (t) => {
  const [inode, links] = inNewNetns(() => [here(), readFileSync('/proc/thread-self/net/dev', 'utf8')]);
  t.not(inode, home);
  t.match(links, /^ +lo:/m);
  t.equal(links?.trim().split('\n').length, 3, 'two lines of heading and one link');
  t.throws(() => inNewNetns(() => inNewNetns(here)), { code: 'HNV_NETNS', message: /do not nest/ });
});

t.test('a namespace that is not there and a name that is a path are refused', async (t) => {
  t.throws(() => inNetns(`${prefix}nope`, here), {
    code: 'HNV_NETNS',
    message: /There is no network namespace/,
  });
  t.throws(() => inNetns('../../proc/1/ns/net', here), { code: 'HNV_NETNS', message: /not the name/ });
  t.throws(() => netnsInode(`${prefix}nope`), { code: 'HNV_NETNS' });
});

t.test('namespaces are listed by prefix, and a bare file among them is not taken for one', async (t) => {
  const bare = `${prefix}c`;
  closeSync(openSync(`/run/netns/${bare}`, 'w'));
  t.teardown(() => rmSync(`/run/netns/${bare}`, { force: true }));
  t.same(netnsNames(prefix), [...names, bare]);
  t.same(names.map(netnsExists), [true, true]);
  t.equal(netnsExists(bare), false);
  t.throws(() => inNetns(bare, here), { code: 'HNV_NETNS' });
  await ip(['netns', 'delete', bare]);
  t.equal(existsSync(`/run/netns/${bare}`), false);
});

t.test('interfaces and kernel settings are those of the namespace that the thread is in', async (t) => {
  const [a = '', b = ''] = names;
  await ip(['link', 'add', 'only0', 'type', 'veth', 'peer', 'name', 'only1'], { netns: a });
  t.type(
    inNetns(a, () => ifindexOf('only0')),
    'number',
  );
  t.equal(
    inNetns(b, () => ifindexOf('only0')),
    undefined,
  );
  t.equal(ifindexOf('only0'), undefined);
  t.equal(
    inNetns(a, () => linkName(ifindexOf('only1') ?? 0)),
    'only1',
  );
  t.equal(
    inNetns(b, () => linkName(4242)),
    undefined,
  );

  inNetns(a, () => writeSysctl('net/ipv4/ip_forward', '1'));
  inNetns(b, () => writeSysctl('net/ipv4/ip_forward', '0'));
  t.same(
    [a, b].map((name) => inNetns(name, () => readSysctl('net/ipv4/ip_forward'))),
    ['1', '0'],
  );
});

t.test('a kernel setting that is missing, refused or no path at all is an error that names it', async (t) => {
  const [a = ''] = names;
  const missing = { code: 'HNV_KERNEL_FEATURE', message: /net\/ipv4\/nope/ };
  t.throws(() => readSysctl('net/ipv4/nope'), missing);
  inNetns(a, () => {
    t.throws(() => writeSysctl('net/ipv4/nope', '1'), missing);
    t.throws(() => writeSysctl('net/ipv4/ip_forward', 'maybe'), { code: 'HNV_INTERNAL', message: /maybe/ });
  });
  t.throws(() => readSysctl('net/../../etc/passwd'), { code: 'HNV_INTERNAL', message: /not a sysctl path/ });
});
