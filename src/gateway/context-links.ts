/** The links of a routing context: how they are made, and what of them is there. */
import { RouteNetlink } from '../linux/rtnetlink.ts';
import type { NetLink } from '../linux/rtnetlink-messages.ts';
import { type ContextMtu, externalLink, forwardingLink, tenantLink } from '../nat/ruleset.ts';
import type { ForwardingPlan } from '../policy/plan.ts';
import type { InsideLinks } from './context-state.ts';
import type { ContextNames } from './names.ts';

/**
 * MTU of a link's root side, the largest there is: only the inside limits what is sent, so that a change of MTU is one of
 * the inside alone (a veth refuses what is larger than the MTU of the side that it arrives at).
 */
export const ROOT_MTU = 65535;

/** The ends of a context's links. */
export interface Ends {
  tenantPort: NetLink;
  externalPort: NetLink;
  tenant: NetLink;
  external: NetLink;
  /** Root side of `fwd`, as a link that belongs together. */
  segmentPort?: NetLink;
  /** There is something of `fwd`, whole or not. */
  hasSegment: boolean;
}

/**
 * The network that `fwd` is on, noted at its root side: one on another network is another link, for its neighbours are others.
 * No interface's name has a slash.
 */
export function networkName({ uplink, vlanId }: ForwardingPlan): string {
  return `${uplink}/${vlanId ?? 0}`;
}

/** The root side is up at once, the inside down: so the link stays closed until apply() opens it. */
export function vethCommand(
  { netns }: ContextNames,
  root: string,
  inside: string,
  size: number,
  mac: string,
): string[] {
  const queues = ['numtxqueues', '1', 'numrxqueues', '1'];
  return [
    ...['link', 'add', root, 'mtu', String(ROOT_MTU), 'up', ...queues, 'type', 'veth'],
    ...['peer', 'name', inside, 'mtu', String(size), 'address', mac, ...queues, 'netns', netns],
  ];
}

/** Makes `fwd`; what stands at its root side says that it is whole. */
export function segmentCommands(
  names: ContextNames,
  forwarding: ForwardingPlan,
  { forwarding: mtu }: ContextMtu,
): string[][] {
  if (mtu === undefined) throw new Error('a context with forwarding has an MTU for it');
  const { segmentPort } = names;
  return [
    vethCommand(names, segmentPort, forwardingLink, mtu, forwarding.mac),
    ['link', 'set', segmentPort, 'alias', networkName(forwarding)],
  ];
}

/** Root sides, as there are. */
export type Ports = Record<'tenantPort' | 'externalPort' | 'segmentPort', NetLink | undefined>;

export function readPorts({ tenantPort, externalPort, segmentPort }: ContextNames): Ports {
  return RouteNetlink.use((reading) => ({
    tenantPort: reading.link(tenantPort),
    externalPort: reading.link(externalPort),
    segmentPort: reading.link(segmentPort),
  }));
}

/** Undefined unless both ends of `hnv` and `ext` are there, and belong to one another. */
export function joinedEnds(
  { tenantPort, externalPort, segmentPort }: Ports,
  inside: InsideLinks,
): Ends | undefined {
  const [tenant, external, segment] = [tenantLink, externalLink, forwardingLink].map((name) =>
    inside.get(name),
  );
  const isPair = (a: NetLink | undefined, b: NetLink | undefined): boolean =>
    a !== undefined && b !== undefined && a.below === b.ifindex && b.below === a.ifindex;
  if (!isPair(tenantPort, tenant) || !isPair(externalPort, external)) return undefined;
  if (tenantPort === undefined || externalPort === undefined) return undefined;
  if (tenant === undefined || external === undefined) return undefined;
  return {
    ...{ tenantPort, externalPort, tenant, external },
    ...(segmentPort !== undefined && isPair(segmentPort, segment) ? { segmentPort } : {}),
    hasSegment: segmentPort !== undefined || segment !== undefined,
  };
}

/** The root side of a link. */
export function isOpen({ isUp, mtu }: NetLink): boolean {
  return isUp && mtu === ROOT_MTU;
}
