/** The records of the NAT log as lines of JSON. docs/nat-log.md is their reference. */
import { IPS, PROTOCOL, type Session, type Tuple } from '../../linux/conntrack-messages.ts';

/** What a domain has of an external address: a block of its ports, all of it, or a prefix. */
export interface Block {
  rdid: string;
  address?: string;
  prefix?: string;
  portStart?: number;
  portEnd?: number;
}

export type BlockEvent = 'block-assigned' | 'block-released' | 'block-present';

const protocolNames = new Map([
  ...Object.entries(PROTOCOL).map(([name, number]) => [number, name] as const),
  [47, 'gre'],
  [50, 'esp'],
  [132, 'sctp'],
]);
const ICMP: ReadonlySet<number> = new Set([PROTOCOL.icmp, PROTOCOL.icmpv6]);
const PORTLESS: ReadonlySet<number> = new Set([47, 50, 51]);

/** RFC 3339 with microseconds, of milliseconds since 1970. */
export function timeText(time: number): string {
  const whole = Math.floor(time);
  const micros = Math.floor((time - whole) * 1000);
  return `${new Date(whole).toISOString().slice(0, -1)}${String(micros).padStart(3, '0')}Z`;
}

/** A line that says that something was so at that time. */
export function record(time: number, event: string, fields: object = {}): string {
  return `${JSON.stringify({ time: timeText(time), event, ...fields })}\n`;
}

/** A session of which nothing is translated is none for the log. */
export function isTranslated({ status }: Session): boolean {
  return (status & (IPS.sourceNat | IPS.destinationNat)) !== 0;
}

/** The three ends of a translated session: of one between two tenants (hairpinning), that of who began it. */
function ends(session: Session): Record<'internal' | 'external' | 'remote', [string, number]> {
  const { original, reply } = session;
  const source = ({ source, sourcePort }: Tuple): [string, number] => [source, sourcePort];
  const destination = ({ destination, destinationPort }: Tuple): [string, number] => [
    destination,
    destinationPort,
  ];
  return isOutbound(session)
    ? { internal: source(original), external: destination(reply), remote: destination(original) }
    : { internal: source(reply), external: destination(original), remote: source(original) };
}

const isOutbound = ({ status }: Session): boolean => (status & IPS.sourceNat) !== 0;

/** Numbers and addresses need no escapes: this is written for each session of the gateway. */
function sessionText(time: number, event: string, rdid: string, session: Session): string {
  const { internal, external, remote } = ends(session);
  const { protocol } = session;
  const name = protocolNames.get(protocol);
  const hasPorts = !PORTLESS.has(protocol);
  const end = (word: string, [address, port]: [string, number], withPort = hasPorts): string =>
    `,"${word}Address":"${address}"${withPort ? `,"${word}Port":${port}` : ''}`;
  return (
    `{"time":"${timeText(time)}","event":"${event}","rdid":"${rdid}",` +
    `"direction":"${isOutbound(session) ? 'outbound' : 'inbound'}","protocol":${name === undefined ? protocol : `"${name}"`}` +
    `${end('internal', internal)}${end('external', external)}${end('remote', remote, hasPorts && !ICMP.has(protocol))}`
  );
}

export function sessionStart(time: number, rdid: string, session: Session): string {
  return `${sessionText(time, 'session-start', rdid, session)}}\n`;
}

export function sessionEnd(time: number, rdid: string, session: Session): string {
  const { sent, received, started } = session;
  const [out, back] = isOutbound(session) ? [sent, received] : [received, sent];
  const start = started === undefined ? '' : `,"start":"${timeText(started)}"`;
  const counts =
    out === undefined || back === undefined
      ? ''
      : `,"packetsOut":${out.packets},"bytesOut":${out.bytes},"packetsIn":${back.packets},"bytesIn":${back.bytes}`;
  return `${sessionText(time, 'session-end', rdid, session)}${start}${counts}}\n`;
}
