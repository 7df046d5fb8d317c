/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* To ports of this node: one frame to one port, or copies to all that are in a virtual subnet. */
#ifndef HNV_DELIVER_H
#define HNV_DELIVER_H

#include "account.h"
#include "learn.h"

/* Hands a frame that is addressed to the port's MAC to it. */
static __always_inline int to_port(struct __sk_buff *skb, const struct hnv_port *port) {
    __u32 ifindex = port->ifindex;

    skb->mark = 0;
    if (!(port->flags & HNV_PORT_PEER))
        return bpf_redirect(ifindex, 0);
    if (skb->pkt_type != PACKET_HOST)
        bpf_skb_change_type(skb, PACKET_HOST);
    return bpf_redirect_peer(ifindex, 0);
}

/* Work of bpf_loop(), which the verifier follows once and not once for each round. */
struct copying {
    struct __sk_buff *skb;
    struct hnv_members *members;
    __u8 at[HNV_ADDRESS_SIZE]; /* only to ports that live there; zero: to all */
    __u32 ifindex;             /* not to this one; where copies for the provider network come back */
    struct hnv_traffic *count; /* counted there at once: a count of its own would be a new state for the
                                  verifier each round */
    struct hnv_drops *failed;
};

static __always_inline long count_copy(struct copying *copying, long error) {
    if (!copying->count || !copying->failed)
        return 1;
    if (error)
        copying->failed->packets[HNV_DROP_REPLICATION_FAILED]++;
    else
        copying->count->replicated_packets++;
    return 0;
}

static long copy_to_local(__u32 i, struct copying *copying) {
    struct hnv_members *members = copying->members;
    __u32 ifindex;

    if (!members || i >= HNV_MEMBERS || i >= members->locals)
        return 1;
    ifindex = members->local[i];
    if (ifindex == copying->ifindex ||
        (!is_unspecified(copying->at) &&
         !same_address(members->local_address + i * HNV_ADDRESS_SIZE, copying->at)))
        return 0;
    return count_copy(copying, bpf_clone_redirect(copying->skb, ifindex, 0));
}

static __always_inline struct hnv_members *members_of(__u32 vsid) {
    struct hnv_members_key key = {.vsid = vsid};

    return bpf_map_lookup_elem(&members, &key);
}

/* How many copies there were, those that failed included: zero when there was nobody to get one. */
static __always_inline __u64 copies_made(const struct copying *copying) {
    return copying->count->replicated_packets + copying->failed->packets[HNV_DROP_REPLICATION_FAILED];
}

#endif
