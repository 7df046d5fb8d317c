/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * IPv6 prefix translation (NPTv6, RFC 6296): without state, and so that the sum of an address stays what it
 * was, so that no checksum changes. Addresses inside of ICMPv6 errors change as those outside do.
 */
#ifndef HNV_NPTV6_H
#define HNV_NPTV6_H

#include "session.h"

#define ALL_ONES 0xffff

union v6_address {
    __u8 bytes[HNV_ADDRESS_SIZE];
    __be32 words[4];
    __be16 halves[8];
};

/* The bits of the address's word of that number that are within a prefix. */
static __always_inline __be32 prefix_bits(__u32 length, __u32 word) {
    if (length >= 32 * (word + 1))
        return 0xffffffff;
    return length > 32 * word ? bpf_htonl(0xffffffff << (32 * (word + 1) - length)) : 0;
}

/*
 * Translates the address at `at` of the frame; false when it has no other form. The word that takes the
 * adjustment is the subnet's, or, where that is within the prefix, the first of the interface identifier that
 * is not all ones (sections 3.4 and 3.5): all ones are a second zero in this arithmetic, and would not come
 * back.
 */
__noinline int translate(struct __sk_buff *skb, __u32 at, struct hnv_translation *to) {
    union v6_address address;
    bool adjusted = false;
    __u32 sum;

    if (!to || bpf_skb_load_bytes(skb, at, &address, sizeof(address)))
        return false;
#pragma unroll
    for (__u32 i = 0; i < 4; i++) {
        __be32 bits = prefix_bits(to->length, i), prefix;

        __builtin_memcpy(&prefix, to->prefix + 4 * i, sizeof(prefix));
        address.words[i] = (address.words[i] & ~bits) | (prefix & bits);
    }
#pragma unroll
    for (__u32 i = 3; i < 8; i++) {
        if (adjusted || (i == 3) != (to->length <= 48) || address.halves[i] == ALL_ONES)
            continue;
        sum = address.halves[i] + to->adjustment;
        sum = (sum & 0xffff) + (sum >> 16);
        address.halves[i] = sum == ALL_ONES ? 0 : sum;
        adjusted = true;
    }
    return adjusted && !bpf_skb_store_bytes(skb, at, &address, sizeof(address), 0);
}

#endif
