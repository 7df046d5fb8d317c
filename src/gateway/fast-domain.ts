/** How long the fast path may keep to what it has noted, by the timeouts of a routing domain's NAT. */
import type { FastDomain } from '../encap/fast-path.ts';
import type { NatPlan } from '../policy/plan.ts';

/** The kernel's own, in seconds, where there is no NAT to say it; UDP's is that of a session that was answered. */
const DEFAULTS = { icmp: 30, tcpEstablished: 432_000, udp: 120 } as const;
/** A packet of each flow goes the slow way this often, so that neighbours are confirmed. */
const REVISIT_SECONDS = 60;
/** And so often in the life of a binding, at least. */
const VISITS = 4;
/** Connection tracking hears of a fast flow once a second: what it forgets as soon as that must go the slow way. */
const LEAST_TIMEOUT = 2;
/** It hears of a fast echo when one goes the slow way, each second or a third later: with this, in a third of the time at most. */
const LEAST_ECHO_TIMEOUT = 4;

/** Of a context whose namespace the node's own knows by that number. Undefined when its flows cannot be fast. */
export function fastDomain(netnsId: number, nat: NatPlan | undefined): FastDomain | undefined {
  const { icmp, tcpEstablished, udp } = nat?.timeouts ?? DEFAULTS;
  const bindings = bindingSeconds(nat);
  if (Math.min(tcpEstablished, udp, ...bindings) < LEAST_TIMEOUT) return undefined;
  const visits = bindings.map((seconds) => Math.max(1, Math.floor(seconds / VISITS)));
  return {
    netnsId,
    tcpSeconds: tcpEstablished,
    udpSeconds: udp,
    revisitSeconds: Math.min(REVISIT_SECONDS, ...visits),
    hasEcho: icmp >= LEAST_ECHO_TIMEOUT,
  };
}

/** Bindings (nat/bindings.ts) are kept by the packets that go the slow way, for these times. */
function bindingSeconds(nat: NatPlan | undefined): number[] {
  if (nat === undefined) return [];
  const { filtering, timeouts } = nat;
  const hasBindings = Object.values(filtering).some((kind) => kind !== 'addressAndPortDependent');
  return hasBindings ? [timeouts.udp, timeouts.tcpTransient, timeouts.tcpEstablished] : [];
}
