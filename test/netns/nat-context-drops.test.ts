/** What a routing context refuses is counted in its ruleset; read over netlink it is what nft shows. */
import { execFileSync, spawnSync } from 'node:child_process';
import t from 'tap';
import { ipBatch } from '../../src/linux/iproute2.ts';
import { contextDrops } from '../../src/nat/context-drops.ts';
import { createNat, natRules } from '../../src/nat/nat.ts';
import type { PortMappingPlan } from '../../src/policy/plan.ts';
import { natPlan } from '../lab/nat-plan.ts';

const netns = `nd${process.pid}`;
const inside = (program: string, ...args: string[]) =>
  spawnSync('nsenter', [`--net=/run/netns/${netns}`, program, ...args], { encoding: 'utf8' }).stdout;

t.before(() => execFileSync('ip', ['netns', 'add', netns]));
t.teardown(() => execFileSync('ip', ['netns', 'delete', netns]));

t.test('packets that a context lets go nowhere are counted', async (t) => {
  t.equal(contextDrops(netns), 0, 'a namespace without ruleset');
  const portMappings = Array.from(
    { length: 200 },
    (_, n): PortMappingPlan => ({
      protocol: 'tcp',
      externalAddress: '198.51.100.101',
      externalPort: 1000 + n,
      internalAddress: '10.1.1.12',
      internalPort: 80,
    }),
  );
  const plan = natPlan({ externalAddresses: [{ address: '198.51.100.101' }], portMappings });
  const mtu = { tenant: 1458, external: 1500 };
  createNat(netns, natRules('11111111-1111-1111-1111-111111111111', { nat: plan }, mtu));
  t.equal(contextDrops(netns), 0);
  await ipBatch(
    [
      ['link', 'add', 'hnv', 'type', 'veth', 'peer', 'name', 'tenant'],
      ['addr', 'add', '10.254.254.2/29', 'dev', 'hnv', 'nodad'],
      ['link', 'set', 'tenant', 'up'],
      ['link', 'set', 'hnv', 'up'],
      ['neigh', 'add', '10.254.254.1', 'lladdr', '02:00:00:00:00:01', 'dev', 'hnv', 'nud', 'permanent'],
    ],
    { netns },
  );
  // Nobody of the tenant has asked for these.
  inside('ping', '-q', '-c', '3', '-i', '0.05', '-W', '0.05', '10.254.254.1');
  const shown = () =>
    Number(/counter packets (\d+)/.exec(inside('nft', 'list', 'chain', 'inet', 'hnvgw', 'refused'))?.[1]);
  // The kernel itself sends to the new links too (MLD), so the number may grow between two looks.
  const before = shown();
  const read = contextDrops(netns);
  t.ok(before >= 3, `${before} packets`);
  t.ok(read >= before && read <= shown(), `${read} packets, and nft shows ${before} before that`);
  t.throws(() => contextDrops('no-such-context'), { code: 'HNV_NETNS' });
});
