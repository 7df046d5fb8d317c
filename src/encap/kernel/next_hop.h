/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Frames to the next hop that the node's own routes say. bpf_redirect_neigh() alone would ask for the route
 * of each packet, which costs more than all else that it does. The route is kept for some ticks, and until
 * user space sees that routes have changed; where it does not follow them (role host), nothing is kept. The
 * neighbour is the kernel's to find and to confirm, as ever.
 */
#ifndef HNV_NEXT_HOP_H
#define HNV_NEXT_HOP_H

#include "flow.h"

#define LOOPBACK 1
#define FAMILY_V4 2
#define FAMILY_V6 10
/* 64 ticks, 0.64 s at most: that long a route may be wrong when user space is not there. */
#define ROUTE_TICKS_SHIFT 6

_Static_assert(offsetof(struct hnv_next_hop, address) - offsetof(struct hnv_next_hop, family) ==
                   offsetof(struct bpf_redir_neigh, ipv6_nh),
               "as the kernel has it");

/* Incremented before that of any domain, and with each change of the node's routes; 0: nobody does. */
static __always_inline __u32 common_generation(void) {
    __u32 nobody = 0;
    struct hnv_fast_domain *policy = bpf_map_lookup_elem(&fast_domains, &nobody);

    return policy ? *(volatile __u32 *)&policy->generation : 0;
}

/* Asks the node's routes; the answer is in `asked`. */
static __always_inline long ask_route(struct __sk_buff *skb, const __u8 *source, const __u8 *destination,
                                      struct bpf_fib_lookup *asked) {
    asked->ifindex = LOOPBACK;
    asked->tot_len = 1;
    if (is_v4(destination)) {
        asked->family = FAMILY_V4;
        asked->ipv4_src = v4_of(source);
        asked->ipv4_dst = v4_of(destination);
    } else {
        asked->family = FAMILY_V6;
        __builtin_memcpy(asked->ipv6_src, source, HNV_ADDRESS_SIZE);
        __builtin_memcpy(asked->ipv6_dst, destination, HNV_ADDRESS_SIZE);
    }
    return bpf_fib_lookup(skb, asked, sizeof(*asked), 0);
}

/* Sets where the hop of its addresses is. */
static __always_inline void find_hop(struct __sk_buff *skb, struct hnv_next_hop *hop) {
    struct bpf_fib_lookup asked = {};
    long answer = ask_route(skb, hop->source, hop->destination, &asked);

    hop->family = 0;
    if ((answer != BPF_FIB_LKUP_RET_SUCCESS && answer != BPF_FIB_LKUP_RET_NO_NEIGH) ||
        asked.ifindex != hop->ifindex)
        return;
    hop->family = asked.family;
    __builtin_memcpy(hop->address, asked.ipv6_dst, HNV_ADDRESS_SIZE);
}

static __always_inline __u32 folded_address(const __u8 *address) {
    const __u32 *words = (const void *)address;

    return words[0] ^ words[1] ^ words[2] ^ words[3];
}

/*
 * The hop that is kept for the frame's way, asked for when it is not; NULL when the kernel is to ask for each
 * packet. By itself, for the stack's sake.
 */
static __noinline struct hnv_next_hop *hop_of(struct __sk_buff *skb, __u32 ifindex) {
    __u32 generation = common_generation(), now = bpf_jiffies64() >> ROUTE_TICKS_SHIFT, slot;
    __u8 source[HNV_ADDRESS_SIZE], destination[HNV_ADDRESS_SIZE];
    struct hnv_next_hop *hop;

    if (!generation || !read_addresses(skb, source, destination))
        return NULL;
    slot = mix(mix(ifindex, folded_address(source)), folded_address(destination)) & (HNV_NEXT_HOPS - 1);
    hop = bpf_map_lookup_elem(&next_hops, &slot);
    if (!hop)
        return NULL;
    if (hop->looked != now || hop->generation != generation || hop->ifindex != ifindex ||
        !same_address(hop->destination, destination) || !same_address(hop->source, source)) {
        hop->generation = generation;
        hop->looked = now;
        hop->ifindex = ifindex;
        __builtin_memcpy(hop->source, source, HNV_ADDRESS_SIZE);
        __builtin_memcpy(hop->destination, destination, HNV_ADDRESS_SIZE);
        find_hop(skb, hop);
    }
    return hop->family ? hop : NULL;
}

/* Sends the frame out of the interface, to the next hop on its way. */
static __always_inline int send_by(struct __sk_buff *skb, __u32 ifindex) {
    struct hnv_next_hop *hop = hop_of(skb, ifindex);

    if (!hop)
        return bpf_redirect_neigh(ifindex, NULL, 0, 0);
    return bpf_redirect_neigh(ifindex, (void *)&hop->family, sizeof(struct bpf_redir_neigh), 0);
}

#endif
