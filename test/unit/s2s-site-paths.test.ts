import { test } from 'tap';
import { reqidOf } from '../../src/s2s/reqid.ts';
import { outrun, sitePaths, waitingFor } from '../../src/s2s/site-paths.ts';
import { sitePlan } from '../lab/site-plan.ts';

const site = (name: string, subnets: [prefix: string, metric: number][], more = {}) =>
  sitePlan({ name, subnets: subnets.map(([prefix, metric]) => ({ prefix, metric })), ...more });
const up = (entries: Record<string, [prefixes: string[], youngest: number]>) =>
  new Map(Object.entries(entries).map(([name, [prefixes, youngest]]) => [name, { prefixes, youngest }]));

const A = '192.168.50.0/24';
const B = '192.168.60.0/24';

test('of two connections with a prefix, the lowest metric that is up carries it', async (t) => {
  const plans = [site('main', [[A, 10]]), site('spare', [[A, 20]])];
  const carrier = (state: ReturnType<typeof up>) =>
    sitePaths(plans, state).map(({ connection }) => connection);
  t.same(carrier(up({ main: [[A], 1], spare: [[A], 2] })), ['main']);
  t.same(carrier(up({ spare: [[A], 2] })), ['spare']);
  t.same(carrier(up({})), [], 'nobody carries what nobody has up');
});

test('equal metrics are decided by name', async (t) => {
  const plans = [site('b', [[A, 0]]), site('a', [[A, 0]])];
  t.equal(sitePaths(plans, up({ a: [[A], 1], b: [[A], 2] }))[0]?.connection, 'a');
});

test('a prefix of a connection that begins on traffic is waited for, unless another one carries it', async (t) => {
  const plans = [site('dial', [[A, 10]], { initiate: 'onTraffic' }), site('spare', [[A, 20]])];
  t.match(sitePaths(plans, up({})), [{ prefix: A, connection: 'dial', isWaiting: true }]);
  t.match(sitePaths(plans, up({ spare: [[A], 1] })), [{ connection: 'spare', isWaiting: false }]);
});

test('a peer that took fewer prefixes carries these', async (t) => {
  const plans = [
    site('main', [
      [A, 0],
      [B, 0],
    ]),
  ];
  t.same(
    sitePaths(plans, up({ main: [['192.168.50.0/25'], 1] })).map(({ prefix }) => prefix),
    [A],
  );
});

test('limits go with the connection that carries', async (t) => {
  const plans = [site('main', [[A, 0]], { txBandwidthKbps: 1000 }), site('spare', [[A, 1]])];
  t.equal(sitePaths(plans, up({ main: [[A], 1] }))[0]?.txBandwidthKbps, 1000);
  t.equal(sitePaths(plans, up({ spare: [[A], 1] }))[0]?.txBandwidthKbps, undefined);
});

test('who should carry and is not the youngest has been outrun', async (t) => {
  const plans = [site('main', [[A, 10]]), site('spare', [[A, 20]]), site('other', [[B, 0]])];
  t.same(outrun(plans, up({ main: [[A], 1], spare: [[A], 2], other: [[B], 9] })), [
    { name: 'main', byRekeying: true },
  ]);
  t.same(outrun(plans, up({ main: [[A], 3], spare: [[A], 2] })), []);
  t.same(outrun(plans, up({ spare: [[A], 2] })), []);
  const wider = site('wider', [
    [A, 30],
    [B, 0],
  ]);
  t.same(
    outrun([...plans, wider], up({ main: [[A], 1], wider: [[A, B], 2] })),
    [{ name: 'main', byRekeying: false }],
    'their SAs are not told apart by prefixes alone',
  );
});

test('packets are waited for by all between the same prefixes, the preferred first', async (t) => {
  const dial = { initiate: 'onTraffic' as const };
  const plans = [
    site('b', [[A, 20]], dial),
    site('a', [[A, 10]], dial),
    site('c', [[A, 0]]),
    site('d', [[B, 0]], dial),
  ];
  t.same(
    waitingFor(reqidOf(site('any', [[A, 5]])), plans).map(({ name }) => name),
    ['a', 'b'],
  );
});
