/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* Headers on the wire (RFC 7637) and small pieces of packet arithmetic; no maps, no policy. */
#ifndef HNV_PACKET_H
#define HNV_PACKET_H

#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <stdbool.h>
#include <stddef.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "layout.h"

#define VSID_FIRST 0x1000 /* RFC 7637 section 3.2: 0 to 0xFFF are reserved */
#define VSID_LAST 0xFFFFFE
#define GRE_KEY_PRESENT 0x2000 /* C=0, K=1, S=0, version 0: the only flags that NVGRE allows */
#define IP_DF 0x4000
#define IP_MF_OR_OFFSET 0x3FFF
#define ECN_MASK 3
#define ECN_CE 3

struct gre_header {
    __be16 flags;
    __be16 protocol;
    __be32 key; /* VSID << 8 | FlowID */
};

/*
 * What stands between the outer Ethernet header and the inner IP header. Not packed, so that the compiler may
 * load whole words; on the wire it is TUNNEL_LENGTH bytes, without the padding at the struct's end.
 */
struct tunnel_header {
    struct iphdr ip;
    struct gre_header gre;
    struct ethhdr inner;
};
#define GRE_LENGTH (sizeof(struct iphdr) + sizeof(struct gre_header))
#define TUNNEL_LENGTH (GRE_LENGTH + ETH_HLEN)
_Static_assert(offsetof(struct tunnel_header, inner) == GRE_LENGTH, "the tunnel header has no holes");

/* The MAC of the distributed router, the same on every host (../router-mac in policy/router.ts). */
static const __u8 router_mac[HNV_MAC_SIZE] = {0x02, 0x48, 0x4e, 0x56, 0x00, 0x01};

static __always_inline void map_v4(__u8 *address, __be32 v4) {
    __be32 words[4] = {0, 0, bpf_htonl(0xffff), v4};
    __builtin_memcpy(address, words, sizeof(words));
}

/* Both addresses stand in structs of maps, aligned to 4 bytes. */
static __always_inline bool same_address(const __u8 *a, const __u8 *b) {
    const __u32 *x = (const void *)a, *y = (const void *)b;

    return x[0] == y[0] && x[1] == y[1] && x[2] == y[2] && x[3] == y[3];
}

static __always_inline bool same_mac(const __u8 *a, const __u8 *b) {
    return a[0] == b[0] && a[1] == b[1] && a[2] == b[2] && a[3] == b[3] && a[4] == b[4] && a[5] == b[5];
}

/* RFC 1071 over a 20-byte header; 0 when the header's own checksum is right. */
static __always_inline __u16 ip_checksum(const struct iphdr *ip) {
    const __u16 *half = (const void *)ip;
    __u32 sum = 0;
#pragma unroll
    for (int i = 0; i < 10; i++)
        sum += half[i];
    sum = (sum & 0xffff) + (sum >> 16);
    sum = (sum & 0xffff) + (sum >> 16);
    return ~sum;
}

/* One less TTL, checksum kept right (RFC 1141). */
static __always_inline void decrement_ttl(struct iphdr *ip) {
    __u32 check = ip->check;

    check += bpf_htons(0x0100);
    ip->check = check + (check >= 0xffff);
    ip->ttl--;
}

/* Read anew each time: a value that the compiler kept and moved is no packet pointer for the verifier any
 * more. */
static __always_inline void *packet_start(const struct __sk_buff *skb) {
    return (void *)(long)*(const volatile __u32 *)&skb->data;
}
static __always_inline void *packet_end(const struct __sk_buff *skb) {
    return (void *)(long)*(const volatile __u32 *)&skb->data_end;
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

#endif
