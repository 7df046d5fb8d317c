/**
 * The fast path does what the slow path does: a gateway without it and two with it, by XDP and by TC, get the same frames of the
 * same conversations under the same random policy, and what they send and count is the same, byte by byte. Plain packets of an
 * established conversation do take the fast path; odd ones come to the same, whichever way they take.
 *
 * All follows from a seed, which is printed; it is a new one each time. Longer, or once more:
 *   TAP_TIMEOUT=900 FAST_SECONDS=600 node test/netns/fast-path-differential.test.ts
 *   FAST_SEED=123 node test/netns/fast-path-differential.test.ts
 */
import t from 'tap';
import { FastComparison } from '../lab/fast-comparison.ts';
import { type FastTenant, fastTenants } from '../lab/fast-policy.ts';
import { markerOf, talkOf, waysOf } from '../lab/fast-talks.ts';
import { FastTrial } from '../lab/fast-trial.ts';
import { Lab } from '../lab/lab.ts';
import { PROVIDER_NIC } from '../lab/node-process.ts';
import { stayOnThisCpu } from '../lab/one-cpu.ts';
import { RandomNumbers } from '../lab/random-nat.ts';
import { putReady } from '../lab/three-hosts.ts';
import { type FastMode, NICS, WiredGateway } from '../lab/wired-gateway.ts';

const SECONDS = Number(process.env.FAST_SECONDS ?? 0);
const SEED = Number(process.env.FAST_SEED ?? Math.floor(Math.random() * 0x7fffffff));
/** The first one is what the others must be like. */
const MODES: readonly FastMode[] = ['off', 'native', 'generic'];
const PREFIX_LENGTH = { 4: 24, 6: 64 } as const;

async function provision(gateway: WiredGateway, tenants: readonly FastTenant[]): Promise<void> {
  await gateway.start();
  for (const family of [4, 6] as const)
    await gateway.api.put(`/v1/provider-addresses/${NICS.provider.addresses[family]}`, {
      ...{ interface: PROVIDER_NIC, prefixLength: PREFIX_LENGTH[family] },
    });
  for (const { rdid, network, puts } of tenants) {
    for (const [path, body] of puts.slice(0, -1)) await gateway.api.put(path, body);
    for (const [path, body] of puts.slice(-1)) await putReady(gateway.api, path, body);
    await gateway.prepareContext(rdid, network === undefined ? [] : [network.router]);
  }
}

t.test('fast and slow path are alike', { timeout: (SECONDS + 90) * 1000 }, async (t) => {
  t.comment(`seed ${SEED}`);
  const lab = await Lab.create(`fast${process.pid}`);
  t.teardown(() => lab.close());
  const numbers = new RandomNumbers(SEED);
  const tenants = fastTenants(numbers);
  const wire = await lab.namespace('wire');
  await wire.runChecked(['sysctl', '-qw', 'net.ipv6.conf.default.disable_ipv6=1']);
  const gateways: WiredGateway[] = [];
  for (const mode of MODES) gateways.push(await WiredGateway.create(wire, mode));
  await Promise.all(gateways.map((gateway) => provision(gateway, tenants)));
  const comparison = new FastComparison(gateways, markerOf(tenants));
  const trial = new FastTrial({ comparison, tenants, numbers });
  stayOnThisCpu();

  const ways = waysOf(tenants);
  const end = performance.now() + SECONDS * 1000;
  let count = 0;
  // Each kind once, in random order; and once more while there is time.
  do {
    for (const way of numbers.some(ways, ways.length))
      if (trial.problems.length === 0) await trial.run(talkOf(way, count++, numbers));
  } while (trial.problems.length === 0 && performance.now() < end);
  t.same(trial.problems.slice(0, 3), [], `seed ${SEED}`);
  const { packets, native, generic, odd } = trial.counts;
  t.comment(
    `${count} conversations of ${ways.length} kinds, ${packets} packets, fast ${native} by XDP and ${generic} by TC, ${odd.size} kinds of odd ones`,
  );
});
