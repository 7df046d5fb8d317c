/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * The fast path for what is an skb already: super-packets stay whole, and checksums that are left to the NIC
 * are right. What is of no flow is considered for learning, and goes the slow way.
 */
#ifndef HNV_ESTABLISHED_SKB_H
#define HNV_ESTABLISHED_SKB_H

#include "established_leave.h"

#define HEADERS (ETH_HLEN + TUNNEL6_LENGTH + sizeof(struct ipv6hdr) + TCP_HEADER)
#define HEADERS_PLAIN (ETH_HLEN + sizeof(struct ipv6hdr) + TCP_HEADER)

static __noinline bool refresh_skb(void *skb, struct hnv_flow *flow, struct question *question, __u32 now) {
    return keep(bpf_skb_ct_lookup(skb, &question->tuple, tuple_size(question), &question->options,
                                  sizeof(question->options)),
                flow, question, now);
}

/* Has the headers in reach of direct access, where a driver left them elsewhere. */
static __always_inline void pull_headers(struct __sk_buff *skb, const __u32 size) {
    if (packet_start(skb) + size > packet_end(skb))
        bpf_skb_pull_data(skb, skb->len < size ? skb->len : size);
}

/* The largest packet that the skb will be sent as, from its IP header on. */
static __always_inline __u32 size_sent(const struct __sk_buff *skb, const struct candidate *packet,
                                       const bool v6) {
    if (!skb->gso_size)
        return packet->length;
    return (v6 ? sizeof(struct ipv6hdr) : sizeof(struct iphdr)) + packet->transport + skb->gso_size;
}

/* Frames with something behind their packet are not worth it. */
static __always_inline bool may_pass_skb(struct __sk_buff *skb, struct hnv_flow *flow,
                                         const struct candidate *packet, const bool v6, const __u8 *mac) {
    struct hnv_fast_domain *policy = policy_of(flow);

    return policy && packet->room == packet->length && size_sent(skb, packet, v6) <= flow->longest &&
           may_pass(flow, packet, skb->ifindex, mac) &&
           (!is_time(flow) || goes_on(skb, refresh_skb, flow, packet, v6, policy));
}

/* Of TCP, UDP and echoes, behind the IP header. */
static __always_inline __u32 checksum_at(__u8 protocol) {
    if (protocol == IPPROTO_TCP)
        return 16;
    return protocol == IPPROTO_UDP ? 6 : offsetof(struct echo, checksum);
}

/* One's complement sums are the kernel's to apply: a checksum that is not finished has no ports in it. */
static __always_inline bool rewrite_skb(struct __sk_buff *skb, const struct hnv_flow *flow,
                                        const struct candidate *packet, const bool v6) {
    const __u32 header = v6 ? sizeof(struct ipv6hdr) : sizeof(struct iphdr);
    __u32 at = ETH_HLEN + header, check = at + checksum_at(packet->protocol);
    __u64 flags = packet->protocol == IPPROTO_UDP ? BPF_F_MARK_MANGLED_0 : 0;
    bool is_echo = packet->protocol == icmp_of(v6);
    struct ipv6hdr *ip6;
    struct iphdr *ip;

    if ((flow->address_sum && (v6 || !is_echo) &&
         bpf_l4_csum_replace(skb, check, 0, flow->address_sum, flags | BPF_F_PSEUDO_HDR)) ||
        (flow->port_sum && bpf_l4_csum_replace(skb, check, 0, flow->port_sum, flags)))
        return false;
    if (is_echo ? bpf_skb_store_bytes(skb, at + offsetof(struct echo, identifier), &flow->source_port,
                                      sizeof(__be16), 0)
                : bpf_skb_store_bytes(skb, at, &flow->source_port, 2 * sizeof(__be16), 0))
        return false;
    if (v6) {
        ip6 = head(skb, ETH_HLEN + sizeof(*ip6));
        if (!ip6)
            return false;
        ip6 = (void *)ip6 + ETH_HLEN;
        ip6->hop_limit -= flow->hops;
        __builtin_memcpy(&ip6->saddr, flow->source, HNV_ADDRESS_SIZE);
        __builtin_memcpy(&ip6->daddr, flow->destination, HNV_ADDRESS_SIZE);
        return true;
    }
    ip = head(skb, ETH_HLEN + sizeof(*ip));
    if (!ip)
        return false;
    ip = (void *)ip + ETH_HLEN;
    ip->check = changed_checksum(ip->check, (__u32)flow->address_sum + hops_sum(flow->hops));
    ip->ttl -= flow->hops;
    ip->saddr = v4_of(flow->source);
    ip->daddr = v4_of(flow->destination);
    return true;
}

static __always_inline int send_fast(struct __sk_buff *skb, const struct hnv_flow *flow, __be16 protocol) {
    struct ethhdr ethernet = {.h_proto = protocol};

    __builtin_memcpy(&ethernet, flow->destination_mac, 2 * HNV_MAC_SIZE);
    if (bpf_skb_store_bytes(skb, 0, &ethernet, sizeof(ethernet), 0) ||
        (flow->vlan && bpf_skb_vlan_push(skb, bpf_htons(ETH_P_8021Q), flow->vlan)))
        return TC_ACT_SHOT;
    skb->mark = 0;
    return bpf_redirect(flow->ifindex, 0);
}

static __always_inline int tunnelled_skb(struct __sk_buff *skb, struct ethhdr *ethernet, const bool outer_v6,
                                         const bool v6) {
    struct candidate packet = {.ip = NULL};
    struct hnv_flow *flow =
        find_tunnelled(ethernet, packet_end(skb), skb->len - ETH_HLEN, outer_v6, v6, skb->gso_size, &packet);

    if (!flow || !may_pass_skb(skb, flow, &packet, v6, ethernet->h_dest)) {
        consider(skb, &packet, v6, flow);
        return NOT_FAST;
    }
    count_fast(flow, &packet, packets_in(skb));
    if (strip_tunnel(skb, outer_v6 ? TUNNEL6_LENGTH : TUNNEL_LENGTH, v6) ||
        !rewrite_skb(skb, flow, &packet, v6))
        return drop(skb, flow->domain, HNV_DROP_DECAP_FAILED);
    return send_fast(skb, flow, v6 ? bpf_htons(ETH_P_IPV6) : bpf_htons(ETH_P_IP));
}

static __always_inline int outer_skb(struct __sk_buff *skb, const bool outer_v6) {
    struct ethhdr *ethernet;
    __be16 type;

    pull_headers(skb, HEADERS);
    ethernet = packet_start(skb);
    type = inner_type(ethernet, packet_end(skb), outer_v6);
    if (type == bpf_htons(ETH_P_IP))
        return tunnelled_skb(skb, ethernet, outer_v6, false);
    return type == bpf_htons(ETH_P_IPV6) ? tunnelled_skb(skb, ethernet, outer_v6, true) : not_fast();
}

/* From the provider network; NOT_FAST for what goes the slow way. By itself, for the verifier's sake. */
__noinline int skb_from_provider(struct __sk_buff *skb) {
    if (skb->protocol == bpf_htons(ETH_P_IP))
        return outer_skb(skb, false);
    return skb->protocol == bpf_htons(ETH_P_IPV6) ? outer_skb(skb, true) : not_fast();
}

static __always_inline int plain_skb(struct __sk_buff *skb, struct ethhdr *ethernet, __u16 vlan,
                                     const bool v6) {
    struct ethhdr inner = {.h_proto = v6 ? bpf_htons(ETH_P_IPV6) : bpf_htons(ETH_P_IP)};
    struct candidate packet = {.ip = NULL};
    struct hnv_flow *flow = find_plain(ethernet + 1, packet_end(skb), skb->len - ETH_HLEN, v6, skb->ifindex,
                                       vlan, skb->gso_size, &packet);
    const struct hnv_flow_tunnel *goes;
    __u32 vsid, length;
    bool outer_v6;

    if (!flow || !may_pass_skb(skb, flow, &packet, v6, ethernet->h_dest)) {
        consider(skb, &packet, v6, flow);
        return NOT_FAST;
    }
    count_fast(flow, &packet, packets_in(skb));
    if ((vlan && bpf_skb_vlan_pop(skb)) || !rewrite_skb(skb, flow, &packet, v6))
        return drop(skb, flow->domain, HNV_DROP_ENCAP_FAILED);
    goes = &flow->tunnel;
    outer_v6 = flow->flags & HNV_FLOW_V6;
    __builtin_memcpy(&inner, goes->destination_mac, 2 * HNV_MAC_SIZE);
    vsid = bpf_ntohl(goes->key) >> 8;
    length = skb->len - ETH_HLEN;
    if (outer_v6 ? put_tunnel6(skb, goes->source, goes->destination, vsid, packet.tos, bpf_ntohl(goes->key),
                               length, &inner)
                 : put_tunnel(skb, goes->source, goes->destination, vsid, packet.tos, bpf_ntohl(goes->key),
                              length, &inner))
        return drop(skb, flow->domain, HNV_DROP_ENCAP_FAILED);
    return send_fast(skb, flow, outer_v6 ? bpf_htons(ETH_P_IPV6) : bpf_htons(ETH_P_IP));
}

/* From the network outside; a tag of priority alone is none (IEEE 802.1Q), and the slow path's work. */
__noinline int skb_from_uplink(struct __sk_buff *skb) {
    __u16 vlan = skb->vlan_present ? skb->vlan_tci & 0xfff : 0;
    struct ethhdr *ethernet;

    if (skb->vlan_present && (!vlan || skb->vlan_proto != bpf_htons(ETH_P_8021Q)))
        return not_fast();
    pull_headers(skb, HEADERS_PLAIN);
    ethernet = packet_start(skb);
    if ((void *)(ethernet + 1) > packet_end(skb))
        return not_fast();
    if (skb->protocol == bpf_htons(ETH_P_IP))
        return plain_skb(skb, ethernet, vlan, false);
    return skb->protocol == bpf_htons(ETH_P_IPV6) ? plain_skb(skb, ethernet, vlan, true) : not_fast();
}

#endif
