/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * How flows are learned, the first half: a packet that goes the slow way is noted when it has been let in, if
 * its flow has had so many that it may pay. Where it is noted stands in the packet's skb, in a field that
 * lives through the context and that no network can set: tc_index.
 */
#ifndef HNV_ESTABLISHED_ARRIVE_H
#define HNV_ESTABLISHED_ARRIVE_H

#include "established.h"
#include "outer.h"

/* So many slow packets of a direction first: short conversations do not pay. */
#define LEARN_AFTER 6
#define NOT_FAST (-2) /* no action of TC */
#define NOTED 0xa800  /* in tc_index, above the number of the arrival */

_Static_assert(HNV_ARRIVALS <= 1024, "numbers fit below NOTED");

static __always_inline struct hnv_learning *learning_here(void) {
    __u32 key = 0;

    return bpf_map_lookup_elem(&learning, &key);
}

static __always_inline __u32 hash_tuple(const __u8 *source, const __u8 *destination, __u32 ports,
                                        __u32 seed) {
    __u32 hash = mix(mix_address(mix_address(seed, source), destination), ports);

    /* Ports that differ in one byte differ in the low bits, which are used. */
    hash = (hash ^ (hash >> 16)) * 0x85ebca6b;
    return hash ^ (hash >> 13);
}

/*
 * The flow has had so many packets that it is worth it. A counter is one flow's at a time, and another one
 * takes its place now and then: long ones have their turn, and many short ones do not add up.
 */
static __always_inline bool is_due(__u32 hash) {
    __u32 key = hash & (HNV_SEEN - 1), mine = hash >> 16 << 16;
    __u32 *count = bpf_map_lookup_elem(&seen, &key), value;

    if (!count)
        return false;
    value = *count;
    if ((value ^ mine) >> 16) {
        if (!(value & 0xffff) || !(bpf_get_prandom_u32() & 31))
            *count = mine | 1;
        return false;
    }
    value++;
    *count = (value & 0xffff) < LEARN_AFTER ? value : mine;
    return (value & 0xffff) >= LEARN_AFTER;
}

/* A packet that is of no flow, and never will be; the last one is not considered any more. */
static __always_inline int not_fast(void) {
    struct hnv_learning *here = learning_here();

    if (here)
        here->arrival.ifindex = 0;
    return NOT_FAST;
}

/* A packet that came in by the NIC goes the slow way: begins to note it, if it may be fast one day. */
static __always_inline void consider(struct __sk_buff *skb, const struct candidate *packet, const bool v6,
                                     bool is_known) {
    struct hnv_learning *here = learning_here();
    const struct ipv6hdr *ip6 = packet->ip;
    const struct iphdr *ip = packet->ip;
    const struct echo *echo;
    struct hnv_arrival *arrival;
    struct hnv_flow_key *key;

    if (!here)
        return;
    arrival = &here->arrival;
    arrival->ifindex = 0;
    if (!packet->ip)
        return;
    echo = packet->ip + (v6 ? sizeof(*ip6) : sizeof(*ip));
    if (v6) {
        __builtin_memcpy(arrival->source, &ip6->saddr, HNV_ADDRESS_SIZE);
        __builtin_memcpy(arrival->destination, &ip6->daddr, HNV_ADDRESS_SIZE);
    } else {
        map_v4(arrival->source, ip->saddr);
        map_v4(arrival->destination, ip->daddr);
    }
    if (!is_known && !is_due(hash_tuple(arrival->source, arrival->destination, packet->ports, packet->place)))
        return;
    key = &arrival->key;
    __builtin_memset(key, 0, sizeof(*key));
    __builtin_memcpy(&key->source_port, &packet->ports, sizeof(packet->ports));
    key->place = packet->place;
    key->vlan = packet->vlan;
    key->protocol = packet->protocol;
    key->side = packet->side;
    key->version = v6 ? 6 : 4;
    if (v6)
        __builtin_memcpy(key->source, &ip6->saddr, 2 * HNV_ADDRESS_SIZE);
    else
        __builtin_memcpy(key->source, &ip->saddr, 2 * sizeof(ip->saddr));
    arrival->generation = common_generation();
    arrival->is_v6 = v6;
    arrival->ttl = packet->ttl;
    arrival->length = packet->length;
    arrival->echo_sequence = echo->sequence;
    arrival->echo_checksum = echo->checksum;
    arrival->ifindex = skb->ifindex;
}

/* The packet that consider() was about; not one that comes from a context. */
static __always_inline struct hnv_learning *considered(const struct __sk_buff *skb) {
    struct hnv_learning *here = learning_here();

    return here && here->arrival.ifindex && here->arrival.ifindex == skb->ifindex ? here : NULL;
}

static __always_inline bool is_fast_link(__u32 ifindex, bool *has_xdp) {
    struct hnv_interface_key key = {.ifindex = ifindex};
    struct hnv_fast_link *link = bpf_map_lookup_elem(&fast_links, &key);

    if (link)
        *has_xdp = link->has_xdp;
    return link;
}

/*
 * The considered packet was let in, to the context of the domain: it is expected to leave there. `mac` is
 * what its frame was for.
 */
static __noinline void let_in(struct __sk_buff *skb, struct hnv_learning *here, __u32 domain, const __u8 *mac,
                              __u32 longest) {
    struct hnv_arrival *considered = &here->arrival, *noted;
    struct hnv_fast_domain *policy = bpf_map_lookup_elem(&fast_domains, &domain);
    __u32 slot = here->next++ & (HNV_ARRIVALS - 1);
    bool has_xdp;

    if (!policy || !policy->is_enabled || !is_fast_link(considered->ifindex, &has_xdp))
        return;
    noted = bpf_map_lookup_elem(&arrivals, &slot);
    if (!noted)
        return;
    considered->domain = domain;
    considered->longest = longest > 0xffff ? 0xffff : longest;
    __builtin_memcpy(considered->mac, mac, HNV_MAC_SIZE);
    *noted = *considered;
    considered->ifindex = 0;
    skb->tc_index = NOTED | slot;
}

/* From a tunnel, whose headers are let in with the packet. By itself, for the stack's sake. */
static __noinline void let_in_tunnelled(struct __sk_buff *skb, __u32 domain, __u32 longest,
                                        const struct outer *outer, const struct ethhdr *inner) {
    struct hnv_learning *here = considered(skb);
    struct hnv_flow_tunnel *tunnel;
    __u8 mac[HNV_MAC_SIZE];

    if (!here || bpf_skb_load_bytes(skb, 0, mac, sizeof(mac)))
        return;
    tunnel = &here->arrival.tunnel;
    __builtin_memcpy(tunnel->source, outer->source, HNV_ADDRESS_SIZE);
    __builtin_memcpy(tunnel->destination, outer->destination, HNV_ADDRESS_SIZE);
    __builtin_memcpy(tunnel->destination_mac, inner->h_dest, HNV_MAC_SIZE);
    __builtin_memcpy(tunnel->source_mac, inner->h_source, HNV_MAC_SIZE);
    tunnel->key = 0;
    let_in(skb, here, domain, mac, longest);
}

/* From the network outside; the frame's Ethernet header is still its own. */
static __always_inline void let_in_plain(struct __sk_buff *skb, __u32 domain) {
    struct hnv_learning *here = considered(skb);
    __u8 mac[HNV_MAC_SIZE];

    if (!here || bpf_skb_load_bytes(skb, 0, mac, sizeof(mac)))
        return;
    __builtin_memset(&here->arrival.tunnel, 0, sizeof(here->arrival.tunnel));
    let_in(skb, here, domain, mac, 0xffff);
}

#endif
