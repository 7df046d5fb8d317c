/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* Fragmentation of IPv4 packets that are too big for a tunnel: inside of it (RFC 7637 section 4). */
#ifndef HNV_FRAGMENT_H
#define HNV_FRAGMENT_H

#include "error.h"
#include "part.h"

#define FRAGMENTS 64 /* most that a packet becomes */

/* More than the Ethernet and the IP header together; see complete_checksum(). */
struct unmarking {
    __u8 bytes[sizeof(struct iphdr) + 20];
};

/* Work of bpf_loop(): the sum of `length` bytes of the frame from `at` on; `failed` when they are not all
 * there. */
struct summing {
    struct __sk_buff *skb;
    struct quote *chunk;
    __s64 sum;
    __u32 at;
    __u32 length;
    bool failed;
};
#define SUM_CHUNKS (65536 / SUM_CHUNK)

static long sum_chunk(__u32 i, struct summing *summing) {
    __u32 done = i * SUM_CHUNK, size = summing->length - done, padded;

    if (done >= summing->length)
        return 1;
    if (size > SUM_CHUNK)
        size = SUM_CHUNK;
    padded = (size + 3) & ~3U;
    asm volatile("" : "+r"(padded)); /* else the bound that follows is not the register's that is used */
    summing->failed = padded > SUM_CHUNK || !summing->chunk ||
                      !load_quote(summing->skb, summing->at + done, summing->chunk, size);
    if (summing->failed)
        return 1;
    summing->sum = bpf_csum_diff(NULL, 0, (void *)summing->chunk->bytes, padded, summing->sum);
    return 0;
}

/*
 * Completes the transport checksum of an IPv4 packet whose sender leaves it to the NIC, which could not do it
 * for one fragment after the other; 0 when done, or when there was nothing to do. Such a field holds the sum
 * of the pseudo header, and nothing else does, but for one wrong checksum in 65,536.
 */
__noinline int complete_checksum(struct __sk_buff *skb, struct packet *packet) {
    __u32 key = 0, to;
    struct summing summing = {.skb = skb, .chunk = bpf_map_lookup_elem(&quote_scratch, &key)};
    struct unmarking start;
    __be32 rest[3];
    __be16 check = 0;

    if (!summing.chunk || !packet)
        return -1;
    if (packet->fragment || packet->header != sizeof(struct iphdr) ||
        (packet->protocol != IPPROTO_TCP && packet->protocol != IPPROTO_UDP))
        return 0;
    to = ETH_HLEN + sizeof(struct iphdr) + (packet->protocol == IPPROTO_TCP ? 16 : 6);
    if (bpf_skb_load_bytes(skb, to, &check, sizeof(check)))
        return 0;
    summing.length = packet->length - packet->header;
    summing.at = ETH_HLEN + packet->header;
    rest[0] = v4_of(packet->source);
    rest[1] = v4_of(packet->destination);
    rest[2] = bpf_htonl(packet->protocol << 16 | (summing.length & 0xffff));
    if (check != fold(bpf_csum_diff(NULL, 0, rest, sizeof(rest), 0)))
        return 0;
    bpf_loop(SUM_CHUNKS, sum_chunk, &summing, 0);
    if (summing.failed)
        return -1;
    check = ~fold(summing.sum);
    if (!check)
        check = 0xffff; /* RFC 768: zero says that there is none */
    /* The mark goes when what it points to is taken away; what was there is put back. */
    if (bpf_skb_load_bytes(skb, ETH_HLEN, &start, sizeof(start)) ||
        bpf_skb_adjust_room(skb, -(__s32)sizeof(start), BPF_ADJ_ROOM_MAC, 0) ||
        bpf_skb_adjust_room(skb, sizeof(start), BPF_ADJ_ROOM_MAC, 0) ||
        bpf_skb_store_bytes(skb, ETH_HLEN, &start, sizeof(start), 0) ||
        bpf_skb_store_bytes(skb, to, &check, sizeof(check), 0))
        return -1;
    return 0;
}

/* Payload of each fragment but the last. */
static __always_inline __u32 fragment_size(const struct packet *packet, __u32 mtu) {
    return (mtu - packet->header) & ~7U;
}

static long come_back_as_fragment(__u32 i, struct copying *copying) {
    return come_back(copying, PART_FRAGMENT | i);
}

/* An IPv4 packet that may be fragmented goes on as fragments (RFC 791; inside of the tunnel, RFC 7637 section
 * 4). */
static __always_inline int fragment(struct __sk_buff *skb, struct hnv_port *port, struct packet *packet,
                                    __u32 mtu) {
    struct copying copying = {.skb = skb,
                              .ifindex = skb->ifindex,
                              .count = traffic_of(port->domain),
                              .failed = drops_of(port->domain)};
    __u32 payload = packet->length - packet->header, count;

    if (packet->header != sizeof(struct iphdr) || mtu < 68 || complete_checksum(skb, packet))
        return drop(skb, port->domain, HNV_DROP_FRAGMENT_FAILED);
    count = (payload + fragment_size(packet, mtu) - 1) / fragment_size(packet, mtu);
    if (count > FRAGMENTS)
        return drop(skb, port->domain, HNV_DROP_FRAGMENT_FAILED);
    bpf_loop(count, come_back_as_fragment, &copying, 0);
    return TC_ACT_SHOT;
}

/* Makes the packet its own fragment of that number; false when there is no such. */
__noinline int cut(struct __sk_buff *skb, struct packet *packet, __u32 mtu, __u32 number) {
    __u32 size, start, end, payload, left;
    struct iphdr *ip;
    __u16 offset;

    if (!packet || mtu < 68)
        return 0;
    size = fragment_size(packet, mtu);
    payload = packet->length - packet->header;
    start = number * size;
    end = start + size < payload ? start + size : payload;
    if (start >= payload || bpf_skb_change_tail(skb, ETH_HLEN + sizeof(*ip) + end, 0))
        return 0;
    left = start;
    for (int i = 0; i < SHRINKS && left > 0; i++) {
        __u32 step = left < SHRINK_LIMIT ? left : SHRINK_LIMIT;

        if (bpf_skb_adjust_room(skb, -(__s32)step, BPF_ADJ_ROOM_NET, 0))
            return 0;
        left -= step;
    }
    ip = head(skb, ETH_HLEN + sizeof(*ip));
    if (!ip)
        return 0;
    ip = (void *)ip + ETH_HLEN;
    offset = bpf_ntohs(ip->frag_off);
    offset = (offset & IP_MF) | ((offset & IP_OFFSET) + start / 8);
    if (end < payload)
        offset |= IP_MF;
    ip->frag_off = bpf_htons(offset);
    ip->tot_len = bpf_htons(sizeof(*ip) + end - start);
    ip->check = 0;
    ip->check = ip_checksum(ip);
    packet->length = sizeof(*ip) + end - start;
    packet->fragment = true;
    packet->later = offset & IP_OFFSET;
    return 1;
}

#endif
