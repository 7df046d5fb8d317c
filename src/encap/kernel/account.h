/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* Counters for each domain, and the one way to drop a packet: counted under a reason, sampled for the
 * operator. */
#ifndef HNV_ACCOUNT_H
#define HNV_ACCOUNT_H

#include <linux/pkt_cls.h>

#include "packet.h"

#define SAMPLE_BYTES 128               /* a power of two, no more than the sample's head has room for */
#define SAMPLE_INTERVAL_NS 10000000ULL /* at most 100 samples a second for each domain and CPU */

static __always_inline struct hnv_traffic *traffic_of(__u32 domain) {
    return bpf_map_lookup_elem(&traffic, &domain);
}

static __always_inline struct hnv_drops *drops_of(__u32 domain) {
    return bpf_map_lookup_elem(&drops, &domain);
}

/* A super-packet counts as the packets that it stands for; its bytes are counted as they are, headers once.
 */
static __always_inline __u32 packets_in(struct __sk_buff *skb) {
    return skb->gso_segs > 1 ? skb->gso_segs : 1;
}

static __always_inline void sample_drop(struct __sk_buff *skb, __u32 domain, enum hnv_drop_reason reason) {
    __u32 key = 0;
    struct hnv_drop_sample *sample = bpf_map_lookup_elem(&drop_scratch, &key);
    __u32 last = (skb->len < SAMPLE_BYTES ? skb->len : SAMPLE_BYTES) - 1;

    if (!sample)
        return;
    sample->time_ns = bpf_ktime_get_ns();
    sample->domain = domain;
    sample->reason = reason;
    sample->ifindex = skb->ifindex;
    sample->length = skb->len;
    /* A mask on a value that the compiler knows nothing of: the one bound that every verifier since 6.1
     * follows. */
    asm volatile("" : "+r"(last));
    last &= SAMPLE_BYTES - 1;
    sample->captured = bpf_skb_load_bytes(skb, 0, sample->head, last + 1) ? 0 : last + 1;
    bpf_ringbuf_output(&drop_samples, sample, sizeof(*sample), 0);
}

__noinline int drop(struct __sk_buff *skb, __u32 domain, enum hnv_drop_reason reason) {
    struct hnv_drops *count = drops_of(domain);
    __u64 now;

    if (count && reason < HNV_DROP_REASONS) {
        count->packets[reason]++;
        now = bpf_ktime_get_ns();
        if (now - count->last_sample_ns >= SAMPLE_INTERVAL_NS) {
            count->last_sample_ns = now;
            sample_drop(skb, domain, reason);
        }
    }
    return TC_ACT_SHOT;
}

#endif
