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

static __always_inline __u32 mix_address(__u32 hash, const __u8 *address) {
    const __u32 *words = (const void *)address;

    return mix(mix(mix(mix(hash, words[0]), words[1]), words[2]), words[3]);
}

/*
 * `offset` is where the IP header begins. Fragments hash without ports, for only the first one has them: so
 * all fragments of a flow share one FlowID.
 */
static __always_inline __u8 flow_id(struct __sk_buff *skb, const struct packet *packet, __u32 offset) {
    __u32 hash = packet->protocol;
    __u32 ports;

    if (packet->v6)
        hash = mix_address(mix_address(hash, packet->source), packet->destination);
    else
        hash = mix(mix(hash, v4_of(packet->source)), v4_of(packet->destination));
    if ((packet->protocol == IPPROTO_TCP || packet->protocol == IPPROTO_UDP ||
         packet->protocol == IPPROTO_SCTP) &&
        !packet->fragment && !bpf_skb_load_bytes(skb, offset + packet->header, &ports, sizeof(ports)))
        hash = mix(hash, ports);
    hash ^= hash >> 16;
    return hash ^ (hash >> 8);
}

#endif
