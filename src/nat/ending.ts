/** Ends the sessions of a routing context that its present NAT plan would not make. */
import { endSessions, sessionsOf } from '../linux/conntrack.ts';
import { inNetns } from '../linux/netns.ts';
import { RouteNetlink } from '../linux/rtnetlink.ts';
import { ownTurn } from '../own-turn.ts';
import type { NatPlan } from '../policy/plan.ts';
import { Coverage } from './covered.ts';
import { tenantLink } from './ruleset.ts';

/**
 * Ends each session of the namespace whose translation the plan would not make; answers how many there were. To be called
 * when the rules already are the plan's, or what is ended could begin again as it was. Throws HNV_NETNS.
 */
export async function endUncoveredSessions(netns: string, plan: NatPlan | undefined): Promise<number> {
  const coverage = new Coverage(plan, ownAddresses(netns));
  let ended = 0;
  for await (const sessions of sessionsOf(netns)) {
    await ownTurn();
    const uncovered = sessions.filter((session) => !coverage.covers(session));
    endSessions(
      netns,
      uncovered.map((session) => session.key()),
    );
    ended += uncovered.length;
  }
  return ended;
}

/** Of the context's link to the tenant. */
function ownAddresses(netns: string): Set<string> {
  return inNetns(netns, () =>
    RouteNetlink.use((reading) => {
      const link = reading.link(tenantLink);
      const addresses = link === undefined ? [] : reading.addresses(link.ifindex);
      return new Set(addresses.map(({ address }) => address));
    }),
  );
}
