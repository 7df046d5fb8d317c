/**
 * Contexts and where they are joined to the encap core: the programs on the root sides of their links. Remembers how each was made
 * last, so that what only changes tables reads nothing.
 */
import type { ContextAttachment } from '../encap/entries.ts';
import { HnvError } from '../errors.ts';
import type { RulesetPlan } from '../nat/ruleset.ts';
import type { NodeParts } from '../node/node.ts';
import { innerMtu } from '../node/provider-carriers.ts';
import type { Trouble } from '../node/reconciler.ts';
import type { ContextPlan, DomainPlan, ForwardingPlan, NatPlan } from '../policy/plan.ts';
import type { ResourceKind } from '../policy/resources.ts';
import type { ContextDifferences, ContextRequest, Contexts } from './contexts.ts';

/** Of `fwd` while there is no interface to say it: then nothing passes, and by no other way either. */
const MTU_WITHOUT_UPLINK = 1500;

/** Whose the ruleset is: without a policy it lets nothing through, and is the gateway's. */
function kindOfRules(nat: NatPlan | undefined, forwarding: ForwardingPlan | undefined): ResourceKind {
  if (nat !== undefined) return 'nat';
  return forwarding === undefined ? 'gateway' : 'forwarding';
}

function uplinkMissing(name: string): HnvError {
  return new HnvError('HNV_NETNS', `Nothing is forwarded: there is no interface ${name} on this machine.`);
}

/** A context as it was last applied in this process, to skip reading it when only tables change. */
interface Applied {
  request: string;
  rules: RulesetPlan;
  attachment: ContextAttachment;
  /** Root side of `fwd`. */
  segment: number | undefined;
}

export class JoinedContexts {
  readonly #contexts: Contexts;
  readonly #parts: Pick<NodeParts, 'core' | 'links'>;
  readonly #applied = new Map<string, Applied>();

  constructor(contexts: Contexts, parts: Pick<NodeParts, 'core' | 'links'>) {
    this.#contexts = contexts;
    this.#parts = parts;
  }

  /** The context is as planned, but for what its troubles were. */
  has(rdid: string): boolean {
    return this.#applied.has(rdid);
  }

  /** What its ruleset was made of; undefined when that is not known. */
  rules(rdid: string): RulesetPlan | undefined {
    return this.#applied.get(rdid)?.rules;
  }

  /**
   * Brings the domain's context to the plan, unless it is so already, and its programs to its links. `join` gets its place before the
   * programs look into the tables. Answers no place when there is none; what failed beside that goes into `troubles`. Throws as
   * Contexts.apply().
   */
  async apply(
    { rdid, nat, forwarding, bgp }: DomainPlan,
    context: ContextPlan,
    troubles: Trouble[],
    join: (attachment: ContextAttachment, isNew: boolean) => void,
  ): Promise<ContextAttachment | undefined> {
    const { core, links } = this.#parts;
    const tunnel = links.providerPlace(context.providerAddress);
    const mtu = innerMtu(tunnel, context.providerAddress);
    const uplink = links.uplinks.first;
    if (uplink === undefined) throw new Error('a gateway has an uplink');
    const segmentUplink = forwarding && links.uplinks.place(forwarding.uplink);
    if (forwarding !== undefined && segmentUplink === undefined)
      troubles.push({ kind: 'forwarding', error: uplinkMissing(forwarding.uplink) });
    const forwardingMtu = forwarding && { forwarding: segmentUplink?.mtu ?? MTU_WITHOUT_UPLINK };
    const request: ContextRequest = {
      ...{ rdid, plan: context, nat, forwarding, bgp },
      mtu: { tenant: mtu, external: uplink.mtu, ...forwardingMtu },
    };
    const text = JSON.stringify({ request, tunnel, uplink, segmentUplink });
    const applied = this.#applied.get(rdid);
    if (applied?.request === text) return applied.attachment;
    this.#applied.delete(rdid);
    let attachment: ContextAttachment | undefined;
    let segment: number | undefined;
    const natFailure = await this.#contexts.apply(request, (joined, isNew) => {
      const { segmentIfindex, ...ends } = joined;
      attachment = { ...ends, tunnel, uplinkIfindex: uplink.ifindex, mtu };
      if (segmentIfindex !== undefined && segmentUplink !== undefined)
        attachment.segment = { ifindex: segmentIfindex, uplinkIfindex: segmentUplink.ifindex };
      segment = segmentIfindex;
      join(attachment, isNew);
      core.attach('port', joined.tenantIfindex);
      core.attach('context', joined.externalIfindex);
      if (segmentIfindex !== undefined) core.attach('segment', segmentIfindex);
    });
    if (natFailure !== undefined) troubles.push({ kind: kindOfRules(nat, forwarding), error: natFailure });
    else if (attachment !== undefined)
      this.#applied.set(rdid, { request: text, rules: request, attachment, segment });
    return attachment;
  }

  /** As Contexts.inspect(), programs included. */
  inspect(rdid: string): ContextDifferences {
    const applied = this.#applied.get(rdid);
    if (applied === undefined) return { context: [], forwarding: [], nat: [] };
    const { attachment, segment } = applied;
    const { context, forwarding, nat } = this.#contexts.inspect(rdid);
    const { core } = this.#parts;
    // Of links that have gone, nothing more is to be said.
    if (context.length === 0) {
      if (!core.isAttached('port', attachment.tenantIfindex)) context.push('the program of hnv was missing');
      if (!core.isAttached('context', attachment.externalIfindex))
        context.push('the program of ext was missing');
    }
    if (
      context.length + forwarding.length === 0 &&
      segment !== undefined &&
      !core.isAttached('segment', segment)
    )
      forwarding.push('the program of fwd was missing');
    return { context, forwarding, nat };
  }

  /** What the context is, is not known any more: apply() looks at everything. */
  forget(rdid: string): void {
    this.#applied.delete(rdid);
    this.#contexts.forget(rdid);
  }
}
