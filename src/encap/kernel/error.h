/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* What the distributed router says by ICMP (RFC 792, RFC 4443): errors, and answers to pings. */
#ifndef HNV_ERROR_H
#define HNV_ERROR_H

#include "account.h"

#define ERROR_TTL 64
#define ERROR_INTERVAL_NS 1000000ULL /* at most 1,000 a second for each domain and CPU (RFC 1812 4.3.2.8) */
#define ICMP_LENGTH 8
/* A message stays within 576 bytes (RFC 1812 4.3.2.3), or within 1280 (RFC 4443 section 2.4 (c)). */
#define QUOTE_V4 (576 - sizeof(struct iphdr) - ICMP_LENGTH)
#define QUOTE_V6 (1280 - sizeof(struct ipv6hdr) - ICMP_LENGTH)
#define SUM_CHUNK 512 /* most that bpf_csum_diff() takes on Linux 6.1 */
#define QUOTE_ROOM (3 * SUM_CHUNK)

enum router_error {
    ERROR_TIME_EXCEEDED,
    ERROR_NO_ROUTE,
    ERROR_NO_HOST,
    ERROR_NO_PORT,
    ERROR_TOO_BIG,
};

struct icmp_header {
    __u8 type;
    __u8 code;
    __be16 check;
    __be32 rest; /* MTU where it says one */
};

struct quote {
    __u8 bytes[QUOTE_ROOM];
};
struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, struct quote);
} quote_scratch SEC(".maps");

static __always_inline void error_code(enum router_error error, bool v6, struct icmp_header *icmp) {
    switch (error) {
    case ERROR_TIME_EXCEEDED:
        icmp->type = v6 ? 3 : 11;
        break;
    case ERROR_NO_ROUTE:
        icmp->type = v6 ? 1 : 3;
        break;
    case ERROR_NO_HOST:
        icmp->type = v6 ? 1 : 3;
        icmp->code = v6 ? 3 : 1;
        break;
    case ERROR_NO_PORT:
        icmp->type = v6 ? 1 : 3;
        icmp->code = v6 ? 4 : 3;
        break;
    case ERROR_TOO_BIG:
        icmp->type = v6 ? 2 : 3;
        icmp->code = v6 ? 0 : 4;
        break;
    }
}

/*
 * RFC 1122 3.2.2, RFC 4443 2.4 (e): never about errors, groups, or what has no one sender; nor, in IPv4,
 * about later fragments. An IPv6 sender hears from fragments alone that they are too big.
 */
static __always_inline bool may_complain(struct __sk_buff *skb, const struct packet *packet) {
    __u8 type = 0;

    if ((packet->later && !packet->v6) || is_group(packet->destination) || is_group(packet->source) ||
        is_unspecified(packet->source))
        return false;
    if (packet->protocol != (packet->v6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP))
        return true;
    if (bpf_skb_load_bytes(skb, ETH_HLEN + packet->header, &type, sizeof(type)))
        return false;
    return packet->v6 ? type >= 128 && type < 133 : type == 0 || type == 8 || type >= 13;
}

static __always_inline bool may_send_error(__u32 domain) {
    struct hnv_drops *count = drops_of(domain);
    __u64 now = bpf_ktime_get_ns();

    if (!count || now - count->last_error_ns < ERROR_INTERVAL_NS)
        return false;
    count->last_error_ns = now;
    return true;
}

/* Loads `size` bytes of the frame, and zeroes behind them up to a multiple of 4; false when there are not so
 * many. */
static __always_inline bool load_quote(struct __sk_buff *skb, __u32 at, struct quote *quote, __u32 size) {
    __u32 last = size - 1;

    asm volatile("" : "+r"(last)); /* else 6.1's verifier loses the bounds */
    last &= 0x7ff;
    if (last >= QUOTE_ROOM - 4 || bpf_skb_load_bytes(skb, at, quote->bytes, last + 1))
        return false;
    quote->bytes[last + 1] = quote->bytes[last + 2] = quote->bytes[last + 3] = 0;
    return true;
}

/* The sum of the 16-bit words of a loaded quote. */
static __always_inline __u32 sum_of(struct quote *quote, __u32 size) {
    __s64 sum = 0;

#pragma unroll
    for (__u32 at = 0; at < QUOTE_ROOM; at += SUM_CHUNK) {
        __u32 length = size > at ? (size - at + 3) & ~3U : 0;

        if (length > SUM_CHUNK)
            length = SUM_CHUNK;
        sum = bpf_csum_diff(NULL, 0, (void *)(quote->bytes + at), length, sum);
    }
    return sum;
}

/*
 * A packet whose checksum its sender leaves to the NIC stays marked so when it becomes the quote of an error,
 * and no helper takes the mark away: who carries it out sums from the quoted transport header to the end and
 * writes the result into the quoted checksum, which would spoil ours. So the quoted checksum, which nobody
 * verifies, gets the one value that this leaves as it is: with S the sum of all the rest of that range, the
 * field c becomes -(S + c), which is c again for c = -S/2. Half is times 2^15 in the arithmetic of checksums
 * (modulo 2^16 - 1).
 */
static __always_inline void settle_checksum(struct quote *quote, __u32 quoted, const struct packet *packet,
                                            __u32 total) {
    __u32 at = packet->header, to = packet->protocol == IPPROTO_TCP ? 16 : 6, before;
    __be16 *field;

    if (packet->later || (packet->protocol != IPPROTO_TCP && packet->protocol != IPPROTO_UDP) || at > 60 ||
        at & 3 || at + to + sizeof(*field) > quoted)
        return;
    before = bpf_csum_diff(NULL, 0, (void *)quote->bytes, at, 0);
    field = (void *)(quote->bytes + at + to);
    before = fold((__u64)before + *field);
    *field = fold((__u64)(__u16)~fold((__u64)fold(total) + (__u16)~before) << 15);
}

/* Swaps the frame's MACs: back to its sender, from the router. */
static __always_inline void turn_round(struct ethhdr *ethernet) {
    __builtin_memcpy(ethernet->h_dest, ethernet->h_source, HNV_MAC_SIZE);
    __builtin_memcpy(ethernet->h_source, router_mac, HNV_MAC_SIZE);
}

static __always_inline void write_error_v4(struct iphdr *ip, const __u8 *router, const struct packet *packet,
                                           __u32 length) {
    __builtin_memset(ip, 0, sizeof(*ip));
    ip->version = 4;
    ip->ihl = 5;
    ip->tos = 0xc0; /* RFC 1812 4.3.2.5: internetwork control */
    ip->tot_len = bpf_htons(sizeof(*ip) + length);
    ip->ttl = ERROR_TTL;
    ip->protocol = IPPROTO_ICMP;
    ip->saddr = v4_of(router);
    ip->daddr = v4_of(packet->source);
    ip->check = ip_checksum(ip);
}

static __always_inline void write_error_v6(struct ipv6hdr *ip6, const __u8 *router,
                                           const struct packet *packet, __u32 length) {
    __builtin_memset(ip6, 0, sizeof(*ip6));
    ip6->version = 6;
    ip6->payload_len = bpf_htons(length);
    ip6->nexthdr = IPPROTO_ICMPV6;
    ip6->hop_limit = ERROR_TTL;
    __builtin_memcpy(&ip6->saddr, router, HNV_ADDRESS_SIZE);
    __builtin_memcpy(&ip6->daddr, packet->source, HNV_ADDRESS_SIZE);
}

/* The pseudo header of ICMPv6 (RFC 8200 section 8.1). */
static __always_inline __u32 pseudo_sum(struct ipv6hdr *ip6) {
    __be32 rest[2] = {bpf_htonl(bpf_ntohs(ip6->payload_len)), bpf_htonl(IPPROTO_ICMPV6)};
    __s64 sum = bpf_csum_diff(NULL, 0, (void *)&ip6->saddr, 2 * HNV_ADDRESS_SIZE, 0);

    return bpf_csum_diff(NULL, 0, rest, sizeof(rest), sum);
}

struct error_message {
    union {
        struct {
            struct iphdr ip;
            struct icmp_header icmp;
        } v4;
        struct {
            struct ipv6hdr ip6;
            struct icmp_header icmp;
        } v6;
    };
};

/*
 * Makes the frame that short; 0 when done. What is behind its Ethernet header is to be written anew. The
 * helper for this refuses a frame that has come out of a tunnel; then bytes in the middle go, which a
 * super-packet does not survive as one packet: that its sender has to send in parts again.
 */
static __always_inline long shorten(struct __sk_buff *skb, __u32 length) {
    __u32 excess = skb->len - length, step;

    if (!excess && !skb->gso_size)
        return 0;
    if (!bpf_skb_change_tail(skb, length, 0))
        return 0;
    if (skb->gso_size)
        return -1;
    for (int i = 0; i < SHRINKS && excess > 0; i++) {
        step = excess < SHRINK_LIMIT ? excess : SHRINK_LIMIT;
        if (bpf_skb_adjust_room(skb, -(__s32)step, BPF_ADJ_ROOM_MAC, 0))
            return -1;
        excess -= step;
    }
    return 0;
}

/*
 * Makes an ICMP error of the packet that it is about, from the `.1` of the subnet; 0 when done. The Ethernet
 * header is left to the caller. `packet` becomes that of the error. `what` is the
 * error, with the MTU shifted by 8 where it names one.
 */
__noinline int make_error(struct __sk_buff *skb, struct packet *packet, struct hnv_subnet *subnet,
                          __u32 what) {
    enum router_error error = what & 0xff;
    __u32 mtu = what >> 8, key = 0, quoted, last;
    struct quote *quote = bpf_map_lookup_elem(&quote_scratch, &key);
    struct error_message message = {};
    struct icmp_header *icmp;
    const __u8 *router;
    __u32 sum, limit;

    if (!quote || !packet || !subnet)
        return -1;
    limit = packet->v6 ? QUOTE_V6 : QUOTE_V4;
    quoted = skb->len - ETH_HLEN;
    if (packet->length < quoted)
        quoted = packet->length;
    if (quoted > limit)
        quoted = limit;
    if (!load_quote(skb, ETH_HLEN, quote, quoted) || shorten(skb, ETH_HLEN + quoted))
        return -1;
    settle_checksum(quote, quoted, packet, sum_of(quote, quoted));
    sum = sum_of(quote, quoted);
    last = quoted - 1;
    asm volatile("" : "+r"(last));
    last &= 0x7ff;
    if (last >= QUOTE_ROOM || bpf_skb_store_bytes(skb, ETH_HLEN, quote->bytes, last + 1, 0))
        return -1;

    icmp = packet->v6 ? &message.v6.icmp : &message.v4.icmp;
    error_code(error, packet->v6, icmp);
    /* Who was asked answers (RFC 1122 3.2.1.3, RFC 4443 2.2 (a)). */
    if (error == ERROR_NO_PORT)
        router = packet->destination;
    else
        router = packet->v6 ? subnet->router6 : subnet->router;
    if (error == ERROR_TOO_BIG)
        icmp->rest = bpf_htonl(mtu);
    if (packet->v6) {
        write_error_v6(&message.v6.ip6, router, packet, ICMP_LENGTH + quoted);
        sum = bpf_csum_diff(NULL, 0, (void *)icmp, ICMP_LENGTH, sum);
        icmp->check = ~fold((__u64)sum + pseudo_sum(&message.v6.ip6));
        if (bpf_skb_adjust_room(skb, sizeof(message.v6), BPF_ADJ_ROOM_MAC, 0) ||
            bpf_skb_store_bytes(skb, ETH_HLEN, &message.v6, sizeof(message.v6), 0))
            return -1;
        packet->protocol = IPPROTO_ICMPV6;
        packet->tos = 0;
        __builtin_memcpy(packet->destination, packet->source, HNV_ADDRESS_SIZE);
        __builtin_memcpy(packet->source, &message.v6.ip6.saddr, HNV_ADDRESS_SIZE);
    } else {
        write_error_v4(&message.v4.ip, router, packet, ICMP_LENGTH + quoted);
        sum = bpf_csum_diff(NULL, 0, (void *)icmp, ICMP_LENGTH, sum);
        icmp->check = ~fold(sum);
        if (bpf_skb_adjust_room(skb, sizeof(message.v4), BPF_ADJ_ROOM_MAC, 0) ||
            bpf_skb_store_bytes(skb, ETH_HLEN, &message.v4, sizeof(message.v4), 0))
            return -1;
        packet->protocol = IPPROTO_ICMP;
        packet->tos = 0xc0;
        __builtin_memcpy(packet->destination, packet->source, HNV_ADDRESS_SIZE);
        map_v4(packet->source, message.v4.ip.saddr);
    }
    packet->fragment = packet->later = false;
    return 0;
}

/* The answer to a ping of a `.1`, made of the ping itself: addresses change places, which no checksum
 * notices. */
static __always_inline bool make_echo_reply(struct __sk_buff *skb, const struct packet *packet) {
    __u32 at = ETH_HLEN + packet->header;
    struct icmp_header icmp;
    struct ipv6hdr *ip6;
    struct iphdr *ip;

    if (packet->fragment || bpf_skb_load_bytes(skb, at, &icmp, sizeof(icmp)) || icmp.code ||
        icmp.type != (packet->v6 ? 128 : 8))
        return false;
    icmp.check =
        ~fold((__u64)(__u16)~icmp.check + (packet->v6 ? bpf_htons(0x0100) : (__u16)~bpf_htons(0x0800)));
    icmp.type = packet->v6 ? 129 : 0;
    if (bpf_skb_store_bytes(skb, at, &icmp, 4, 0))
        return false;
    if (packet->v6) {
        ip6 = head(skb, ETH_HLEN + sizeof(*ip6));
        if (!ip6)
            return false;
        ip6 = (void *)ip6 + ETH_HLEN;
        __builtin_memcpy(&ip6->saddr, packet->destination, HNV_ADDRESS_SIZE);
        __builtin_memcpy(&ip6->daddr, packet->source, HNV_ADDRESS_SIZE);
        ip6->hop_limit = ERROR_TTL;
        return true;
    }
    ip = head(skb, ETH_HLEN + sizeof(*ip));
    if (!ip)
        return false;
    ip = (void *)ip + ETH_HLEN;
    ip->check = ~fold((__u64)(__u16)~ip->check + (__u16)~bpf_htons(ip->ttl << 8) + bpf_htons(ERROR_TTL << 8));
    ip->ttl = ERROR_TTL;
    ip->saddr = v4_of(packet->destination);
    ip->daddr = v4_of(packet->source);
    return true;
}

#endif
