/** Ends the sessions of a routing context that its present rules and routes would not make. */
import { endSessions, sessionsOf } from '../linux/conntrack.ts';
import type { Session } from '../linux/conntrack-messages.ts';
import { inNetns } from '../linux/netns.ts';
import { RouteNetlink } from '../linux/rtnetlink.ts';
import { ownTurn } from '../own-turn.ts';
import { Coverage } from './covered.ts';
import { forwardingLink, type RulesetPlan, tenantLink } from './ruleset.ts';

/**
 * Ends each session of the namespace that the plan would not make as it is; answers how many there were. To be called when
 * rules and routes already are the plan's, or what is ended could begin again as it was; and when routes have changed by which
 * remotes come to be behind `fwd`, or not any more. Throws HNV_NETNS.
 */
export async function endUncoveredSessions(netns: string, plan: RulesetPlan): Promise<number> {
  const { own, network } = readContext(netns);
  const coverage = new Coverage(plan, own);
  const known = new Map<string, boolean>();
  const areUncovered = (sessions: readonly Session[], reading: RouteNetlink): Session[] =>
    sessions.filter(
      (session) =>
        !coverage.covers(session, (address) => {
          if (network === undefined) return false;
          const isByNetwork = known.get(address) ?? reading.linkTo(address) === network;
          known.set(address, isByNetwork);
          return isByNetwork;
        }),
    );
  let ended = 0;
  for await (const sessions of sessionsOf(netns)) {
    await ownTurn();
    const uncovered = inNetns(netns, () => RouteNetlink.use((reading) => areUncovered(sessions, reading)));
    endSessions(
      netns,
      uncovered.map((session) => session.key()),
    );
    ended += uncovered.length;
  }
  return ended;
}

/** The context's own addresses that are not NAT's, and the index of `fwd`, where there is one. */
function readContext(netns: string): { own: Set<string>; network: number | undefined } {
  return inNetns(netns, () =>
    RouteNetlink.use((reading) => {
      const [tenant, network] = [tenantLink, forwardingLink].map((name) => reading.link(name)?.ifindex);
      const links = [tenant, network].filter((ifindex) => ifindex !== undefined);
      const addresses = links.flatMap((ifindex) => reading.addresses(ifindex));
      return { own: new Set(addresses.map(({ address }) => address)), network };
    }),
  );
}
