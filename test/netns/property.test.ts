/**
 * Whatever is asked of a node, in whatever order: what the kernel has is what the compiler makes of the policy, and what
 * REST says is what was accepted; a kill at any point changes nothing of that. Random sequences of operations on all
 * resources, valid and not, against a gateway and a host.
 *
 * The sequence follows from a seed, which is printed; it is a new one each time. Longer, or once more:
 *   TAP_TIMEOUT=900 PROPERTY_SECONDS=600 node test/netns/property.test.ts
 *   TAP_TIMEOUT=900 PROPERTY_SEED=123 node test/netns/property.test.ts
 */
import t from 'tap';
import { Fabric } from '../lab/fabric.ts';
import { GatewayNode, UPLINK_NIC } from '../lab/gateway-node.ts';
import { HostNode } from '../lab/host-node.ts';
import { readRuleset } from '../lab/kernel-view.ts';
import { Lab } from '../lab/lab.ts';
import type { Namespace } from '../lab/namespace.ts';
import type { NodeProcess } from '../lab/node-process.ts';
import { NIC_ADDRESSES, PROVIDER_NICS } from '../lab/random-policy.ts';
import { RandomPolicyNode } from '../lab/random-policy-node.ts';
import { plug, type Step, stepsOf } from '../lab/random-policy-operations.ts';

const SECONDS = Number(process.env.PROPERTY_SECONDS ?? 20);
const SEED = Number(process.env.PROPERTY_SEED ?? Math.floor(Math.random() * 0x7fffffff));
/** More than any run has time for. */
const STEPS = 40 * Math.max(SECONDS, 40);

/** Namespaces in which nft shows what it makes of scripts; each script once. */
async function rulesets(lab: Lab): Promise<(script: string) => Promise<string[]>> {
  const oracle = await lab.namespace('oracle');
  const known = new Map<string, string[]>();
  return async (script) => {
    let lines = known.get(script);
    if (lines === undefined) {
      await oracle.runChecked(['nft', '-f', '-'], { input: `flush ruleset\n${script}` });
      ({ lines } = await readRuleset(lab, oracle.name));
      known.set(script, lines);
    }
    return lines;
  };
}

/** A namespace for the other sides of a node's interfaces; nobody says anything there. */
async function peersOf(lab: Lab, short: string): Promise<Namespace> {
  const peers = await lab.namespace(`${short}peers`);
  await peers.runChecked(['sysctl', '-qw', 'net.ipv6.conf.default.disable_ipv6=1']);
  return peers;
}

async function nodes(lab: Lab): Promise<Record<Step['node'], RandomPolicyNode>> {
  const fabric = await Fabric.create(lab);
  const gateway = await GatewayNode.create(fabric, 'gw', ...NIC_ADDRESSES.pa0);
  const host = await HostNode.create(fabric, 'host', NIC_ADDRESSES.pa0);
  const peers = { gateway: await peersOf(lab, 'gw'), host: await peersOf(lab, 'host') };
  await gateway.namespace.ipBatch([
    `link add ${UPLINK_NIC} up type veth peer name ${UPLINK_NIC} netns ${peers.gateway.name}`,
    `addr add 198.51.100.2/24 dev ${UPLINK_NIC}`,
  ]);
  const ruleset = await rulesets(lab);
  const [, changing] = PROVIDER_NICS;
  const made = async (role: Step['node'], node: NodeProcess): Promise<RandomPolicyNode> => {
    await plug(node.namespace, changing, peers[role]);
    await node.start();
    return new RandomPolicyNode({ role, node, uplink: UPLINK_NIC, peers: peers[role], ruleset });
  };
  return { gateway: await made('gateway', gateway), host: await made('host', host) };
}

t.test(
  'the kernel is what the compiler makes of the policy, whatever happens',
  { timeout: (SECONDS + 120) * 1000 },
  async (t) => {
    t.comment(`seed ${SEED}`);
    const lab = await Lab.create(`prop${process.pid}`);
    t.teardown(() => lab.close());
    const tested = await nodes(lab);
    const end = performance.now() + SECONDS * 1000;
    const done: string[] = [];
    for (const step of stepsOf(SEED, STEPS)) {
      if (performance.now() > end) break;
      done.push(`${step.node} ${JSON.stringify(step.operation)}`);
      const problems = await tested[step.node].run(step.operation).catch((error: unknown) => [String(error)]);
      if (problems.length === 0) continue;
      t.comment(
        `seed ${SEED}, step ${done.length}:\n${done.filter((line) => line.startsWith(step.node)).join('\n')}`,
      );
      t.fail(`after step ${done.length}, on the ${step.node}:\n${problems.slice(0, 20).join('\n')}`);
      return;
    }
    t.comment(
      `${done.length} operations: ${JSON.stringify({ gateway: tested.gateway.counts, host: tested.host.counts })}`,
    );
    t.ok(done.length > SECONDS / 4, 'enough was done to mean something');
  },
);
