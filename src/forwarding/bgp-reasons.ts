/**
 * Why a BGP session is not there, in words: what bgpd notes of a peer's last end or failed try. It notes it until the next one, also
 * when the plan has changed meanwhile: so no words of the plan are in them that may be newer.
 */
import type { BgpPeerPlan } from '../policy/plan.ts';

/** Of `show bgp neighbors json`. */
export interface LastReset {
  lastResetDueTo?: string;
  /** Code and subcode of the last NOTIFICATION (RFC 4271 section 4.5), two hexadecimal digits each, and their names. */
  lastErrorCodeSubcode?: string;
  lastNotificationReason?: string;
}

export interface Reason {
  text: string;
  /** To be told also where there was no session: someone has refused. Else the peer may only not be there yet. */
  isFailure: boolean;
}

/** Nothing is known of why. */
export const SILENT: Reason = { text: 'The peer does not answer.', isFailure: false };
export const TOO_MANY: Reason = {
  text: 'The peer has told more prefixes than it may. It is tried again after a minute.',
  isFailure: true,
};

const HOLD_TIMER = '0400';
const BAD_PEER_AS = '0202';
const TOO_MANY_PREFIXES = '0601';
const BFD_DOWN = '060A';
/** Something of the session was changed here, and it begins anew. */
const CHANGED = ['0606', '0603'];

/** `isUnsigned`: TCP has thrown segments away that had not the right key (RFC 2385). */
export function reasonOf(
  last: LastReset,
  peer: Pick<BgpPeerPlan, 'password'>,
  own: { asn: number },
  isUnsigned: boolean,
): Reason {
  const { lastErrorCodeSubcode: code = '', lastNotificationReason: name = '', lastResetDueTo: what } = last;
  const failure = (text: string): Reason => ({ text, isFailure: true });
  const ending = (text: string): Reason => ({ text, isFailure: false });
  const isSent = what === 'BGP Notification send';
  if (isSent && code === BAD_PEER_AS) return failure('The peer is of another AS than the policy has for it.');
  if (isSent && code === TOO_MANY_PREFIXES) return TOO_MANY;
  if (isUnsigned)
    return failure(
      peer.password === undefined
        ? 'The peer does not answer; segments with a TCP-MD5 key have come, and no password is set.'
        : 'The peer does not answer; segments without the TCP-MD5 key of the password have come.',
    );
  if (what?.startsWith('BFD down') || code === BFD_DOWN) return ending('BFD has found the peer gone.');
  switch (what) {
    case 'BGP Notification send':
      if (code === HOLD_TIMER) return failure('Nothing has come from the peer within the hold time.');
      if (!CHANGED.includes(code)) return failure(`The session was ended here: ${name}.`);
      break;
    case 'BGP Notification received':
      return failure(
        code === BAD_PEER_AS
          ? `The peer expects another AS than ${own.asn}.`
          : `The peer has ended the session: ${name}.`,
      );
    case 'Peer closed the session':
    case 'NSF peer closed the session':
      return ending('The peer has closed the connection.');
    case 'Interface down':
      return ending('The link to the peer is down.');
    case 'Neighbor address lost':
      return ending('The own address of the session is gone.');
    case 'No path to specified Neighbor':
    case 'Waiting for NHT':
      return ending('There is no route to the peer.');
  }
  return SILENT;
}
