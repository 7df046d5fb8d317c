/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* The outer packet: its headers' own checks (RFC 7637), whatever policy says. */
#ifndef HNV_OUTER_H
#define HNV_OUTER_H

#include "tunnel.h"

/* The outer packet, as far as admission and the way back need it. */
struct outer {
    __u8 source[HNV_ADDRESS_SIZE];
    __u8 destination[HNV_ADDRESS_SIZE];
    __u32 room; /* bytes from the outer IP header on that belong to the packet */
    bool congested;
};

/* Reads and checks the outer IPv4 header; 0 or the reason to drop. */
static __always_inline int read_outer_v4(struct __sk_buff *skb, struct outer *outer) {
    struct iphdr *ip = head(skb, ETH_HLEN + sizeof(*ip));

    if (!ip)
        return HNV_DROP_OUTER_TRUNCATED;
    ip = (void *)ip + ETH_HLEN;
    if (ip->version != 4 || ip->ihl != 5)
        return HNV_DROP_OUTER_OPTIONS;
    if (ip_checksum(ip))
        return HNV_DROP_OUTER_CHECKSUM;
    if (ip->frag_off & bpf_htons(IP_MF_OR_OFFSET))
        return HNV_DROP_OUTER_FRAGMENT;
    /* A super-packet may be longer than the field can say; GRO has checked each of its parts. */
    outer->room = skb->gso_size ? skb->len - ETH_HLEN : bpf_ntohs(ip->tot_len);
    outer->congested = (ip->tos & ECN_MASK) == ECN_CE;
    return 0;
}

static __always_inline int read_outer_v6(struct __sk_buff *skb, struct outer *outer) {
    struct ipv6hdr *ip6 = head(skb, ETH_HLEN + sizeof(*ip6));

    if (!ip6)
        return HNV_DROP_OUTER_TRUNCATED;
    ip6 = (void *)ip6 + ETH_HLEN;
    if (ip6->version != 6)
        return HNV_DROP_OUTER_OPTIONS;
    if (ip6->nexthdr == IPV6_FRAGMENT)
        return HNV_DROP_OUTER_FRAGMENT;
    if (ip6->nexthdr != IPPROTO_GRE)
        return HNV_DROP_OUTER_OPTIONS;
    outer->room = skb->gso_size ? skb->len - ETH_HLEN : bpf_ntohs(ip6->payload_len) + sizeof(*ip6);
    outer->congested = (traffic_class(ip6) & ECN_MASK) == ECN_CE;
    return 0;
}

static __always_inline int check_gre(const struct gre_header *gre) {
    __u32 vsid = bpf_ntohl(gre->key) >> 8;

    if (gre->flags != bpf_htons(GRE_KEY_PRESENT))
        return HNV_DROP_GRE_FLAGS;
    if (gre->protocol != bpf_htons(ETH_P_TEB))
        return HNV_DROP_GRE_PROTOCOL;
    if (vsid < VSID_FIRST || vsid > VSID_LAST)
        return HNV_DROP_VSID_RESERVED;
    return 0;
}

/* Those that a host may put between the IPv6 header and what it carries (RFC 8200 section 4.1). */
static __always_inline bool is_extension(__u8 protocol) {
    return protocol == IPPROTO_HOPOPTS || protocol == IPPROTO_ROUTING || protocol == IPPROTO_FRAGMENT ||
           protocol == IPPROTO_DSTOPTS;
}

#endif
