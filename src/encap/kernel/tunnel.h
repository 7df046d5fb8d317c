/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* The tunnel header (RFC 7637) over IPv4 or IPv6: puts it on and takes it off. Knows no policy. */
#ifndef HNV_TUNNEL_H
#define HNV_TUNNEL_H

#include <bpf/bpf_core_read.h>

#include "account.h"
#include "next_hop.h"

#define VSID_FIRST 0x1000 /* RFC 7637 section 3.2: 0 to 0xFFF are reserved */
#define VSID_LAST 0xFFFFFE
#define GRE_KEY_PRESENT 0x2000 /* C=0, K=1, S=0, version 0: the only flags that NVGRE allows */
#define OUTER_TTL 64
#define EALREADY 114
#define EINVAL 22
/* Of Linux 6.3, in an enumeration without a name, so that CO-RE cannot ask for them: older kernels answer
 * EINVAL. */
#define DECAP_L3_IPV4 (1ULL << 7)
#define DECAP_L3_IPV6 (1ULL << 8)
#define FAMILY_DIFFERENCE ((__s32)(sizeof(struct ipv6hdr) - sizeof(struct iphdr)))

struct gre_header {
    __be16 flags;
    __be16 protocol;
    __be32 key; /* VSID << 8 | FlowID */
};

/* What stands between the outer IP header and the inner one. */
struct nvgre_header {
    struct gre_header gre;
    struct ethhdr inner;
};
#define NVGRE_LENGTH (sizeof(struct gre_header) + ETH_HLEN)

/* Not packed, so that the compiler may load whole words; on the wire without the padding at the end. */
struct tunnel_header {
    struct iphdr ip;
    struct nvgre_header nvgre;
};
struct tunnel6_header {
    struct ipv6hdr ip6;
    struct nvgre_header nvgre;
};
#define TUNNEL_LENGTH (sizeof(struct iphdr) + NVGRE_LENGTH)
#define TUNNEL6_LENGTH (sizeof(struct ipv6hdr) + NVGRE_LENGTH)
_Static_assert(offsetof(struct nvgre_header, inner) == sizeof(struct gre_header), "no holes");
_Static_assert(offsetof(struct tunnel_header, nvgre) == sizeof(struct iphdr), "no holes");
_Static_assert(offsetof(struct tunnel6_header, nvgre) == sizeof(struct ipv6hdr), "no holes");

/* A flag of newer kernels. */
enum bpf_adj_room_flags___decap {
    BPF_F_ADJ_ROOM_DECAP_L4_GRE___decap = 0,
};
#define KNOWS(flag) bpf_core_enum_value_exists(enum bpf_adj_room_flags___decap, flag##___decap)
#define VALUE(flag) bpf_core_enum_value(enum bpf_adj_room_flags___decap, flag##___decap)

/*
 * Takes `length` bytes of tunnel header behind the outer Ethernet header away. The kernel is told when what
 * is left is of the other family, or it would take a super-packet for one that it cannot cut. Before
 * Linux 6.3 the only way to say so is the helper for NAT64, which changes the length by the difference of the
 * two IP headers.
 */
static __always_inline long strip_tunnel(struct __sk_buff *skb, const __u32 length, bool inner_v6) {
    bool outer_v6 = length == TUNNEL6_LENGTH;
    __s32 away = length;
    __u64 flags = BPF_F_ADJ_ROOM_FIXED_GSO;
    long error;

    /* Else the tunnel's marks stay on a super-packet (docs/traps.md). */
    if (KNOWS(BPF_F_ADJ_ROOM_DECAP_L4_GRE))
        flags |= VALUE(BPF_F_ADJ_ROOM_DECAP_L4_GRE);
    if (outer_v6 == inner_v6)
        return bpf_skb_adjust_room(skb, -away, BPF_ADJ_ROOM_MAC, flags);
    error =
        bpf_skb_adjust_room(skb, -away, BPF_ADJ_ROOM_MAC, flags | (inner_v6 ? DECAP_L3_IPV6 : DECAP_L3_IPV4));
    if (error != -EINVAL)
        return error;
    error = bpf_skb_change_proto(skb, inner_v6 ? bpf_htons(ETH_P_IPV6) : bpf_htons(ETH_P_IP), 0);
    if (error)
        return error;
    away += inner_v6 ? FAMILY_DIFFERENCE : -FAMILY_DIFFERENCE;
    return bpf_skb_adjust_room(skb, -away, BPF_ADJ_ROOM_MAC, flags);
}

/* Room for the tunnel header, with the marks that let a super-packet stay whole until the NIC cuts it. */
static __always_inline long make_room(struct __sk_buff *skb, bool v6) {
    __s32 length = v6 ? TUNNEL6_LENGTH : TUNNEL_LENGTH;
    __u64 flags = BPF_F_ADJ_ROOM_FIXED_GSO | BPF_F_ADJ_ROOM_ENCAP_L4_GRE |
                  BPF_F_ADJ_ROOM_ENCAP_L2(sizeof(struct ethhdr)) | BPF_F_ADJ_ROOM_ENCAP_L2_ETH |
                  (v6 ? BPF_F_ADJ_ROOM_ENCAP_L3_IPV6 : BPF_F_ADJ_ROOM_ENCAP_L3_IPV4);
    long error = bpf_skb_adjust_room(skb, length, BPF_ADJ_ROOM_MAC, flags);

    /*
     * It still carries the marks of the tunnel that it came in by (see strip_tunnel()): they say just what
     * this encapsulation needs, inner header positions included, so only the room is missing; and to say
     * which family the packet is of now, which the kernel takes only with room that is given back.
     */
    if (error != -EALREADY)
        return error;
    if ((skb->protocol == bpf_htons(ETH_P_IPV6)) == v6)
        return bpf_skb_adjust_room(skb, length, BPF_ADJ_ROOM_MAC, BPF_F_ADJ_ROOM_FIXED_GSO);
    error = bpf_skb_adjust_room(skb, length + FAMILY_DIFFERENCE, BPF_ADJ_ROOM_MAC, BPF_F_ADJ_ROOM_FIXED_GSO);
    if (error)
        return error;
    return bpf_skb_adjust_room(skb, -FAMILY_DIFFERENCE, BPF_ADJ_ROOM_MAC,
                               BPF_F_ADJ_ROOM_FIXED_GSO | (v6 ? DECAP_L3_IPV6 : DECAP_L3_IPV4));
}

static __always_inline void write_nvgre(struct nvgre_header *nvgre, __u32 vsid, __u8 flow,
                                        const struct ethhdr *inner) {
    nvgre->gre.flags = bpf_htons(GRE_KEY_PRESENT);
    nvgre->gre.protocol = bpf_htons(ETH_P_TEB);
    nvgre->gre.key = bpf_htonl(vsid << 8 | flow);
    nvgre->inner = *inner;
}

/*
 * The outer headers of a packet of `length` bytes. RFC 6040 normal mode, RFC 2983 uniform model: the outer
 * DSCP and ECN are the inner packet's. With IPv6 the flow label carries the FlowID, for ECMP over headers
 * that routers read (RFC 6438).
 */
static __always_inline void write_outer4(struct iphdr *ip, __be32 from, __be32 to, __u8 tos, __u32 length) {
    __u32 *words = (void *)ip;
    __u32 first = bpf_htonl(0x45000000 | (__u32)tos << 16 | (length + TUNNEL_LENGTH));
    __u32 second = bpf_htonl(IP_DF), third = bpf_htonl(OUTER_TTL << 24 | IPPROTO_GRE << 16);

    words[0] = first;
    words[1] = second;
    words[2] = third;
    words[3] = from;
    words[4] = to;
    ip->check = ~fold((__u64)first + second + third + from + to);
}

static __always_inline void write_outer6(struct ipv6hdr *ip6, const __u8 *from, const __u8 *to, __u8 tos,
                                         __u8 flow, __u32 length) {
    ip6->version = 6;
    ip6->priority = tos >> 4;
    ip6->flow_lbl[0] = tos << 4;
    ip6->flow_lbl[1] = 0;
    ip6->flow_lbl[2] = flow;
    ip6->payload_len = bpf_htons(length + NVGRE_LENGTH);
    ip6->nexthdr = IPPROTO_GRE;
    ip6->hop_limit = OUTER_TTL;
    __builtin_memcpy(&ip6->saddr, from, HNV_ADDRESS_SIZE);
    __builtin_memcpy(&ip6->daddr, to, HNV_ADDRESS_SIZE);
}

static __always_inline long put_tunnel(struct __sk_buff *skb, const __u8 *from, const __u8 *to, __u32 vsid,
                                       __u8 tos, __u8 flow, __u32 length, const struct ethhdr *inner) {
    struct tunnel_header t = {};

    if (make_room(skb, false))
        return -1;
    write_outer4(&t.ip, v4_of(from), v4_of(to), tos, length);
    write_nvgre(&t.nvgre, vsid, flow, inner);
    return bpf_skb_store_bytes(skb, ETH_HLEN, &t, TUNNEL_LENGTH, 0);
}

static __always_inline long put_tunnel6(struct __sk_buff *skb, const __u8 *from, const __u8 *to, __u32 vsid,
                                        __u8 tos, __u8 flow, __u32 length, const struct ethhdr *inner) {
    struct tunnel6_header t = {};

    if (make_room(skb, true))
        return -1;
    write_outer6(&t.ip6, from, to, tos, flow, length);
    write_nvgre(&t.nvgre, vsid, flow, inner);
    return bpf_skb_store_bytes(skb, ETH_HLEN, &t, TUNNEL6_LENGTH, 0);
}

/* Bytes that the tunnel to a provider address puts in front of the inner IP header. */
static __always_inline __u32 overhead(const __u8 *provider_address) {
    return is_v4(provider_address) ? TUNNEL_LENGTH : TUNNEL6_LENGTH;
}

/* A group has no neighbour: its MAC follows from its address (RFC 1112 section 6.4, RFC 2464 section 7). */
static __always_inline int send_to_group(struct __sk_buff *skb, const struct hnv_port *port, const __u8 *to) {
    bool v6 = !is_v4(to);
    struct ethhdr ethernet = {
        .h_dest = {v6 ? 0x33 : 0x01, v6 ? 0x33 : 0, v6 ? to[12] : 0x5e, v6 ? to[13] : to[13] & 0x7f, to[14],
                   to[15]},
        .h_proto = v6 ? bpf_htons(ETH_P_IPV6) : bpf_htons(ETH_P_IP),
    };

    __builtin_memcpy(ethernet.h_source, port->provider_mac, HNV_MAC_SIZE);
    if (bpf_skb_store_bytes(skb, 0, &ethernet, sizeof(ethernet), 0))
        return TC_ACT_SHOT;
    return bpf_redirect(port->provider_ifindex, 0);
}

/* Sends the frame, whose IP packet is `packet`, to a provider address, with `inner` as its Ethernet header.
 */
static __always_inline int send_to(struct __sk_buff *skb, const struct hnv_port *port, const __u8 *to,
                                   __u32 vsid, const struct packet *packet, const struct ethhdr *inner) {
    __u32 length = skb->len - ETH_HLEN, packets = packets_in(skb);
    __u8 flow = flow_id(skb, packet, ETH_HLEN);
    struct hnv_traffic *count;
    long error;

    if (is_v4(to) != is_v4(port->provider_address))
        return drop(skb, port->domain, HNV_DROP_PROVIDER_FAMILY);
    if (is_v4(to))
        error = put_tunnel(skb, port->provider_address, to, vsid, packet->tos, flow, length, inner);
    else
        error = put_tunnel6(skb, port->provider_address, to, vsid, packet->tos, flow, length, inner);
    if (error)
        return drop(skb, port->domain, HNV_DROP_ENCAP_FAILED);
    count = traffic_of(port->domain);
    if (count) {
        count->encap_packets += packets;
        count->encap_bytes += length;
    }
    skb->mark = 0;
    return is_group(to) ? send_to_group(skb, port, to) : send_by(skb, port->provider_ifindex);
}

#endif
