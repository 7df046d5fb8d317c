/** The sessions of routing contexts as NAT sees them: who is inside, what it is outside, and who is the other side. */
import type { NatSession, NatSessionFilter } from '../api/operations.ts';
import type { FlowAmounts } from '../encap/flow-amounts.ts';
import { HnvError } from '../errors.ts';
import { type SessionFilter, sessionsOf, type TupleFilter } from '../linux/conntrack.ts';
import { IPS, PROTOCOL, type Session } from '../linux/conntrack-messages.ts';
import { ownTurn } from '../own-turn.ts';
import { addressFamily, contains } from '../policy/address.ts';
import type { NatPlan } from '../policy/plan.ts';
import { hasIdentifier, isDestinationTranslated, isSourceTranslated } from './translation.ts';

/** IANA's numbers. */
const NUMBERS: Readonly<Record<string, number>> = { ...PROTOCOL, sctp: 132, gre: 47, esp: 50, ah: 51 };
const NAMES = new Map(Object.entries(NUMBERS).map(([name, number]) => [number, name]));
/** TCP, UDP, DCCP, SCTP, UDP-Lite. */
const WITH_PORTS: ReadonlySet<number> = new Set([PROTOCOL.tcp, PROTOCOL.udp, 33, 132, 136]);

/** The sides of a session, before ICMP's identifiers are told from ports. */
type Sides = Pick<
  NatSession,
  | 'direction'
  | 'internalAddress'
  | 'internalPort'
  | 'externalAddress'
  | 'externalPort'
  | 'remoteAddress'
  | 'remotePort'
  | 'remoteInternalAddress'
  | 'remoteInternalPort'
>;

function sidesOf(session: Session, plan: NatPlan | undefined): Sides | undefined {
  const { original, reply } = session;
  const outbound = {
    ...{
      direction: 'outbound' as const,
      internalAddress: original.source,
      internalPort: original.sourcePort,
    },
    ...{ externalAddress: reply.destination, externalPort: reply.destinationPort },
    ...{ remoteAddress: original.destination, remotePort: original.destinationPort },
  };
  const inbound = {
    ...{ direction: 'inbound' as const, internalAddress: reply.source, internalPort: reply.sourcePort },
    ...{ externalAddress: original.destination, externalPort: original.destinationPort },
    ...{ remoteAddress: original.source, remotePort: original.sourcePort },
  };
  const isFromInside = isSourceTranslated(session);
  const isToInside = isDestinationTranslated(session);
  if (isFromInside && isToInside)
    return {
      ...outbound,
      direction: 'hairpin',
      ...{ remoteInternalAddress: reply.source, remoteInternalPort: reply.sourcePort },
    };
  if (isFromInside) return outbound;
  if (isToInside) return inbound;
  return untranslated(outbound, inbound, plan);
}

/** What the context says itself under an external address, and what is of a routed prefix; all else is no NAT. */
function untranslated(outbound: Sides, inbound: Sides, plan: NatPlan | undefined): Sides | undefined {
  for (const sides of [outbound, inbound]) {
    const { internalAddress = '', internalPort, externalAddress, externalPort, ...remote } = sides;
    if (plan?.externalAddresses.some(({ address }) => address === internalAddress))
      return { ...remote, ...{ externalAddress: internalAddress }, ...portOf('externalPort', internalPort) };
    const prefix = plan?.prefixes.find(({ internal }) => contains(internal, internalAddress));
    if (prefix === undefined) continue;
    if (prefix.internal === prefix.external) return sides;
    return { ...remote, internalAddress, ...portOf('internalPort', internalPort) };
  }
  return undefined;
}

function portOf(name: 'internalPort' | 'externalPort', port: number | undefined): Partial<Sides> {
  return port === undefined ? {} : { [name]: port };
}

const isNatState = (state: string | undefined): state is NonNullable<NatSession['state']> =>
  state !== undefined && state !== 'none';

/** Undefined for what is none of NAT's. */
export function natSession(session: Session, plan: NatPlan | undefined): NatSession | undefined {
  const sides = sidesOf(session, plan);
  if (sides === undefined) return undefined;
  const { protocol, status, tcpState, started, timeout } = session;
  const { internalPort, externalPort, remotePort, remoteInternalPort, ...addresses } = sides;
  const { sent, received } =
    sides.direction === 'inbound' ? { sent: session.received, received: session.sent } : session;
  return {
    protocol: NAMES.get(protocol) ?? String(protocol),
    ...(WITH_PORTS.has(protocol) ? sides : addresses),
    ...(hasIdentifier(session) && internalPort !== undefined ? { icmpId: internalPort } : {}),
    ...(hasIdentifier(session) && externalPort !== undefined ? { externalIcmpId: externalPort } : {}),
    ...(isNatState(tcpState) ? { state: tcpState } : {}),
    ...(started === undefined ? {} : { started: new Date(started).toISOString() }),
    timeoutSeconds: timeout,
    assured: (status & IPS.assured) !== 0,
    ...(sent === undefined ? {} : { sent }),
    ...(received === undefined ? {} : { received }),
  };
}

/** Adds what connection tracking has not seen. */
function addFast(
  shown: NatSession,
  { protocol, original, reply, started }: Session,
  fast: FlowAmounts,
): void {
  if (started === undefined) return;
  const isInbound = shown.direction === 'inbound';
  const [sent, received] = isInbound ? [reply, original] : [original, reply];
  const isHairpin = shown.direction === 'hairpin';
  for (const [amount, tuple, isFromInside] of [
    [shown.sent, sent, true],
    [shown.received, received, isHairpin],
  ] as const) {
    if (amount === undefined) continue;
    const { packets, bytes } = fast.of(tuple, protocol, started, isFromInside);
    amount.packets += packets;
    amount.bytes += bytes;
  }
}

function passes(session: NatSession, filter: NatSessionFilter): boolean {
  const { internalPort, externalPort, ...same } = filter;
  for (const [field, value] of Object.entries(same))
    if (session[field as keyof typeof same] !== value) return false;
  return (
    (internalPort === undefined || (session.internalPort ?? session.icmpId) === internalPort) &&
    (externalPort === undefined || (session.externalPort ?? session.externalIcmpId) === externalPort)
  );
}

/** What the kernel can leave out: that takes to know the direction, and an address of IPv4. */
export function kernelFilter(filter: NatSessionFilter): SessionFilter {
  const { direction, internalAddress, externalAddress, remoteAddress } = filter;
  const addresses = [internalAddress, externalAddress, remoteAddress].filter((a) => a !== undefined);
  if (direction === undefined || addresses.length === 0) return {};
  if (addresses.some((address) => addressFamily(address) === 6)) return {};
  const number =
    filter.protocol === undefined ? undefined : (NUMBERS[filter.protocol] ?? Number(filter.protocol));
  const hasPorts = number !== undefined && WITH_PORTS.has(number);
  const tuple = (parts: TupleFilter): TupleFilter =>
    Object.fromEntries(
      Object.entries({ ...parts, protocol: number }).filter(
        ([name, value]) => value !== undefined && (hasPorts || !name.endsWith('Port')),
      ),
    );
  const [internal, external, remote] = [
    [internalAddress, filter.internalPort],
    [externalAddress, filter.externalPort],
    [remoteAddress, filter.remotePort],
  ] as const;
  const [original, reply] =
    direction === 'inbound'
      ? [
          {
            source: remote[0],
            sourcePort: remote[1],
            destination: external[0],
            destinationPort: external[1],
          },
          { source: internal[0], sourcePort: internal[1] },
        ]
      : [
          {
            source: internal[0],
            sourcePort: internal[1],
            destination: remote[0],
            destinationPort: remote[1],
          },
          { destination: external[0], destinationPort: external[1] },
        ];
  return { original: tuple(original as TupleFilter), reply: tuple(reply as TupleFilter) };
}

/** The lists that are being read. One that is open keeps its namespace from going, however slow its reader is. */
export class SessionLists {
  readonly #open = new Map<string, Set<AsyncGenerator<Session[]>>>();
  readonly #closed = new Set<string>();

  /** Sessions of the namespace that pass, some at a time, with what of them was fast. Fails with HNV_NOT_FOUND when the namespace is to go. */
  async *of(
    netns: string,
    plan: NatPlan | undefined,
    filter: NatSessionFilter,
    fast?: FlowAmounts,
  ): AsyncGenerator<NatSession[]> {
    if (this.#closed.has(netns)) throw gone();
    const dump = sessionsOf(netns, kernelFilter(filter));
    const open = this.#open.get(netns) ?? new Set();
    this.#open.set(netns, open.add(dump));
    try {
      for await (const sessions of dump) {
        await ownTurn();
        const found = sessions.flatMap((session) => {
          const shown = natSession(session, plan);
          if (shown === undefined || !passes(shown, filter)) return [];
          if (fast !== undefined) addFast(shown, session, fast);
          return shown;
        });
        if (found.length > 0) yield found;
      }
      if (!open.has(dump)) throw gone();
    } finally {
      open.delete(dump);
      if (open.size === 0) this.#open.delete(netns);
    }
  }

  /** Ends the lists of a namespace, and begins none while `work` is done. */
  async without(netns: string, work: () => Promise<void>): Promise<void> {
    this.#closed.add(netns);
    try {
      const open = this.#open.get(netns) ?? new Set();
      const dumps = [...open];
      open.clear();
      await Promise.all(dumps.map((dump) => dump.return(undefined)));
      await work();
    } finally {
      this.#closed.delete(netns);
    }
  }
}

function gone(): HnvError {
  return new HnvError('HNV_NOT_FOUND', 'The routing context is gone.');
}
