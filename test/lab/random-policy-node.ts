/**
 * A node under random operations: sends them, knows what they must come to, and compares what REST says and what the
 * kernel has with that. Problems are answered as lines; none when all is as it must be.
 */

import { setTimeout as delay } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import { type Expected, ExpectedKernel, kernelDifferences } from './kernel-expected.ts';
import { type KernelView, readKernel } from './kernel-view.ts';
import type { Namespace } from './namespace.ts';
import type { NodeProcess } from './node-process.ts';
import { PROVIDER_NICS } from './random-policy.ts';
import { RandomPolicyApi } from './random-policy-api.ts';
import {
  desiredState,
  isDocument,
  keyOfPath,
  policyDifferences,
  type Resource,
} from './random-policy-model.ts';
import { type Operation, plug, type Request } from './random-policy-operations.ts';
import { until } from './until.ts';

/** How long the kernel may take; the node's own retries after the machine's interfaces have changed are the longest. */
const PATIENCE_MS = { afterRequest: 10_000, afterMachine: 20_000 };
const AGAIN_MS = 50;

export interface RandomNodeParts {
  readonly role: 'gateway' | 'host';
  readonly node: NodeProcess;
  readonly uplink: string;
  /** Namespace of the other sides of VMs' interfaces. */
  readonly peers: Namespace;
  /** Lists what nft makes of a script. */
  readonly ruleset: (script: string) => Promise<string[]>;
}

export class RandomPolicyNode {
  readonly #parts: RandomNodeParts;
  readonly #policy: RandomPolicyApi;
  #handles = new Map<string, number>();
  readonly #counts = { kills: 0, interfaces: 0 };

  constructor(parts: RandomNodeParts) {
    this.#parts = parts;
    this.#policy = new RandomPolicyApi(parts.node.api);
  }

  /** What was done, for the summary. */
  get counts(): Record<string, number> {
    return { ...this.#policy.counts, ...this.#counts };
  }

  /** Does it, waits until the kernel has it, and answers what is not as it must be. */
  async run(operation: Operation): Promise<string[]> {
    const { node } = this.#parts;
    switch (operation.does) {
      case 'request':
        return [
          ...(await this.#policy.request(operation.request)),
          ...(await this.#settled(PATIENCE_MS.afterRequest)).problems,
        ];
      case 'plug':
        await this.#plug(operation.interface);
        return (await this.#settled(PATIENCE_MS.afterMachine)).problems;
      case 'mtu':
        this.#counts.interfaces++;
        await node.namespace.ip('link', 'set', operation.interface, 'mtu', `${operation.mtu}`);
        return (await this.#settled(PATIENCE_MS.afterMachine)).problems;
      case 'kill':
        this.#counts.kills++;
        return operation.under === undefined
          ? this.#kill()
          : this.#killUnder(operation.under.request, operation.under.ms);
    }
  }

  async #plug(name: string): Promise<void> {
    const { node, peers, role } = this.#parts;
    // A gateway has no VMs.
    const [, changing] = PROVIDER_NICS;
    const there = role === 'gateway' ? changing : name;
    const isThere = (await node.namespace.run(['ip', 'link', 'show', 'dev', there])).code === 0;
    this.#counts.interfaces++;
    if (isThere) await node.namespace.ip('link', 'del', there);
    else await plug(node.namespace, there, peers);
  }

  /** Waits until the kernel is as the policy says; problems when it is not in time. */
  async #settled(patienceMs: number): Promise<{ problems: string[]; view: KernelView }> {
    const end = performance.now() + patienceMs;
    for (;;) {
      await this.#applied();
      const view = await readKernel(this.#parts.node);
      const problems = await this.#compare(view);
      if (problems.length === 0 || performance.now() > end) return { problems, view };
      await delay(AGAIN_MS);
    }
  }

  async #compare(view: KernelView): Promise<string[]> {
    const { role, node, uplink, ruleset } = this.#parts;
    const { handles, problems } = this.#readHandles(view);
    const facts = { role, instance: node.instance, uplink, view, ruleset };
    const expected = await ExpectedKernel.compile(facts, desiredState(this.#policy.resources, handles));
    problems.push(...kernelDifferences(view, expected, node.instance));
    if (problems.length > 0) return problems;
    this.#handles = handles;
    return this.#compareStatus(expected);
  }

  /** The number of a domain is in no answer of REST: what `subnets` has of its VSIDs tells it, and it must stay. */
  #readHandles(view: KernelView): { handles: Map<string, number>; problems: string[] } {
    const handles = new Map<string, number>();
    const problems: string[] = [];
    const subnets = new Map(
      (view.sections['map subnets'] ?? []).map((line) => {
        const bytes = Buffer.from(line.replace(' ', ''), 'hex');
        return [bytes.readUInt32LE(0), bytes.readUInt32LE(4)];
      }),
    );
    for (const { key } of this.#policy.resources.values()) {
      const handle = key.kind === 'virtualSubnet' ? subnets.get(Number(key.id)) : undefined;
      const { rdid = '' } = key;
      if (handle === undefined) continue;
      const before = handles.get(rdid) ?? this.#handles.get(rdid);
      if (before !== undefined && before !== handle)
        problems.push(`${rdid} has the number ${handle} after ${before}`);
      handles.set(rdid, handle);
    }
    if (new Set(handles.values()).size !== handles.size) problems.push('two routing domains have one number');
    return { handles, problems };
  }

  async #compareStatus(expected: Expected): Promise<string[]> {
    const problems: string[] = [];
    const { statuses } = await this.#policy.report();
    const want = ({ kind, rdid = '', id = '' }: Resource['key']): string | undefined => {
      switch (kind) {
        case 'providerAddress':
          return expected.providerAddresses.get(id);
        case 'providerRoute':
          return expected.providerRoutes.get(id);
        case 'port':
          return expected.ports.get(id);
        case 'gateway':
        case 'nat':
          return expected.contexts.get(rdid);
        default:
          return 'ready';
      }
    };
    for (const [path, { state, reason }] of statuses) {
      const must = want(keyOfPath(path));
      if (state !== must) problems.push(`${path} has status ${state} (${reason}), and must be ${must}`);
      if (state === 'failed' && reason === undefined) problems.push(`${path} does not say why it failed`);
    }
    return problems;
  }

  async #applied(): Promise<void> {
    const { api } = this.#parts.node;
    await until('the kernel has caught up', 30_000, async () => {
      const { revision, appliedRevision } = (await api.get('/v1/status')) as {
        revision: number;
        appliedRevision: number;
      };
      return appliedRevision >= revision;
    });
  }

  /** Nothing changes, and nothing is made anew. */
  async #kill(): Promise<string[]> {
    const { node } = this.#parts;
    const before = await this.#settled(PATIENCE_MS.afterMachine);
    await node.restart('SIGKILL');
    const problems = [...before.problems, ...(await this.#policy.take(this.#policy.resources))];
    const after = await this.#settled(PATIENCE_MS.afterMachine);
    problems.push(...after.problems);
    for (const [what, identity] of Object.entries(before.view.identities))
      if (!isDeepStrictEqual(after.view.identities[what], identity))
        problems.push(
          `the restart has made anew ${what}: ${JSON.stringify(identity)} is ${JSON.stringify(after.view.identities[what])}`,
        );
    return problems;
  }

  /** What was answered is there; what was not, wholly or not at all. */
  async #killUnder(request: Request, ms: number): Promise<string[]> {
    const { node } = this.#parts;
    const outcome = this.#policy.outcome(request);
    const answer = this.#policy.send(request).catch(() => undefined);
    await delay(ms);
    await node.kill('SIGKILL');
    const response = await answer;
    await node.start();
    const isDry = isDocument(request) && request.dryRun;
    const after = 'resources' in outcome && !isDry ? outcome.resources : this.#policy.resources;
    const { resources } = await this.#policy.report();
    const isAfter = policyDifferences(resources, after).length === 0;
    const problems: string[] = [];
    if (response !== undefined && response.status < 300 && !isAfter)
      problems.push('what was acknowledged is not there');
    problems.push(...(await this.#policy.take(isAfter ? after : this.#policy.resources, request.path)));
    problems.push(...(await this.#settled(PATIENCE_MS.afterMachine)).problems);
    return problems;
  }
}
