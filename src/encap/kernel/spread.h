/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Spreads NVGRE frames over CPUs by their inner flows, for NICs that hash outer addresses alone: all that two
 * hosts say to each other comes by one of their queues, and so to one CPU. The CPU that a frame is sent to
 * does all of the work, on the fast path or above.
 */
#ifndef HNV_SPREAD_H
#define HNV_SPREAD_H

#include "established_xdp.h"

/* The upper half depends on all bits of all words. */
static __always_inline __u64 mixed(__u64 hash, __u32 word) {
    return (hash ^ word) * 0x9e3779b97f4a7c15ULL;
}

/* Mixes in the ports at `at`. */
static __always_inline __u64 with_ports(__u64 hash, const void *at, const void *end, __u8 protocol) {
    if ((protocol != IPPROTO_TCP && protocol != IPPROTO_UDP) || at + sizeof(__u32) > end)
        return hash;
    return mixed(hash, *(const __u32 *)at);
}

/* All fragments of a packet go to one CPU, which their ports cannot tell. */
static __always_inline __u64 hash4(const struct iphdr *ip, const void *end) {
    __u64 hash;

    if ((const void *)(ip + 1) > end)
        return 0;
    hash = mixed(mixed(0, ip->saddr), ip->daddr);
    if (*(const __u8 *)ip != IPV4_PLAIN || ip->frag_off & bpf_htons(IP_MF_OR_OFFSET))
        return hash;
    return with_ports(hash, ip + 1, end, ip->protocol);
}

static __always_inline __u64 hash6(const struct ipv6hdr *ip6, const void *end) {
    const __u32 *words = (const void *)&ip6->saddr;
    __u64 hash = 0;

    if ((const void *)(ip6 + 1) > end)
        return 0;
#pragma unroll
    for (int i = 0; i < 2 * HNV_ADDRESS_SIZE / 4; i++)
        hash = mixed(hash, words[i]);
    return with_ports(hash, ip6 + 1, end, ip6->nexthdr);
}

static __always_inline __u64 inner_hash(const struct ethhdr *ethernet, const void *end, const bool outer_v6) {
    const struct nvgre_header *nvgre =
        (const void *)(ethernet + 1) + (outer_v6 ? TUNNEL6_LENGTH : TUNNEL_LENGTH) - NVGRE_LENGTH;
    __be16 type = inner_type(ethernet, end, outer_v6);

    if (!type || nvgre->gre.flags != bpf_htons(GRE_KEY_PRESENT) ||
        nvgre->gre.protocol != bpf_htons(ETH_P_TEB))
        return 0;
    if (type == bpf_htons(ETH_P_IP))
        return hash4((const void *)nvgre + NVGRE_LENGTH, end);
    return type == bpf_htons(ETH_P_IPV6) ? hash6((const void *)nvgre + NVGRE_LENGTH, end) : 0;
}

/* The same for all packets of a flow inside NVGRE; 0 for everything else. */
static __always_inline __u32 flow_hash(struct xdp_md *frame) {
    const struct ethhdr *ethernet = frame_start(frame);
    const struct ipv6hdr *ip6 = (const void *)(ethernet + 1);
    const struct iphdr *ip = (const void *)(ethernet + 1);
    const void *end = frame_end(frame);
    __be16 type;

    if ((const void *)(ip6 + 1) > end)
        return 0;
    type = ethernet_type(ethernet);
    if (type == bpf_htons(ETH_P_IP) && *(const __u8 *)ip == IPV4_PLAIN && ip->protocol == IPPROTO_GRE)
        return inner_hash(ethernet, end, false) >> 32;
    if (type == bpf_htons(ETH_P_IPV6) && ip6->nexthdr == IPPROTO_GRE)
        return inner_hash(ethernet, end, true) >> 32;
    return 0;
}

/* What cannot be sent to another CPU goes up the stack on this one. */
static __always_inline int spread_frame(struct xdp_md *frame) {
    __u32 zero = 0, hash = flow_hash(frame), cpu;
    const struct hnv_spread *over = bpf_map_lookup_elem(&spread_over, &zero);

    if (over && over->count && hash) {
        cpu = over->cpus[((__u64)hash * over->count >> 32) & (HNV_SPREAD_CPUS - 1)];
        if (cpu != bpf_get_smp_processor_id())
            return bpf_redirect_map(&spread_cpus, cpu, XDP_PASS);
    }
    return from_frame(frame);
}

#endif
