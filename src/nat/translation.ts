/** Which sides of a tracked session are translated. */
import { PROTOCOL, type Session } from '../linux/conntrack-messages.ts';

const WITH_IDENTIFIER: ReadonlySet<number> = new Set([PROTOCOL.icmp, PROTOCOL.icmpv6]);

/** Of ICMP there is one identifier for both sides, and it belongs to the side that asks. */
export function hasIdentifier({ protocol }: Pick<Session, 'protocol'>): boolean {
  return WITH_IDENTIFIER.has(protocol);
}

/** Whether whoever began the session is somebody else to the other side. A port alone is changed to tell two sessions apart. */
export function isSourceTranslated({ original, reply }: Session): boolean {
  return original.source !== reply.destination;
}

/** Whether the session was begun with somebody else than it is with. */
export function isDestinationTranslated(session: Session): boolean {
  const { original, reply } = session;
  if (original.destination !== reply.source) return true;
  return original.destinationPort !== reply.sourcePort && !hasIdentifier(session);
}
