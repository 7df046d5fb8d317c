/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* Headers on the wire and small pieces of packet arithmetic; no maps, no policy. */
#ifndef HNV_PACKET_H
#define HNV_PACKET_H

#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <stdbool.h>
#include <stddef.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "layout.h"

#define IP_DF 0x4000
#define IP_MF 0x2000
#define IP_OFFSET 0x1FFF
#define IP_MF_OR_OFFSET 0x3FFF
#define IPV6_FRAGMENT 44
#define SHRINK_LIMIT 4088 /* most that bpf_skb_adjust_room() takes away at once, in whole units of 8 */
#define SHRINKS 17        /* to take all of an IP packet away */
#define ECN_MASK 3
#define ECN_CE 3

/* The MAC of the distributed router, the same on every host (policy/router.ts). */
static const __u8 router_mac[HNV_MAC_SIZE] = {0x02, 0x48, 0x4e, 0x56, 0x00, 0x01};

/* What is needed of an IP packet, in one form for both families. */
struct packet {
    __u8 source[HNV_ADDRESS_SIZE];
    __u8 destination[HNV_ADDRESS_SIZE];
    __u32 length; /* as its header says, header included */
    __u32 header; /* bytes; of IPv6 without extension headers */
    __u8 protocol;
    __u8 tos;
    __u8 ttl;
    bool v6;
    bool fragment; /* one of several */
    bool later;    /* and not the first */
    bool dont_fragment;
};

static __always_inline void map_v4(__u8 *address, __be32 v4) {
    __be32 words[4] = {0, 0, bpf_htonl(0xffff), v4};
    __builtin_memcpy(address, words, sizeof(words));
}

static __always_inline __be32 v4_of(const __u8 *address) {
    return ((const __be32 *)(const void *)address)[3];
}

static __always_inline bool is_v4(const __u8 *address) {
    const __be32 *words = (const void *)address;

    return !words[0] && !words[1] && words[2] == bpf_htonl(0xffff);
}

/* Both addresses stand in structs of maps or on the stack, aligned to 4 bytes. */
static __always_inline bool same_address(const __u8 *a, const __u8 *b) {
    const __u32 *x = (const void *)a, *y = (const void *)b;

    return x[0] == y[0] && x[1] == y[1] && x[2] == y[2] && x[3] == y[3];
}

/* 0.0.0.0 or :: */
static __always_inline bool is_unspecified(const __u8 *address) {
    const __u32 *words = (const void *)address;

    return !words[0] && !words[1] && !words[3] && (!words[2] || words[2] == bpf_htonl(0xffff));
}

/* fe80::/10 */
static __always_inline bool is_link_local(const __u8 *address) {
    return address[0] == 0xfe && (address[1] & 0xc0) == 0x80;
}

/* 224.0.0.0/4, 255.255.255.255 and the rest of class E, ff00::/8 */
static __always_inline bool is_group(const __u8 *address) {
    return is_v4(address) ? address[12] >= 224 : address[0] == 0xff;
}

static __always_inline bool same_mac(const __u8 *a, const __u8 *b) {
    return a[0] == b[0] && a[1] == b[1] && a[2] == b[2] && a[3] == b[3] && a[4] == b[4] && a[5] == b[5];
}

static __always_inline bool is_group_mac(const __u8 *mac) {
    return mac[0] & 1;
}

/* RFC 1071: the sum of 16-bit words, folded. */
static __always_inline __u16 fold(__u64 sum) {
    sum = (sum & 0xffffffff) + (sum >> 32);
    sum = (sum & 0xffff) + (sum >> 16);
    sum = (sum & 0xffff) + (sum >> 16);
    sum = (sum & 0xffff) + (sum >> 16);
    return sum;
}

/* RFC 1071 over a 20-byte header; 0 when the header's own checksum is right. */
static __always_inline __u16 ip_checksum(const struct iphdr *ip) {
    const __u16 *half = (const void *)ip;
    __u32 sum = 0;
#pragma unroll
    for (int i = 0; i < 10; i++)
        sum += half[i];
    return ~fold(sum);
}

/* One less TTL, checksum kept right (RFC 1141). */
static __always_inline void decrement_ttl(struct iphdr *ip) {
    __u32 check = ip->check;

    check += bpf_htons(0x0100);
    ip->check = check + (check >= 0xffff);
    ip->ttl--;
}

/* Marks congestion experienced, checksum kept right (RFC 1624). */
static __always_inline void set_ce(struct iphdr *ip) {
    __u8 tos = ip->tos | ECN_CE;

    ip->check = ~fold((__u64)(__u16)~ip->check + (__u16)~bpf_htons(ip->tos) + bpf_htons(tos));
    ip->tos = tos;
}

static __always_inline void set_ce6(struct ipv6hdr *ip6) {
    ip6->flow_lbl[0] |= ECN_CE << 4;
}

static __always_inline __u8 traffic_class(const struct ipv6hdr *ip6) {
    return ip6->priority << 4 | ip6->flow_lbl[0] >> 4;
}

/*
 * Read anew each time: a value that the compiler kept and moved is no packet pointer for the verifier any
 * more, nor is a context whose member's address it keeps.
 */
#define CONTEXT_POINTER(context, member)                                                                     \
    ({                                                                                                       \
        void *pointer_;                                                                                      \
        asm volatile("%0 = *(u32 *)(%1 + %2)"                                                                \
                     : "=r"(pointer_)                                                                        \
                     : "r"(context), "i"(offsetof(typeof(*(context)), member)));                             \
        pointer_;                                                                                            \
    })
static __always_inline void *packet_start(const struct __sk_buff *skb) {
    return CONTEXT_POINTER(skb, data);
}
static __always_inline void *packet_end(const struct __sk_buff *skb) {
    return CONTEXT_POINTER(skb, data_end);
}

/*
 * The frame's first `size` bytes in one piece for direct access; NULL when it is shorter. Pulls only when the
 * driver left them in fragments.
 */
static __always_inline void *head(struct __sk_buff *skb, __u32 size) {
    void *data = packet_start(skb);

    if (data + size > packet_end(skb)) {
        if (skb->len < size || bpf_skb_pull_data(skb, size))
            return NULL;
        data = packet_start(skb);
        if (data + size > packet_end(skb))
            return NULL;
    }
    return data;
}

/*
 * Reads the IPv4 header at `offset` of a frame; false when it is malformed or the packet longer than `room`,
 * the bytes that the frame has from there on. A super-packet's length field says nothing.
 */
static __always_inline bool read_v4(struct __sk_buff *skb, const __u32 offset, __u32 room,
                                    struct packet *packet) {
    struct iphdr *ip = head(skb, offset + sizeof(*ip));

    if (!ip)
        return false;
    ip = (void *)ip + offset;
    packet->header = ip->ihl * 4;
    packet->length = skb->gso_size ? room : bpf_ntohs(ip->tot_len);
    if (ip->version != 4 || ip->ihl < 5 || packet->length < packet->header || packet->length > room)
        return false;
    map_v4(packet->source, ip->saddr);
    map_v4(packet->destination, ip->daddr);
    packet->protocol = ip->protocol;
    packet->tos = ip->tos;
    packet->ttl = ip->ttl;
    packet->v6 = false;
    packet->fragment = ip->frag_off & bpf_htons(IP_MF_OR_OFFSET);
    packet->later = ip->frag_off & bpf_htons(IP_OFFSET);
    packet->dont_fragment = ip->frag_off & bpf_htons(IP_DF);
    return true;
}

/* The same for IPv6. */
static __always_inline bool read_v6(struct __sk_buff *skb, const __u32 offset, __u32 room,
                                    struct packet *packet) {
    struct ipv6hdr *ip6 = head(skb, offset + sizeof(*ip6));

    if (!ip6)
        return false;
    ip6 = (void *)ip6 + offset;
    packet->header = sizeof(*ip6);
    packet->length = skb->gso_size ? room : bpf_ntohs(ip6->payload_len) + sizeof(*ip6);
    if (ip6->version != 6 || packet->length > room)
        return false;
    __builtin_memcpy(packet->source, &ip6->saddr, HNV_ADDRESS_SIZE);
    __builtin_memcpy(packet->destination, &ip6->daddr, HNV_ADDRESS_SIZE);
    packet->protocol = ip6->nexthdr;
    packet->tos = traffic_class(ip6);
    packet->ttl = ip6->hop_limit;
    packet->v6 = true;
    packet->fragment = packet->later = ip6->nexthdr == IPV6_FRAGMENT;
    packet->dont_fragment = true;
    /* The v4-mapped form, which has no place on a wire, would pass for the IPv4 address. */
    return !is_v4(packet->source) && !is_v4(packet->destination);
}

static __always_inline bool read_packet(struct __sk_buff *skb, const __u32 offset, __u32 room, bool v6,
                                        struct packet *packet) {
    return v6 ? read_v6(skb, offset, room, packet) : read_v4(skb, offset, room, packet);
}

/* Both addresses of the frame's packet, of either family; false when the header is no such. */
static __always_inline bool read_addresses(struct __sk_buff *skb, __u8 *source, __u8 *destination) {
    struct ipv6hdr *ip6;
    struct iphdr *ip;

    if (skb->protocol == bpf_htons(ETH_P_IP)) {
        ip = head(skb, ETH_HLEN + sizeof(*ip));
        if (!ip)
            return false;
        ip = (void *)ip + ETH_HLEN;
        map_v4(source, ip->saddr);
        map_v4(destination, ip->daddr);
        return ip->version == 4;
    }
    ip6 = head(skb, ETH_HLEN + sizeof(*ip6));
    if (!ip6)
        return false;
    ip6 = (void *)ip6 + ETH_HLEN;
    __builtin_memcpy(source, &ip6->saddr, HNV_ADDRESS_SIZE);
    __builtin_memcpy(destination, &ip6->daddr, HNV_ADDRESS_SIZE);
    /* The v4-mapped form would pass for the IPv4 address. */
    return ip6->version == 6 && !is_v4(source) && !is_v4(destination);
}

/* Bytes from its IP header on that the largest packet will have which this one, a super-packet maybe, is sent
 * as. */
static __always_inline __u32 size_on_wire(struct __sk_buff *skb, const __u32 offset,
                                          const struct packet *packet, __u32 length) {
    __u32 transport = 8;
    __u8 words = 0;

    if (!skb->gso_size)
        return length;
    if (packet->protocol == IPPROTO_TCP) {
        if (bpf_skb_load_bytes(skb, offset + packet->header + 12, &words, sizeof(words)))
            return length;
        transport = (words >> 4) * 4;
    }
    return packet->header + transport + skb->gso_size;
}

#endif
