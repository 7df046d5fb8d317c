/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* In place of the fast path where the kernel cannot ask connection tracking (-DHNV_SLOW): nothing is learned.
 */
#ifndef HNV_ESTABLISHED_NONE_H
#define HNV_ESTABLISHED_NONE_H

#include "outer.h"
#include "session.h"

#define NOT_FAST (-2)

#define skb_from_provider(skb) NOT_FAST
#define skb_from_uplink(skb) NOT_FAST
#define let_in_tunnelled(skb, domain, longest, outer, inner) (void)0
#define let_in_plain(skb, domain) (void)0
#define learn_outwards(skb, domain, ifindex) (void)0
#define learn_to_network(skb, domain, ifindex, vlan, ethernet) (void)0
#define learn_to_tunnel(skb, port, packet, record, inner, is_routed) (void)0

#endif
