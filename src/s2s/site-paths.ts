/**
 * Which of a domain's site connections carries which prefix just now: of those that are up the one with the lowest metric, and
 * by name when they are alike. Pure.
 */
import { addressOrder, overlaps } from '../policy/address.ts';
import { sorted } from '../policy/order.ts';
import type { SiteConnectionPlan } from '../policy/plan.ts';
import type { SiteSubnet } from '../policy/resources.ts';
import { reqidOf } from './reqid.ts';
import type { SitePath } from './site-links.ts';

/** What a connection has up: its ESP SAs, taken together. */
export interface Carried {
  /** Prefixes that they may carry; the peer may have taken fewer than it was offered. */
  prefixes: readonly string[];
  /** Number of the youngest of them; they are given in ascending order. */
  youngest: number;
}

/** By name of the connection; one that is down is absent. */
export type CarriedByName = ReadonlyMap<string, Carried>;

interface Candidate {
  plan: SiteConnectionPlan;
  subnet: SiteSubnet;
}

const preference = ({ plan, subnet }: Candidate): string =>
  `${String(subnet.metric).padStart(5, '0')} ${plan.name}`;

function byPrefix(plans: readonly SiteConnectionPlan[]): Map<string, Candidate[]> {
  const all = plans.flatMap((plan) => plan.subnets.map((subnet) => ({ plan, subnet })));
  return Map.groupBy(sorted(all, preference), ({ subnet }) => subnet.prefix);
}

const isUp =
  (up: CarriedByName) =>
  ({ plan, subnet }: Candidate): boolean =>
    up.get(plan.name)?.prefixes.some((prefix) => overlaps(prefix, subnet.prefix)) ?? false;

/** One for each prefix that somebody carries, or that packets are waited for of; ascending. */
export function sitePaths(plans: readonly SiteConnectionPlan[], up: CarriedByName): SitePath[] {
  const paths: SitePath[] = [];
  for (const candidates of byPrefix(plans).values()) {
    const carrier = candidates.find(isUp(up));
    const chosen = carrier ?? candidates.find(({ plan }) => plan.initiate === 'onTraffic');
    if (chosen === undefined) continue;
    const { name, txBandwidthKbps, rxBandwidthKbps } = chosen.plan;
    paths.push({
      ...chosen.subnet,
      connection: name,
      ...(txBandwidthKbps === undefined ? {} : { txBandwidthKbps }),
      ...(rxBandwidthKbps === undefined ? {} : { rxBandwidthKbps }),
      isWaiting: carrier === undefined,
    });
  }
  return sorted(paths, ({ prefix }) => addressOrder(prefix));
}

/** A connection whose SAs must be made anew. */
export interface Outrun {
  name: string;
  /** By rekeying: those that have outrun it are between the same prefixes. */
  byRekeying: boolean;
}

/**
 * Connections whose SAs must be made anew to carry what is theirs: of equal selectors strongSwan uses the youngest, whatever
 * the metric.
 */
export function outrun(plans: readonly SiteConnectionPlan[], up: CarriedByName): Outrun[] {
  const found = new Map<string, Outrun>();
  for (const candidates of byPrefix(plans).values()) {
    const [first, ...others] = candidates.filter(isUp(up)).map(({ plan }) => plan);
    if (first === undefined) continue;
    const age = ({ name }: SiteConnectionPlan): number => up.get(name)?.youngest ?? 0;
    const younger = others.filter((other) => age(other) > age(first));
    if (younger.length === 0) continue;
    const { name } = first;
    const isAlike = younger.every((other) => reqidOf(other) === reqidOf(first));
    found.set(name, { name, byRekeying: isAlike && (found.get(name)?.byRekeying ?? true) });
  }
  return [...found.values()];
}

/** Of connections that begin on traffic, those that wait for packets of this number, the preferred first. */
export function waitingFor(reqid: number, plans: readonly SiteConnectionPlan[]): SiteConnectionPlan[] {
  const waiting = plans.filter((plan) => plan.initiate === 'onTraffic' && reqidOf(plan) === reqid);
  const best = (plan: SiteConnectionPlan): string =>
    sorted(
      plan.subnets.map((subnet) => preference({ plan, subnet })),
      (text) => text,
    )[0] ?? '';
  return sorted(waiting, best);
}
