/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* From the provider network: NVGRE checks, admission by policy, decapsulation, delivery to a port. */
#ifndef HNV_PROVIDER_H
#define HNV_PROVIDER_H

#include <bpf/bpf_core_read.h>

#include "account.h"

/* Newer kernels can take the tunnel's bits out of a super-packet when its tunnel header goes. */
enum bpf_adj_room_flags___decap {
    BPF_F_ADJ_ROOM_DECAP_L4_GRE___decap = 0,
};

static __always_inline __u64 decap_flags(void) {
    __u64 flags = BPF_F_ADJ_ROOM_FIXED_GSO;

    if (bpf_core_enum_value_exists(enum bpf_adj_room_flags___decap, BPF_F_ADJ_ROOM_DECAP_L4_GRE___decap))
        flags |= bpf_core_enum_value(enum bpf_adj_room_flags___decap, BPF_F_ADJ_ROOM_DECAP_L4_GRE___decap);
    return flags;
}

/* The outer header's own checks; 0 or the reason to drop. */
static __always_inline int check_outer(const struct __sk_buff *skb, const struct tunnel_header *t) {
    __u32 vsid = bpf_ntohl(t->gre.key) >> 8;

    if (ip_checksum(&t->ip))
        return HNV_DROP_OUTER_CHECKSUM;
    if (t->ip.frag_off & bpf_htons(IP_MF_OR_OFFSET))
        return HNV_DROP_OUTER_FRAGMENT;
    /* A super-packet may be longer than the field can say; GRO has checked each of its parts. */
    if (!skb->gso_size &&
        (bpf_ntohs(t->ip.tot_len) > skb->len - ETH_HLEN || bpf_ntohs(t->ip.tot_len) < GRE_LENGTH))
        return HNV_DROP_OUTER_TRUNCATED;
    if (t->gre.flags != bpf_htons(GRE_KEY_PRESENT))
        return HNV_DROP_GRE_FLAGS;
    if (t->gre.protocol != bpf_htons(ETH_P_TEB))
        return HNV_DROP_GRE_PROTOCOL;
    if (vsid < VSID_FIRST || vsid > VSID_LAST)
        return HNV_DROP_VSID_RESERVED;
    return 0;
}

/* The inner frame's form; 0 or the reason to drop. */
static __always_inline int check_inner(const struct __sk_buff *skb, const struct tunnel_header *t,
                                       const struct iphdr *ip) {
    __u32 payload = skb->gso_size ? skb->len - ETH_HLEN : bpf_ntohs(t->ip.tot_len);
    __u32 total = bpf_ntohs(ip->tot_len);

    if (ip->version != 4 || ip->ihl < 5)
        return HNV_DROP_INNER_MALFORMED;
    if (!skb->gso_size && (total < ip->ihl * 4 || total + TUNNEL_LENGTH > payload))
        return HNV_DROP_INNER_MALFORMED;
    return 0;
}

/* May this inner source come from there? 0 or the reason to drop. */
static __always_inline int check_source(__u32 domain, const struct tunnel_header *t, const struct iphdr *ip) {
    struct hnv_record_key key = {.domain = domain};
    struct hnv_wildcard_key wildcard = {.domain = domain};
    struct hnv_record *record;

    map_v4(key.address, ip->saddr);
    map_v4(wildcard.provider_address, t->ip.saddr);
    record = bpf_map_lookup_elem(&records, &key);
    if (record && same_address(record->provider_address, wildcard.provider_address)) {
        /* Between subnets the sender's distributed router may have put its own MAC there. */
        if (same_mac(record->mac, t->inner.h_source) || same_mac(router_mac, t->inner.h_source))
            return 0;
        return HNV_DROP_INNER_SOURCE_MAC;
    }
    /* A known address is its record's alone, also where a wildcard would let everything else through. */
    if (record)
        return HNV_DROP_INNER_SOURCE_ADDRESS;
    __builtin_memcpy(wildcard.mac, t->inner.h_source, HNV_MAC_SIZE);
    return bpf_map_lookup_elem(&wildcards, &wildcard) ? 0 : HNV_DROP_INNER_SOURCE_ADDRESS;
}

/* The port that an inner destination MAC names in this domain, whatever VSID of the domain the sender chose.
 */
static __always_inline struct hnv_port *find_port(__u32 domain, const __u8 *mac) {
    struct hnv_port_key key = {.domain = domain};

    __builtin_memcpy(key.mac, mac, HNV_MAC_SIZE);
    return bpf_map_lookup_elem(&ports_by_mac, &key);
}

static __always_inline int unknown_destination(const __u8 *mac) {
    struct hnv_mac_key key = {};

    __builtin_memcpy(key.mac, mac, HNV_MAC_SIZE);
    return bpf_map_lookup_elem(&port_macs, &key) ? HNV_DROP_INNER_DESTINATION_FOREIGN
                                                 : HNV_DROP_INNER_DESTINATION_UNKNOWN;
}

/* The tunnel header with `size` bytes from the outer IP header on; NULL when the frame is shorter. */
static __always_inline struct tunnel_header *tunnel(struct __sk_buff *skb, __u32 size) {
    void *data = head(skb, ETH_HLEN + size);

    return data ? data + ETH_HLEN : NULL;
}

static __always_inline int admit(struct __sk_buff *skb) {
    struct hnv_source_key source = {};
    struct hnv_subnet_key vsid;
    struct hnv_subnet *subnet;
    struct tunnel_header *t;
    struct hnv_stats *count;
    struct hnv_port *port;
    struct ethhdr inner;
    struct iphdr *ip;
    __u32 ifindex, packets;
    bool congested;
    int reason;

    t = tunnel(skb, GRE_LENGTH);
    if (!t)
        return drop(skb, 0, HNV_DROP_OUTER_TRUNCATED);
    reason = check_outer(skb, t);
    if (reason)
        return drop(skb, 0, reason);
    vsid.vsid = bpf_ntohl(t->gre.key) >> 8;
    subnet = bpf_map_lookup_elem(&subnets, &vsid);
    if (!subnet)
        return drop(skb, 0, HNV_DROP_VSID_UNKNOWN);
    source.domain = subnet->domain;
    map_v4(source.address, t->ip.saddr);
    if (!bpf_map_lookup_elem(&sources, &source))
        return drop(skb, source.domain, HNV_DROP_SOURCE_PROVIDER_ADDRESS);

    t = tunnel(skb, TUNNEL_LENGTH);
    if (!t || (!skb->gso_size && bpf_ntohs(t->ip.tot_len) < TUNNEL_LENGTH))
        return drop(skb, source.domain, HNV_DROP_INNER_TRUNCATED);
    if (t->inner.h_proto == bpf_htons(ETH_P_8021Q) || t->inner.h_proto == bpf_htons(ETH_P_8021AD))
        return drop(skb, source.domain, HNV_DROP_INNER_VLAN);
    if (t->inner.h_proto != bpf_htons(ETH_P_IP))
        return drop(skb, source.domain, HNV_DROP_INNER_ETHERTYPE);
    t = tunnel(skb, TUNNEL_LENGTH + sizeof(*ip));
    if (!t)
        return drop(skb, source.domain, HNV_DROP_INNER_TRUNCATED);
    ip = (void *)t + TUNNEL_LENGTH;
    reason = check_inner(skb, t, ip);
    if (reason)
        return drop(skb, source.domain, reason);
    port = find_port(source.domain, t->inner.h_dest);
    if (!port)
        return drop(skb, source.domain, unknown_destination(t->inner.h_dest));
    reason = check_source(source.domain, t, ip);
    if (reason)
        return drop(skb, source.domain, reason);
    if (!skb->gso_size && bpf_ntohs(ip->tot_len) > port->mtu)
        return drop(skb, source.domain, HNV_DROP_INNER_TOO_BIG);

    /* RFC 6040 section 4.2: congestion seen by the fabric goes on to the flow, or the packet goes. */
    congested = (t->ip.tos & ECN_MASK) == ECN_CE;
    if (congested && !(ip->tos & ECN_MASK))
        return drop(skb, source.domain, HNV_DROP_ECN);

    inner = t->inner;
    ifindex = port->ifindex;
    packets = packets_in(skb);
    if (bpf_skb_adjust_room(skb, -(__s32)TUNNEL_LENGTH, BPF_ADJ_ROOM_MAC, decap_flags()) ||
        bpf_skb_store_bytes(skb, 0, &inner, sizeof(inner), 0) || (congested && !bpf_skb_ecn_set_ce(skb)))
        return drop(skb, source.domain, HNV_DROP_DECAP_FAILED);
    count = stats_of(source.domain);
    if (count) {
        count->decap_packets += packets;
        count->decap_bytes += skb->len - ETH_HLEN;
    }
    skb->mark = 0;
    return bpf_redirect_peer(ifindex, 0);
}

/* What is not NVGRE to one of our provider addresses is none of our business: the kernel has it. */
static __always_inline int from_provider(struct __sk_buff *skb) {
    struct hnv_provider_key key = {};
    struct ethhdr *ethernet;
    struct iphdr *ip;

    if (skb->protocol != bpf_htons(ETH_P_IP) || skb->pkt_type != PACKET_HOST)
        return TC_ACT_OK;
    ethernet = head(skb, sizeof(*ethernet) + sizeof(*ip));
    if (!ethernet)
        return drop(skb, 0, HNV_DROP_OUTER_TRUNCATED);
    ip = (void *)(ethernet + 1);
    if (ip->protocol != IPPROTO_GRE)
        return TC_ACT_OK;
    map_v4(key.address, ip->daddr);
    if (!bpf_map_lookup_elem(&providers, &key))
        return TC_ACT_OK;
    if (ip->version != 4 || ip->ihl != 5)
        return drop(skb, 0, HNV_DROP_OUTER_OPTIONS);
    return admit(skb);
}

#endif
