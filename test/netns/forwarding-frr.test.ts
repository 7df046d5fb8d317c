/** FRR's processes in routing contexts: started, found again, killed under traffic, ended; the real ones, with BIRD as peer. */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, readlinkSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import t from 'tap';
import {
  endFrr,
  type FrrPlace,
  frrPlace,
  isFrrThere,
  memoryOf,
  type RunningFrr,
  runFrr,
} from '../../src/forwarding/frr.ts';
import { Vty } from '../../src/forwarding/vty.ts';
import { Lab } from '../lab/lab.ts';
import { Pinger } from '../lab/pinger.ts';
import { until } from '../lab/until.ts';

const INSTANCE = 'ffrr';
const MODULE = new URL('../../src/forwarding/frr.ts', import.meta.url).href;
const WANTS = { bfd: true, zebra: true, gracefulRestartSeconds: 30 };

/** coalesce-time: without it, FRR waits for a second before it tells a peer anything. */
const CONFIGURATION = [
  'configure terminal',
  'router bgp 4200000001',
  'no bgp ebgp-requires-policy',
  'no bgp network import-check',
  'bgp graceful-restart',
  'bgp graceful-restart preserve-fw-state',
  'bgp graceful-restart restart-time 30',
  'coalesce-time 0',
  'neighbor 192.0.2.2 remote-as 4200000002',
  'neighbor 192.0.2.2 timers connect 1',
  'address-family ipv4 unicast',
  'network 10.1.0.0/24',
  'exit-address-family',
  'address-family ipv6 unicast',
  'neighbor 192.0.2.2 activate',
  'network 2001:db8:a::/64',
  'end',
];

const BIRD = `
router id 192.0.2.2;
protocol device { }
protocol kernel { ipv4 { export all; }; }
protocol kernel { ipv6 { export all; }; }
protocol static { ipv4; route 10.2.0.0/24 blackhole; }
protocol static { ipv6; route 2001:db8:b::/64 blackhole; }
protocol bgp {
  local 192.0.2.2 as 4200000002;
  neighbor 192.0.2.1 as 4200000001;
  graceful restart on;
  error wait time 1, 2;
  ipv4 { import all; export where source = RTS_STATIC; };
  ipv6 { import all; export where source = RTS_STATIC; next hop address 2001:db8::2; };
}
`;

t.test('FRR', { timeout: 120_000 }, async (t) => {
  const lab = await Lab.create(INSTANCE);
  t.teardown(() => lab.close());
  const [left, right] = [await lab.namespace('left'), await lab.namespace('right')];
  const place = frrPlace(INSTANCE, left.name);
  // Before the lab is closed, and whatever has failed.
  t.teardown(() => endFrr(place));
  await lab.veth(left, 'fwd', right, 'fwd');
  await left.ipBatch([
    'addr add 192.0.2.1/24 dev fwd',
    'addr add 2001:db8::1/64 dev fwd nodad',
    'addr add 10.1.0.1/32 dev lo',
    'addr add 2001:db8:a::1/128 dev lo',
    'route add blackhole 10.2.0.0/16 metric 4096',
  ]);
  await right.ipBatch([
    'addr add 192.0.2.2/24 dev fwd',
    'addr add 2001:db8::2/64 dev fwd nodad',
    'addr add 10.2.0.1/32 dev lo',
    'addr add 2001:db8:b::1/128 dev lo',
  ]);

  let running: RunningFrr;

  await t.test('starts in its namespace, as its own user, and reads and listens to nothing', async (t) => {
    t.equal(isFrrThere(place), false);
    const begin = performance.now();
    running = await runFrr(place, WANTS);
    t.comment(`${Math.round(performance.now() - begin)} ms to start zebra, bfdd and bgpd`);
    t.match(running, {
      socket: `/run/hnvgw/${INSTANCE}/bgp/${left.name}/bgpd.vty`,
      zebraSocket: `/run/hnvgw/${INSTANCE}/bgp/${left.name}/zebra.vty`,
      isNew: true,
    });
    t.equal(isFrrThere(place), true);
    t.equal(statSync(place.folder).mode & 0o777, 0o700);
    t.same(
      running.pids.map((pid) => readFileSync(`/proc/${pid}/comm`, 'utf8').trim()),
      ['zebra', 'bfdd', 'bgpd'],
    );
    const namespace = (await left.runChecked(['readlink', '/proc/self/ns/net'])).stdout.trim();
    for (const pid of running.pids) {
      t.equal(readlinkSync(`/proc/${pid}/ns/net`), namespace);
      t.equal(statSync(`/proc/${pid}`).uid, statSync(place.folder).uid);
      t.not(statSync(`/proc/${pid}`).uid, 0);
      t.equal(readFileSync(`/proc/${pid}/environ`, 'utf8'), '');
    }
    const listening = (await left.runChecked(['ss', '-Hlnt'])).stdout;
    t.equal(listening, '', 'no port for commands, and none for BGP before there is a peer');
    await until('the processes have their memory', 5000, () => memoryOf(running.pids) > 2 ** 20);
    t.comment(`${(memoryOf(running.pids) / 2 ** 20).toFixed(1)} MiB of zebra, bfdd and bgpd (PSS)`);
    t.equal(memoryOf([]), 0);
  });

  await t.test('is found again, also without the notes that a killed gateway could not make', async (t) => {
    const same = async (): Promise<void> => {
      const found = await runFrr(place, WANTS);
      t.same([found.pids, found.isNew], [running.pids, false]);
    };
    await same();
    for (const member of ['zebra', 'bfdd', 'bgpd']) writeFileSync(join(place.folder, `${member}.note`), '');
    t.equal(isFrrThere(place), true);
    await same();
    t.match(
      readFileSync(join(place.folder, 'bgpd.note'), 'utf8'),
      new RegExp(`^${running.pids[2]} \\d+\\n$`),
    );
  });

  await t.test('is found by the next process when the one that has started it is killed', async (t) => {
    await endFrr(place);
    const script = `
      import { writeSync } from 'node:fs';
      import { runFrr } from ${JSON.stringify(MODULE)};
      const { pids } = await runFrr(${JSON.stringify(place)}, ${JSON.stringify(WANTS)});
      writeSync(1, JSON.stringify(pids));
      process.kill(process.pid, 'SIGKILL');
    `;
    const child = spawnSync(process.execPath, ['--input-type=module', '--eval', script], {
      encoding: 'utf8',
    });
    t.match(child, { signal: 'SIGKILL', stderr: '' });
    running = await runFrr(place, WANTS);
    t.same([running.pids, running.isNew], [JSON.parse(child.stdout), false]);
  });

  await t.test('what is killed is started again, and no packet is lost meanwhile', async (t) => {
    writeFileSync(join(lab.dir, 'bird.conf'), BIRD);
    const bird = ['bird', '-f', '-c', join(lab.dir, 'bird.conf'), '-s', join(lab.dir, 'bird.ctl')];
    await right.spawn(bird);
    await configure(running);
    await hasRoutes(running);
    t.match(await left.ip('route', 'show', 'proto', 'bgp'), /^10\.2\.0\.0\/24 via 192\.0\.2\.2 dev fwd /);
    const pingers = await Promise.all([
      Pinger.answered(left, '10.2.0.1'),
      Pinger.answered(left, '2001:db8:b::1'),
      Pinger.answered(right, '10.1.0.1'),
      Pinger.answered(right, '2001:db8:a::1'),
    ]);
    const changes = await left.spawn(['ip', 'monitor', 'route']);
    for (const [index, member] of ['zebra', 'bfdd', 'bgpd'].entries()) {
      const before = running.pids;
      const begin = performance.now();
      process.kill(before[index] ?? -1, 'SIGKILL');
      t.equal(await running.ended, `${member} has ended.`);
      running = await runFrr(place, WANTS);
      const kept = running.pids.filter((pid) => before.includes(pid));
      t.same(kept, member === 'bfdd' ? [before[0], before[2]] : [before[1]], `${member} was killed`);
      t.equal(running.isNew, member !== 'bfdd');
      if (running.isNew) await configure(running);
      await hasRoutes(running);
      t.comment(`${Math.round(performance.now() - begin)} ms from the end of ${member} to the same routes`);
    }
    for (const pinger of pingers) t.match(await pinger.stop(), { lost: [] }, pinger.address);
    t.same(
      changes.lines.filter((line) => line.startsWith('Deleted') && line.includes('proto bgp')),
      [],
    );
    await changes.end();
  });

  await t.test('another time for restarts changes nothing now, and BFD comes and goes alone', async (t) => {
    const [zebra, bfdd, bgpd] = running.pids;
    const without = await runFrr(place, { ...WANTS, bfd: false, gracefulRestartSeconds: 60 });
    t.same([without.pids, without.isNew], [[zebra, bgpd], false]);
    t.equal(isRunning(bfdd), false);
    running = await runFrr(place, WANTS);
    t.match(running, { pids: [zebra, Number, bgpd], isNew: false });
  });

  await t.test('is another one when its namespace is', async (t) => {
    // As if it had been made anew by that name.
    const other: FrrPlace = { ...place, netns: right.name };
    const moved = await runFrr(other, WANTS);
    t.equal(moved.isNew, true);
    for (const pid of running.pids) t.equal(isRunning(pid), false);
    await endFrr(other);
    running = await runFrr(place, WANTS);
  });

  await t.test('says why it does not start', async (t) => {
    const broken: FrrPlace = { ...place, folder: `${place.folder}-2` };
    t.teardown(() => endFrr(broken));
    mkdirSync(join(broken.folder, 'zebra.pid'), { recursive: true });
    await t.rejects(runFrr(broken, WANTS), {
      code: 'HNV_BGP',
      message: /^zebra has ended at its start: Can't create pid lock file .*zebra\.pid \(Is a directory\)/,
    });
    t.equal(isFrrThere(broken), false);
    await t.rejects(runFrr({ ...broken, netns: `${left.name}-2` }, WANTS), { code: 'HNV_NETNS' });
  });

  await t.test('the node has a bgpd alone, which waits for nobody', async (t) => {
    const own = frrPlace(INSTANCE, undefined);
    t.teardown(() => endFrr(own));
    const { socket, zebraSocket, pids } = await runFrr(own, { ...WANTS, zebra: false });
    t.equal(zebraSocket, undefined);
    t.equal(pids.length, 1);
    t.equal(readlinkSync(`/proc/${pids[0]}/ns/net`), readlinkSync('/proc/self/ns/net'));
    const vty = await Vty.connect(socket);
    for (const line of [
      'configure terminal',
      'router bgp 65000',
      'neighbor 127.0.0.9 remote-as 65001',
      'end',
    ])
      await vty.show(line);
    t.match(await vty.show('show bgp neighbors 127.0.0.9'), /BGP neighbor is 127\.0\.0\.9, remote AS 65001/);
    vty.close();
    t.notMatch((await lab.runChecked('ss', ['-Hlntp'])).stdout, `pid=${pids[0]},`);
    await endFrr(own);
    t.equal(isRunning(pids[0]), false);
    t.equal(existsSync(own.folder), false);
  });

  await t.test('ends, and leaves no process, file or route; another process is never ended', async (t) => {
    await configure(running);
    await hasRoutes(running);
    const sleeper = await lab.spawn('sleep', ['600']);
    const other = frrPlace(INSTANCE, `${left.name}-3`);
    mkdirSync(other.folder, { recursive: true });
    writeFileSync(join(other.folder, 'bgpd.note'), `${sleeper.pid} 1\n`);
    t.equal(isFrrThere(other), false);
    await endFrr(other);
    t.equal(sleeper.running, true);
    await endFrr(place);
    for (const pid of running.pids) t.equal(isRunning(pid), false);
    t.equal(isFrrThere(place), false);
    t.equal(existsSync(dirname(dirname(place.folder))), false);
    for (const family of ['-4', '-6'])
      t.equal(await left.ip(family, 'route', 'show', 'table', 'all', 'proto', 'bgp'), '');
    t.match(await left.ip('route', 'show'), 'blackhole 10.2.0.0/16', 'routes of others stay');
    t.equal(await left.ip('nexthop', 'show'), '');
    await endFrr(place); // once more does no harm
    await sleeper.end();
  });

  async function configure({ socket }: RunningFrr): Promise<void> {
    const vty = await Vty.connect(socket);
    for (const line of CONFIGURATION) await vty.show(line);
    vty.close();
  }

  /** Of a session, not those that a new zebra has found. */
  async function hasRoutes({ zebraSocket }: RunningFrr): Promise<void> {
    const vty = await Vty.connect(zebraSocket ?? '');
    const wanted = { ip: '10.2.0.0/24', ipv6: '2001:db8:b::/64' };
    for (const [family, prefix] of Object.entries(wanted))
      await until(`bgpd has a route to ${prefix}`, 15_000, async () =>
        (await vty.show(`show ${family} route bgp`)).includes(`${prefix} [20/0]`),
      );
    vty.close();
    for (const family of ['-4', '-6'])
      await until('the peer has a route', 15_000, () => right.ip(family, 'route', 'show', 'proto', 'bird'));
  }
});

/** A process that has ended and that its parent has not asked for is none. */
function isRunning(pid: number | undefined): boolean {
  try {
    return !/^\d+ \(.*\) [ZX]/.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
  } catch {
    return false;
  }
}
