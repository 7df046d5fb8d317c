/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * FlowID (RFC 7637 section 3.2): 8 bits from the inner flow, for the fabric's ECMP and for GRO. Own
 * arithmetic and not skb->hash, because a local socket changes that hash when it retransmits, and a FlowID
 * must not change in a flow.
 */
#ifndef HNV_FLOW_H
#define HNV_FLOW_H

#include "packet.h"

static __always_inline __u32 mix(__u32 hash, __u32 word) {
    hash = (hash ^ word) * 0x9e3779b1;
    return hash ^ (hash >> 15);
}

/*
 * `offset` is where the IP header begins. Fragments hash without ports, for only the first one has them: so
 * all fragments of a flow share one FlowID.
 */
static __always_inline __u8 flow_id(struct __sk_buff *skb, const struct iphdr *ip, __u32 offset) {
    __u32 hash = mix(mix(mix(0, ip->saddr), ip->daddr), ip->protocol);
    __u32 ports;

    if ((ip->protocol == IPPROTO_TCP || ip->protocol == IPPROTO_UDP || ip->protocol == IPPROTO_SCTP) &&
        !(ip->frag_off & bpf_htons(IP_MF_OR_OFFSET)) &&
        !bpf_skb_load_bytes(skb, offset + ip->ihl * 4, &ports, sizeof(ports)))
        hash = mix(hash, ports);
    hash ^= hash >> 16;
    return hash ^ (hash >> 8);
}

#endif
