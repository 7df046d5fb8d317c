/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * The far end of the packet-rate paths (TC ingress of the receiver's NIC): counts and drops the generator's
 * datagrams that arrived with the expected source address, behind NAT a public one, and counts apart those
 * that did not. Everything else passes.
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/pkt_cls.h>
#include <linux/udp.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#define DISCARD_PORT 9

struct bench_expected {
    __be32 source;
};

struct bench_count {
    __u64 expected;
    __u64 other;
};

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, struct bench_expected);
} expected SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, struct bench_count);
} counts SEC(".maps");

SEC("tc")
int bench_sink(struct __sk_buff *skb) {
    struct iphdr *ip = (void *)(long)skb->data + sizeof(struct ethhdr);
    struct udphdr *udp = (void *)(ip + 1);
    struct bench_expected *wanted;
    struct bench_count *count;
    __u32 key = 0;

    if (skb->protocol != bpf_htons(ETH_P_IP) || (void *)(udp + 1) > (void *)(long)skb->data_end)
        return TC_ACT_OK;
    if (ip->protocol != IPPROTO_UDP || udp->dest != bpf_htons(DISCARD_PORT))
        return TC_ACT_OK;
    wanted = bpf_map_lookup_elem(&expected, &key);
    count = bpf_map_lookup_elem(&counts, &key);
    if (!wanted || !count)
        return TC_ACT_OK;
    if (ip->saddr == wanted->source)
        count->expected++;
    else
        count->other++;
    return TC_ACT_SHOT;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
