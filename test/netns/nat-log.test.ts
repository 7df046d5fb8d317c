/** The NAT log of a routing context between two real stacks, a tenant's and one outside, as in nat-traffic.test.ts. */
import '../lab/own-namespace.ts';

import { existsSync, readFileSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import t, { type Test } from 'tap';
import { Contexts } from '../../src/gateway/contexts.ts';
import { ipBatch } from '../../src/linux/iproute2.ts';
import { NatLog } from '../../src/nat/log/nat-log.ts';
import type { ContextPlan, NatPlan } from '../../src/policy/plan.ts';
import { routerMac } from '../../src/policy/router.ts';
import { Capture } from '../lab/capture.ts';
import { ask, startEcho } from '../lab/echo.ts';
import { Lab } from '../lab/lab.ts';
import { Namespace } from '../lab/namespace.ts';
import { until } from '../lab/until.ts';

const RDID = '11111111-1111-1111-1111-111111111111';
const INSTANCE = `l${(process.pid % 46656).toString(36)}`;
const MTU = { tenant: 1458, external: 1500 };
const PROGRAM = fileURLToPath(new URL('../lab/nat-log-program.ts', import.meta.url));

const plan: ContextPlan = {
  ...{ vsid: 5002, mac: '02:00:00:50:02:02', providerAddress: '192.168.1.20' },
  addresses: ['10.254.254.2', 'fd00:fe::2'],
  routerAddresses: ['10.254.254.1', 'fd00:fe::1'],
  tenantPrefixes: ['10.1.1.0/24', '10.254.254.0/29', 'fd00:1::/64', 'fd00:fe::/64'],
};
const HOSTS = [
  { vm: '10.1.1.11', outside: '203.0.113.80', external: '198.51.100.101', own: '10.254.254.2', length: 32 },
  {
    vm: 'fd00:1::11',
    outside: '2001:db8:9::80',
    external: '2001:db8:100::101',
    own: 'fd00:fe::2',
    length: 128,
  },
] as const;
const [v4, v6] = HOSTS;
const nat: NatPlan = {
  externalAddresses: HOSTS.map(({ external: address }) => ({ address })),
  portMappings: [
    {
      ...{ protocol: 'tcp', externalAddress: v4.external, externalPort: 8080 },
      ...{ internalAddress: v4.vm, internalPort: 80 },
    },
  ],
  ...{ prefixes: [], oneToOne: [], algs: [], hairpinning: 'external', peers: [], sitePrefixes: [] },
  timeouts: { icmp: 30, tcpEstablished: 7440, tcpTransient: 240, udp: 300 },
  filtering: { tcp: 'addressAndPortDependent', udp: 'addressAndPortDependent' },
};

interface LogRecord {
  time: string;
  event: string;
  [field: string]: unknown;
}

let lab: Lab;
let vm: Namespace;
let outside: Namespace;
let inside: Namespace;
const contexts = new Contexts(INSTANCE);
const { netns, tenantPort, externalPort } = contexts.names(RDID);

/** Context and stacks anew. */
async function build(): Promise<void> {
  let mac = '';
  await contexts.apply({ rdid: RDID, plan, nat, mtu: MTU }, ({ externalMac }) => {
    mac = externalMac;
  });
  // The root sides become the NICs of the two stacks, with the MAC that the context sends to.
  const become = (namespace: Namespace, link: string): Promise<void> =>
    ipBatch([['link', 'set', link, 'netns', namespace.name, 'name', 'eth0', 'address', routerMac]]);
  await become(vm, tenantPort);
  await become(outside, externalPort);
  const open = (addresses: readonly string[]): string[] => [
    'link set eth0 mtu 1500 up',
    ...addresses.map((address) => `addr add ${address} dev eth0${address.includes(':') ? ' nodad' : ''}`),
  ];
  await vm.ipBatch([
    ...open(HOSTS.map((host) => `${host.vm}/${host.length}`)),
    ...HOSTS.map(({ own }) => `neigh add ${own} lladdr ${plan.mac} dev eth0`),
    ...['0.0.0.0/0 via 10.254.254.2', '::/0 via fd00:fe::2'].map((way) => `route add ${way} dev eth0 onlink`),
  ]);
  await outside.ipBatch([
    ...open(HOSTS.map((host) => `${host.outside}/${host.length}`)),
    ...HOSTS.flatMap(({ external, length }) => [
      `neigh add ${external} lladdr ${mac} dev eth0`,
      `route add ${external}/${length} dev eth0`,
    ]),
  ]);
}

t.before(async () => {
  lab = await Lab.create(`nl${process.pid}`);
  lab.onClose(() => contexts.remove(netns));
  vm = await lab.namespace('vm');
  outside = await lab.namespace('out');
  inside = new Namespace(lab, netns);
  await build();
  const servers = ['tcp', 'udp'].flatMap((protocol) => [
    `${protocol}:${v4.outside}:7`,
    `${protocol}:[${v6.outside}]:7`,
  ]);
  await startEcho(outside, 'outside', servers);
  await startEcho(vm, 'vm', [`tcp:${v4.vm}:80`]);
});
t.teardown(() => lab.close());

function recordsOf(path: string): LogRecord[] {
  if (!existsSync(path)) return [];
  // The last one may be being written.
  const lines = readFileSync(path, 'utf8').split('\n').slice(0, -1);
  return lines.map((line) => JSON.parse(line) as LogRecord);
}

/** Waits until the log has so many records of the event, and answers them. */
function logged(path: string, event: string, count: number): Promise<LogRecord[]> {
  return until(`${count} times ${event}`, 20_000, () => {
    const found = recordsOf(path).filter((one) => one.event === event);
    return found.length >= count && found;
  });
}

/** A log in this process, which ends with the test. */
function startLog(t: Test, name: string): { path: string; log: NatLog } {
  const path = join(lab.dir, name);
  const log = new NatLog({ path, records: ['sessions', 'blocks'] });
  t.teardown(() => log.close());
  log.start([[RDID, netns]]);
  log.watch(RDID, netns);
  return { path, log };
}

const forgetAll = () => inside.runChecked(['conntrack', '-F']);

/** UDP sessions of one socket with this many ports outside, at once. */
function flood(firstPort: number, count: number) {
  const code = `const s = require('node:dgram').createSocket('udp4'); let left = ${count};
    s.bind(0, () => { for (let i = 0; i < ${count}; i++)
      s.send('x', ${firstPort} + i, '${v4.outside}', () => { if (--left === 0) s.close(); }); });`;
  return vm.runChecked([process.execPath, '-e', code]);
}

t.test('each session is recorded with its translation, times and amounts', async (t) => {
  const { path } = startLog(t, 'sessions.log');
  await logged(path, 'gap', 1);
  const capture = await Capture.start(outside, 'eth0', 'tcp or udp or icmp or icmp6');
  const began = Date.now();
  for (const to of [
    `tcp:${v4.outside}:7`,
    `udp:${v4.outside}:7`,
    `tcp:[${v6.outside}]:7`,
    `udp:[${v6.outside}]:7`,
  ])
    t.match(await ask(vm, to), [{ server: 'outside' }]);
  t.match(await ask(outside, `tcp:${v4.external}:8080`), [{ server: 'vm' }]);
  for (const { outside } of HOSTS) await vm.runChecked(['ping', '-n', '-c', '1', '-W', '2', outside]);
  // Not translated, and so none of the log's.
  await outside.runChecked(['ping', '-n', '-c', '1', '-W', '2', v4.external]);
  const tracked = await inside.runChecked(['conntrack', '-L', '-o', 'extended']);
  await forgetAll();
  const ended = Date.now();
  await capture.stop();
  const starts = await logged(path, 'session-start', 7);
  const ends = await logged(path, 'session-end', 7);
  t.equal(starts.length, 7);
  const ports = async (filter: string, protocol: string) =>
    (await capture.decode(filter, [`${protocol}.srcport`, `${protocol}.dstport`])).map((pair) =>
      pair.map(Number),
    );
  const outbound = (protocol: string, host: typeof v4 | typeof v6) => ({
    ...{ direction: 'outbound', protocol, rdid: RDID, internalAddress: host.vm },
    ...{ externalAddress: host.external, remoteAddress: host.outside },
  });
  const find = (protocol: string, external: string, direction = 'outbound') =>
    starts.filter(
      (one) => one.protocol === protocol && one.externalAddress === external && one.direction === direction,
    );
  for (const [host, ip] of [
    [v4, 'ip'],
    [v6, 'ipv6'],
  ] as const)
    for (const protocol of ['tcp', 'udp']) {
      const begin = protocol === 'tcp' ? 'tcp.flags.syn == 1 && tcp.flags.ack == 0 && ' : '';
      const [seen] = await ports(`${begin}${protocol} && ${ip}.src == ${host.external}`, protocol);
      const found = find(protocol, host.external);
      t.match(found, [outbound(protocol, host)], `${protocol} ${ip}`);
      t.same([found[0]?.externalPort, found[0]?.remotePort], seen, 'ports as outside sees them');
    }
  const [mapped] = find('tcp', v4.external, 'inbound');
  t.match(mapped, {
    ...{ internalAddress: v4.vm, internalPort: 80, externalAddress: v4.external, externalPort: 8080 },
    remoteAddress: v4.outside,
  });
  const [ident] = await capture.decode(`icmp.type == 8 && ip.src == ${v4.external}`, ['icmp.ident']);
  t.equal(find('icmp', v4.external)[0]?.externalPort, Number(ident?.[0]), 'the identifier outside');
  t.notOk('remotePort' in (find('icmp', v4.external)[0] ?? {}));
  t.match(find('icmpv6', v6.external), [outbound('icmpv6', v6)]);

  const all = recordsOf(path);
  for (const end of ends) {
    const same = ({ event, time, start, packetsOut, bytesOut, packetsIn, bytesIn, ...rest }: LogRecord) =>
      JSON.stringify(rest);
    const index = all.findIndex((one) => one.event === 'session-start' && same(one) === same(end));
    const endIndex = all.findIndex((one) => JSON.stringify(one) === JSON.stringify(end));
    t.ok(index >= 0 && index < endIndex, 'the beginning stands before the end');
    const [from, to] = [Date.parse(String(end.start)), Date.parse(end.time)];
    t.ok(began <= from + 1 && from <= to && to <= ended + 1, 'within the time of the test');
    t.ok(Math.abs(Date.parse(all[index]?.time ?? '') - from) < 1000, 'the same start in both');
    // What conntrack counts: the original direction first.
    const { internalPort, remotePort, protocol, direction } = end;
    if (protocol !== 'tcp' && protocol !== 'udp') continue;
    const source = direction === 'outbound' ? internalPort : remotePort;
    const line = tracked.stdout
      .split('\n')
      .find((one) => one.includes(` sport=${source} `) && one.includes(`${protocol}`));
    const counts = [...(line ?? '').matchAll(/packets=(\d+) bytes=(\d+)/g)].map(([, p, b]) => [
      Number(p),
      Number(b),
    ]);
    const own = [
      [end.packetsOut, end.bytesOut],
      [end.packetsIn, end.bytesIn],
    ];
    t.same(direction === 'outbound' ? own : own.toReversed(), counts, `amounts of ${protocol} ${direction}`);
  }
});

t.test('a file that was moved away is followed by a new one, which says who has what', async (t) => {
  const { path, log } = startLog(t, 'moved.log');
  const block = { rdid: RDID, address: v4.external, portStart: 2000, portEnd: 2999 };
  log.taken(block);
  await logged(path, 'block-assigned', 1);
  renameSync(path, `${path}.1`);
  await flood(1000, 50);
  const isStart = ({ event }: LogRecord) => event === 'session-start';
  const { young } = await until('the new file has begun, and nothing is lost', 10_000, () => {
    const [old, young] = [recordsOf(`${path}.1`), recordsOf(path)];
    return young.length > 0 && [...old, ...young].filter(isStart).length === 50 && { young };
  });
  t.match(young[0], { event: 'block-present', ...block });
  log.freed(block);
  t.match(await logged(path, 'block-released', 1), [block]);
  await forgetAll();
});

t.test('what the kernel has no room to tell is told later: nothing is lost', async (t) => {
  const path = join(lab.dir, 'overrun.log');
  const program = await lab.spawn(process.execPath, [PROGRAM, path, '65536', RDID, netns]);
  t.teardown(() => program.end('SIGKILL'));
  await program.waitFor(/^logging$/);
  await logged(path, 'gap', 1);
  const whileItSleeps = async (act: () => Promise<unknown>): Promise<void> => {
    process.kill(program.pid, 'SIGSTOP');
    await act();
    process.kill(program.pid, 'SIGCONT');
  };
  await whileItSleeps(() => flood(10_000, 1000));
  await logged(path, 'overrun', 1);
  await logged(path, 'session-start', 1000);
  await whileItSleeps(forgetAll);
  const ends = await logged(path, 'session-end', 1000);
  const starts = await logged(path, 'session-start', 1000);
  for (const records of [starts, ends]) {
    t.equal(records.length, 1000, 'none twice');
    t.equal(new Set(records.map(({ remotePort }) => remotePort)).size, 1000);
  }
});

t.test('after a kill the next process records the gap, and what has begun in it', async (t) => {
  const path = join(lab.dir, 'killed.log');
  const start = async () => {
    const program = await lab.spawn(process.execPath, [PROGRAM, path, '1000000', RDID, netns]);
    await program.waitFor(/^logging$/);
    return program;
  };
  const first = await start();
  await flood(20_000, 10);
  await logged(path, 'session-start', 10);
  // The second in which the log says that it is whole so far.
  const told = Date.now();
  await until('the log is whole', 5000, async () => {
    const { stdout } = await lab.runChecked('stat', ['-c', '%.6Y', path]);
    return Number(stdout) * 1000 > told;
  });
  await first.end('SIGKILL');
  const killed = Date.now();
  await flood(20_100, 10);
  const during = Date.now();
  const second = await start();
  t.teardown(() => second.end('SIGKILL'));
  const [, gap] = await logged(path, 'gap', 2);
  const from = Date.parse(String(gap?.from));
  t.ok(told <= from && from <= killed, 'from when the log was last whole');
  t.ok(Date.parse(String(gap?.to)) >= during);
  const starts = await logged(path, 'session-start', 20);
  for (const { remotePort, time } of starts.slice(10)) {
    t.ok(Number(remotePort) >= 20_100);
    t.ok(killed <= Date.parse(time) + 1 && Date.parse(time) <= during, "the kernel's time of its start");
  }
  await forgetAll();
  t.equal((await logged(path, 'session-end', 20)).length, 20);
  t.equal(recordsOf(path).filter(({ event }) => event === 'session-start').length, 20);
});

t.test('a context that is removed has recorded the ends of its sessions before', async (t) => {
  const { path, log } = startLog(t, 'removed.log');
  await flood(30_000, 500);
  await logged(path, 'session-start', 500);
  await log.end(RDID);
  log.freed({ rdid: RDID, address: v4.external });
  await log.close();
  const events = recordsOf(path).map(({ event }) => event);
  t.equal(events.filter((event) => event === 'session-end').length, 500);
  t.equal(events.at(-1), 'block-released');
});
