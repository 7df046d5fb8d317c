/**
 * Sources of IPv6 that may come by `fwd`: those that an answer would go back to by `fwd`, of every packet, as rp_filter does it
 * for IPv4. A table of its own, so that domains without forwarding do not pay for the hook.
 */
import { forwardingLink, type RulesetPlan } from './ruleset.ts';

export const reversePathTable = 'hnvgw_forwarding';

/** Neighbours ask from link-local addresses, or from none at all (RFC 4861 section 4.3); the kernel forwards neither. */
export function reversePathText({ forwarding }: RulesetPlan): string | undefined {
  if (forwarding === undefined) return undefined;
  return `table inet ${reversePathTable} {
  chain from_network {
    ip6 saddr { ::, fe80::/10 } accept
    fib saddr . iif oif missing counter drop
  }
  chain arriving {
    type filter hook prerouting priority raw; policy accept;
    iifname "${forwardingLink}" meta nfproto ipv6 goto from_network
  }
}
`;
}
