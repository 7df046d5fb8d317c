/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Networks without NAT: contexts are stations there, with a MAC and addresses of their own, and their kernels
 * do ARP, ND and routing. What is for a context's MAC is its own; on the untagged network, which domains
 * share, a group frame is only for the context that it asks for. All else there is the kernel's.
 */
#ifndef HNV_NETWORK_H
#define HNV_NETWORK_H

#include "fast.h"
#include "neighbour.h"

#define UNTAGGED 0
#define ND_ROUTER_SOLICIT 133
#define ND_ROUTER_ADVERT 134
#define MLD_QUERY 130
#define MLD_REPORT 131
#define MLD_DONE 132
#define MLD2_REPORT 143

enum frame_kind {
    FRAME_OTHER,
    FRAME_MALFORMED,
    FRAME_PACKET,
    FRAME_ARP,
    FRAME_SOLICITATION,
    FRAME_ADVERTISEMENT,
    FRAME_ROUTER, /* what routers tell hosts of themselves, and asking for it (RFC 4861) */
    FRAME_MLD,
};

/* What tells whose a frame is. */
struct frame {
    __u8 source[HNV_ADDRESS_SIZE]; /* of ARP the sender, without a destination */
    __u8 destination[HNV_ADDRESS_SIZE];
    __u8 target[HNV_ADDRESS_SIZE]; /* of ARP, solicitation, advertisement */
    __u8 mac[HNV_MAC_SIZE];        /* of ARP: the sender's */
    bool is_request;               /* of ARP */
    __u8 pad;
};

static __always_inline int read_arp(struct __sk_buff *skb, struct frame *frame) {
    struct arp_ipv4 *arp = head(skb, sizeof(*arp));

    if (!arp || !is_arp_ipv4(arp))
        return FRAME_MALFORMED;
    map_v4(frame->source, arp->sender);
    map_v4(frame->target, arp->target);
    __builtin_memcpy(frame->mac, arp->sender_mac, HNV_MAC_SIZE);
    frame->is_request = arp->operation == bpf_htons(ARPOP_REQUEST);
    return FRAME_ARP;
}

/* An IPv6 packet's kind; one option header may be in front of ICMPv6, as MLD has it (RFC 3810 section 5). */
static __always_inline int read_icmpv6(struct __sk_buff *skb, struct frame *frame) {
    __u32 at = ETH_HLEN + sizeof(struct ipv6hdr);
    __u8 next = 0, type = 0, options[2];

    if (bpf_skb_load_bytes(skb, ETH_HLEN + offsetof(struct ipv6hdr, nexthdr), &next, sizeof(next)))
        return FRAME_MALFORMED;
    if (next == IPPROTO_HOPOPTS) {
        if (bpf_skb_load_bytes(skb, at, options, sizeof(options)) || options[1])
            return FRAME_PACKET;
        next = options[0];
        at += 8;
    }
    if (next != IPPROTO_ICMPV6 || bpf_skb_load_bytes(skb, at, &type, sizeof(type)))
        return FRAME_PACKET;
    if (type == ND_ROUTER_SOLICIT || type == ND_ROUTER_ADVERT || type == ND_REDIRECT)
        return FRAME_ROUTER;
    if (type == MLD_QUERY || type == MLD_REPORT || type == MLD_DONE || type == MLD2_REPORT)
        return FRAME_MLD;
    if (type != ND_SOLICIT && type != ND_ADVERT)
        return FRAME_PACKET;
    if (bpf_skb_load_bytes(skb, at + offsetof(struct nd_message, target), frame->target, HNV_ADDRESS_SIZE) ||
        is_v4(frame->target))
        return FRAME_MALFORMED;
    return type == ND_SOLICIT ? FRAME_SOLICITATION : FRAME_ADVERTISEMENT;
}

/* Answers an enum frame_kind. */
__noinline int read_frame(struct __sk_buff *skb, struct frame *frame) {
    if (!frame)
        return FRAME_MALFORMED;
    if (skb->protocol == bpf_htons(ETH_P_ARP))
        return read_arp(skb, frame);
    if (skb->protocol != bpf_htons(ETH_P_IP) && skb->protocol != bpf_htons(ETH_P_IPV6))
        return FRAME_OTHER;
    if (!read_addresses(skb, frame->source, frame->destination))
        return FRAME_MALFORMED;
    return skb->protocol == bpf_htons(ETH_P_IP) ? FRAME_PACKET : read_icmpv6(skb, frame);
}

/* Whose frames to a MAC are. */
static __always_inline struct hnv_segment *station_on(__u32 ifindex, __u32 vlan, const __u8 *mac) {
    struct hnv_segment_key key = {.ifindex = ifindex, .vlan = vlan};

    __builtin_memcpy(key.mac, mac, HNV_MAC_SIZE);
    return bpf_map_lookup_elem(&segments, &key);
}

/* Whose own address it is. */
static __always_inline struct hnv_segment *holder_on(__u32 ifindex, __u32 vlan, const __u8 *address) {
    struct hnv_segment_address_key key = {.ifindex = ifindex, .vlan = vlan};

    __builtin_memcpy(key.address, address, HNV_ADDRESS_SIZE);
    return bpf_map_lookup_elem(&segment_addresses, &key);
}

static __always_inline bool is_own(__u32 domain, __u32 ifindex, __u32 vlan, const __u8 *address) {
    struct hnv_segment *holder = holder_on(ifindex, vlan, address);

    return holder && holder->domain == domain;
}

/* The address is a tenant's that is routed as it is. */
static __always_inline bool is_forwarded(__u32 domain, const __u8 *address) {
    struct hnv_route_key key = {.prefix_length = 32 + 128, .domain = bpf_htonl(domain)};

    __builtin_memcpy(key.address, address, HNV_ADDRESS_SIZE);
    return bpf_map_lookup_elem(&forwarded, &key);
}

/* Hands the frame to the context, as it is but for the tag. */
static __always_inline int enter(struct __sk_buff *skb, const struct hnv_segment *to) {
    __u32 ifindex = to->ifindex;

    let_in_plain(skb, to->domain);
    if ((skb->vlan_present && bpf_skb_vlan_pop(skb)) ||
        (skb->pkt_type == PACKET_OTHERHOST && bpf_skb_change_type(skb, PACKET_HOST)))
        return TC_ACT_SHOT;
    skb->mark = 0;
    return bpf_redirect_peer(ifindex, 0);
}

/* A frame to the context's MAC, on the segment `ifindex` and `vlan`; what is dropped is charged to a domain.
 */
static __always_inline int to_station(struct __sk_buff *skb, const struct hnv_segment *to, __u32 ifindex,
                                      __u32 vlan, __u32 charged) {
    __u32 domain = to->domain;
    struct frame frame = {};
    int kind = read_frame(skb, &frame);

    switch (kind) {
    case FRAME_OTHER:
        return drop(skb, charged, HNV_DROP_SEGMENT_ETHERTYPE);
    case FRAME_MALFORMED:
        return drop(skb, charged, HNV_DROP_SEGMENT_MALFORMED);
    case FRAME_ROUTER:
        return drop(skb, charged, HNV_DROP_SEGMENT_ROUTER_MESSAGE);
    case FRAME_ARP:
        return enter(skb, to);
    }
    if (is_own(domain, ifindex, vlan, frame.destination) ||
        (kind == FRAME_PACKET ? is_forwarded(domain, frame.destination) : is_group(frame.destination)))
        return enter(skb, to);
    return drop(skb, charged, HNV_DROP_SEGMENT_DESTINATION);
}

/* A broadcast or multicast: only what neighbours say to each other. */
static __always_inline int to_stations(struct __sk_buff *skb, struct hnv_segment_key *key) {
    struct hnv_segment *to = NULL;
    struct frame frame = {};
    int kind = read_frame(skb, &frame);

    if (kind != FRAME_ARP && kind != FRAME_SOLICITATION && kind != FRAME_ADVERTISEMENT && kind != FRAME_MLD)
        return TC_ACT_OK;
    if (key->vlan == UNTAGGED) {
        if (kind == FRAME_ARP || kind == FRAME_SOLICITATION)
            to = holder_on(key->ifindex, key->vlan, frame.target);
    } else {
        if (key->mac[0] == 0x33 && key->mac[1] == 0x33)
            key->mac[2] = key->mac[3] = key->mac[4] = key->mac[5] = 0;
        to = bpf_map_lookup_elem(&segments, key);
    }
    return to ? enter(skb, to) : TC_ACT_OK;
}

/* From an uplink's NIC; TC_ACT_OK for what is no context's. A tag of priority alone is none (IEEE 802.1Q). */
__noinline int from_network(struct __sk_buff *skb) {
    struct hnv_segment_key key = {.ifindex = skb->ifindex};
    struct hnv_segment *to;

    if (skb->vlan_present) {
        if (skb->vlan_proto != bpf_htons(ETH_P_8021Q))
            return TC_ACT_OK;
        key.vlan = skb->vlan_tci & 0xfff;
    }
    if (bpf_skb_load_bytes(skb, 0, key.mac, sizeof(key.mac)))
        return TC_ACT_OK;
    if (is_group_mac(key.mac))
        return to_stations(skb, &key);
    to = bpf_map_lookup_elem(&segments, &key);
    return to ? to_station(skb, to, key.ifindex, key.vlan, to->domain) : TC_ACT_OK;
}

#endif
