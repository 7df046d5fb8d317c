import { execFileSync } from 'node:child_process';
import t from 'tap';
import { ip, ipBatch, ipBatchJson, ipJson } from '../../src/linux/iproute2.ts';

const netns = `li${process.pid}`;

interface Link {
  ifname: string;
  mtu: number;
}

t.before(() => ip(['netns', 'add', netns]));
t.teardown(() => execFileSync('ip', ['netns', 'delete', netns]));

const mtu = async (name: string): Promise<number | undefined> =>
  (await ipJson<Link>(['link', 'show', 'dev', name], { netns }))[0]?.mtu;

t.test('a batch is done whole in the namespace, and its result is shown as JSON', async (t) => {
  await ipBatch(
    [
      ['link', 'add', 'v0', 'mtu', '1400', 'type', 'veth', 'peer', 'name', 'v1'],
      ['link', 'set', 'v0', 'up'],
      ['address', 'add', '10.1.1.1/24', 'dev', 'v0'],
    ],
    { netns },
  );
  t.equal(await mtu('v0'), 1400);
  const [link] = await ipJson<{ addr_info: { local: string }[] }>(['-4', 'address', 'show', 'dev', 'v0'], {
    netns,
  });
  t.equal(link?.addr_info[0]?.local, '10.1.1.1');
});

t.test('a batch stops at the command that fails and names it', async (t) => {
  await t.rejects(
    ipBatch(
      [
        ['link', 'set', 'v0', 'mtu', '1401'],
        ['link', 'set', 'nope0', 'up'],
        ['link', 'set', 'v0', 'mtu', '1402'],
      ],
      { netns },
    ),
    { code: 'HNV_IPROUTE2', message: /^ip link set nope0 up: Cannot find device "nope0" \(in namespace li/ },
  );
  t.equal(await mtu('v0'), 1401);
});

t.test('a forced batch goes on and names all commands that failed', async (t) => {
  await t.rejects(
    ipBatch(
      [
        ['link', 'set', 'nope1', 'up'],
        ['link', 'set', 'v0', 'mtu', '1403'],
        ['link', 'set', 'nope2', 'up'],
        ['link', 'set', 'v1', 'mtu', '1404'],
      ],
      { netns, force: true },
    ),
    { code: 'HNV_IPROUTE2', message: /ip link set nope1 up: .*\nip link set nope2 up: / },
  );
  t.same(await Promise.all([mtu('v0'), mtu('v1')]), [1403, 1404]);
});

t.test('a batch that ends in the middle without a line number still says why', async (t) => {
  await t.rejects(ipBatch([['link', 'set', 'v0', 'mtu', 'many']], { netns }), {
    code: 'HNV_IPROUTE2',
    message: /argument "many" is wrong/,
  });
});

t.test('a long batch with an early error neither hangs nor breaks', async (t) => {
  const commands = Array.from({ length: 50_000 }, () => ['link', 'set', 'nope', 'up']);
  await t.rejects(ipBatch(commands, { netns }), { code: 'HNV_IPROUTE2', message: /Cannot find device/ });
});

t.test('words that ip would not read as one word never reach it', async (t) => {
  for (const word of ['', 'a b', 'a\nlink', 'a\t', '"a', "a'", 'a\\', '#a', 'a\0']) {
    await t.rejects(ipBatch([['link', 'set', 'v0', 'alias', word]], { netns }), {
      code: 'HNV_IPROUTE2',
      message: /cannot be a word/,
    });
  }
  await t.rejects(ipBatch([[]], { netns }), { code: 'HNV_IPROUTE2', message: /empty command/ });
});

t.test('no commands are no process and no results', async (t) => {
  await ipBatch([], { netns: 'no-such-namespace' });
  t.same(await ipBatchJson([], { netns: 'no-such-namespace' }), []);
});

t.test('each command of a batch has its own result, also when that is empty', async (t) => {
  const [routes, links, neighbours, addresses] = await ipBatchJson(
    [
      ['route', 'show', 'table', 'all', 'type', 'unicast'],
      ['link', 'show', 'dev', 'v1'],
      ['neigh', 'show'],
      ['address', 'show', 'dev', 'lo'],
    ],
    { netns },
  );
  t.match(routes, []);
  t.match(links, [{ ifname: 'v1' }]);
  t.same(neighbours, []);
  t.match(addresses, [{ ifname: 'lo' }]);
});

t.test('entries that a filter rejected are no results', async (t) => {
  t.same(
    (await ipJson<Link>(['link', 'show', 'up'], { netns })).map((link) => link.ifname),
    ['v0'],
  );
});

t.test('results stay with their commands when one of them prints no JSON at all', async (t) => {
  const results = await ipBatchJson(
    [
      ['xfrm', 'state'],
      ['link', 'show', 'dev', 'lo'],
    ],
    { netns },
  );
  t.match(results, [[], [{ ifname: 'lo' }]]);
});

t.test('brackets and quotes inside strings do not end a result', async (t) => {
  await ip(['link', 'set', 'v0', 'alias', ']"\\[{'], { netns });
  t.match(await ipJson(['link', 'show', 'dev', 'v0'], { netns }), [{ ifalias: ']"\\[{' }]);
});

t.test('a single command that fails says so with its namespace', async (t) => {
  await t.rejects(ip(['link', 'delete', 'nope'], { netns }), {
    code: 'HNV_IPROUTE2',
    message: `ip link delete nope (in namespace ${netns}): Cannot find device "nope"`,
  });
  await t.rejects(ipJson(['link', 'show'], { netns: 'no-such-namespace' }), { code: 'HNV_NETNS' });
});
