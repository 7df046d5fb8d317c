/** Programs that are run to their end: what they read and write, how they end, where they run. */
import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import t from 'tap';
import { reap, runProgram, startDetached } from '../../src/linux/child-process.ts';
import { ip } from '../../src/linux/iproute2.ts';
import { inNetns, netnsInode } from '../../src/linux/netns.ts';
import { until } from '../lab/until.ts';

t.test('a program gets its input, and what it writes and its exit status come back', async (t) => {
  const input = 'x'.repeat(300_000);
  t.same(await runProgram('sh', ['-c', 'cat; echo "$1" >&2; exit 3', 'sh', 'a b'], input), {
    ...{ status: 3, stdout: input, stderr: 'a b\n' },
  });
  t.same(await runProgram('true', [], ''), { status: 0, stdout: '', stderr: '' });
});

t.test('one that a signal ends has no exit status', async (t) => {
  t.same(await runProgram('sh', ['-c', 'kill -9 $$'], ''), { status: undefined, stdout: '', stderr: '' });
});

t.test('one that is not there is an error', async (t) => {
  await t.rejects(runProgram('no-such-program', [], ''), { code: 'HNV_INTERNAL', message: /ENOENT/ });
});

t.test('it has the environment, no signal ignored, and no file of ours', async (t) => {
  const { stdout } = await runProgram(
    'sh',
    ['-c', 'echo $PATH; grep SigIgn /proc/self/status; ls /proc/$$/fd'],
    '',
  );
  const [path, ignored, ...files] = stdout.trim().split('\n');
  t.equal(path, process.env.PATH);
  t.match(ignored, /SigIgn:\s+0{16}/);
  t.same(files.slice(0, 3), ['0', '1', '2']);
  t.ok(files.length <= 4, files.join()); // dash may keep one of its own
});

t.test('it begins in the namespace that its start is put into', async (t) => {
  const netns = `cp${process.pid}`;
  await ip(['netns', 'add', netns]);
  t.teardown(() => execFileSync('ip', ['netns', 'delete', netns]));
  const inside = runProgram('readlink', ['/proc/self/ns/net'], '', (start) => inNetns(netns, start));
  const outside = runProgram('readlink', ['/proc/self/ns/net'], '');
  t.equal((await inside).stdout, `net:[${netnsInode(netns)}]\n`);
  t.not((await outside).stdout, (await inside).stdout);
});

t.test('a thousand at once all end, and leave no file open and no process behind', async (t) => {
  const open = (): number => readdirSync('/proc/self/fd').length;
  const before = open();
  const outcomes = await Promise.all(
    Array.from({ length: 1000 }, (_, i) => runProgram('sh', ['-c', 'read x; echo $x'], `${i}\n`)),
  );
  t.same(
    outcomes.map(({ stdout }) => Number(stdout)),
    outcomes.map((_, i) => i),
  );
  t.equal(open(), before);
  const children = execFileSync('ps', ['--ppid', String(process.pid), '-o', 'comm='], { encoding: 'utf8' });
  t.notMatch(children, /\bsh\b/);
});

t.test(
  'one that goes on has a session of its own, the environment that it is given, and no file of ours',
  async (t) => {
    const detached = startDetached('/bin/sleep', ['600'], { ONE: '1' }, (start) => start());
    t.teardown(async () => {
      detached.release();
      process.kill(detached.pid, 'SIGKILL');
      await until('it has ended', 5000, () => {
        reap(detached.pid);
        return !existsSync(`/proc/${detached.pid}`);
      });
    });
    const proc = `/proc/${detached.pid}`;
    // The kernel shows it a moment after the start.
    const environment = await until(
      'it is shown',
      5000,
      () => readFileSync(`${proc}/environ`, 'utf8') || false,
    );
    t.equal(environment, 'ONE=1\0');
    t.equal(readFileSync(`${proc}/stat`, 'utf8').split(' ')[5], String(detached.pid));
    t.match(
      readdirSync(`${proc}/fd`).map((fd) => readlinkSync(`${proc}/fd/${fd}`)),
      ['/dev/null', '/dev/null', /^\/memfd:hnvgw /],
    );
    reap(detached.pid);
    t.ok(existsSync(proc), 'who goes on is not reaped');
  },
);

t.test('of what it says the beginning is kept, and it may say as much as it likes', async (t) => {
  const script = 'for i in $(seq 5000); do echo "line $i" >&2; done';
  const { pid, firstWords, release } = startDetached('/bin/sh', ['-c', script], {}, (start) => start());
  t.teardown(release);
  await until('it has ended', 5000, () => /^\d+ \(.*\) Z/.test(readFileSync(`/proc/${pid}/stat`, 'utf8')));
  reap(pid);
  t.equal(existsSync(`/proc/${pid}`), false);
  const words = firstWords();
  t.match(words, /^line 1\nline 2\n/);
  t.ok(words.length > 16_000 && words.length <= 16_384, `${words.length} bytes`);
});

t.test('one that cannot be started is an error, and leaves no file open', async (t) => {
  const open = (): number => readdirSync('/proc/self/fd').length;
  const before = open();
  t.throws(() => startDetached('/no-such-program', [], {}, (start) => start()), {
    code: 'HNV_INTERNAL',
    message: /ENOENT/,
  });
  t.equal(open(), before);
});
