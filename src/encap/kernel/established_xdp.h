/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * The fast path before a packet becomes an skb: what is of a flow that was learned is rewritten in its frame
 * and sent out of the other NIC; everything else goes up, to the slow path. A frame is whole here, with all
 * of its checksums filled in: what virtual links leave out for each other cannot be seen.
 */
#ifndef HNV_ESTABLISHED_XDP_H
#define HNV_ESTABLISHED_XDP_H

#include "established.h"

#define VLAN_LENGTH 4
#define VLAN_ID 0xfff

static __always_inline void *frame_start(const struct xdp_md *frame) {
    return CONTEXT_POINTER(frame, data);
}
static __always_inline void *frame_end(const struct xdp_md *frame) {
    return CONTEXT_POINTER(frame, data_end);
}

static __noinline bool refresh_frame(void *frame, struct hnv_flow *flow, struct question *question,
                                     __u32 now) {
    return keep(bpf_xdp_ct_lookup(frame, &question->tuple, tuple_size(question), &question->options,
                                  sizeof(question->options)),
                flow, question, now);
}

/* False for what read_transport() has seen to be too short, which the verifier does not remember. */
static __always_inline bool change_ports(void *at, const void *end, const struct hnv_flow *flow,
                                         __u8 protocol, const bool v6) {
    __u32 sum = (__u32)flow->address_sum + flow->port_sum;
    __u16 *udp = at + 6, *tcp = at + 16;
    struct echo *echo = at;
    __be16 *ports = at;

    if (protocol != IPPROTO_TCP && protocol != IPPROTO_UDP) {
        echo->checksum = changed_checksum(echo->checksum, echo_sum(flow, v6));
        echo->identifier = flow->source_port;
        return true;
    }
    ports[0] = flow->source_port;
    ports[1] = flow->destination_port;
    if (protocol == IPPROTO_TCP) {
        if ((void *)(tcp + 1) > end)
            return false;
        *tcp = changed_checksum(*tcp, sum);
    } else if (*udp) {
        *udp = changed_checksum(*udp, sum);
        if (!*udp)
            *udp = 0xffff; /* 0 says that there is none (RFC 768) */
    }
    return true;
}

/* What the context's kernel and the distributed router do to the packet: translation, and a hop or two. */
static __always_inline bool rewrite4(struct iphdr *ip, const void *end, const struct hnv_flow *flow,
                                     __u8 protocol) {
    ip->check = changed_checksum(ip->check, (__u32)flow->address_sum + hops_sum(flow->hops));
    ip->ttl -= flow->hops;
    ip->saddr = v4_of(flow->source);
    ip->daddr = v4_of(flow->destination);
    return change_ports(ip + 1, end, flow, protocol, false);
}

static __always_inline bool rewrite6(struct ipv6hdr *ip6, const void *end, const struct hnv_flow *flow,
                                     __u8 protocol) {
    ip6->hop_limit -= flow->hops;
    copy_words(&ip6->saddr, flow->source, HNV_ADDRESS_SIZE);
    copy_words(&ip6->daddr, flow->destination, HNV_ADDRESS_SIZE);
    return change_ports(ip6 + 1, end, flow, protocol, true);
}

/* Takes away `length` bytes in front of the IP packet that is left, and puts the flow's Ethernet header
 * there. */
static __always_inline int send_plain(struct xdp_md *frame, const struct hnv_flow *flow, const __u32 length,
                                      __be16 protocol) {
    struct ethhdr *ethernet;
    __be16 *tag;

    if (flow->vlan) {
        if (bpf_xdp_adjust_head(frame, (int)length - VLAN_LENGTH))
            return XDP_DROP;
        ethernet = frame_start(frame);
        tag = (void *)(ethernet + 1);
        if ((void *)(tag + 2) > frame_end(frame))
            return XDP_DROP;
        tag[0] = bpf_htons(flow->vlan);
        tag[1] = protocol;
        protocol = bpf_htons(ETH_P_8021Q);
    } else {
        if (bpf_xdp_adjust_head(frame, length))
            return XDP_DROP;
        ethernet = frame_start(frame);
        if ((void *)(ethernet + 1) > frame_end(frame))
            return XDP_DROP;
    }
    set_ethernet(ethernet, flow->destination_mac, protocol);
    return bpf_redirect(flow->ifindex, 0);
}

/* Gives the packet, which has an Ethernet header of `length` bytes, its tunnel. */
static __always_inline int send_tunnelled(struct xdp_md *frame, const struct hnv_flow *flow,
                                          const struct candidate *packet, const __u32 length, const bool v6,
                                          const bool outer_v6) {
    const __u32 header = outer_v6 ? TUNNEL6_LENGTH : TUNNEL_LENGTH;
    const struct hnv_flow_tunnel *goes = &flow->tunnel;
    struct nvgre_header *nvgre;
    struct ethhdr *ethernet;

    if (bpf_xdp_adjust_head(frame, (int)length - ETH_HLEN - (int)header))
        return XDP_DROP;
    ethernet = frame_start(frame);
    nvgre = (void *)ethernet + ETH_HLEN + header - NVGRE_LENGTH;
    if ((void *)nvgre + NVGRE_LENGTH > frame_end(frame))
        return XDP_DROP;
    set_ethernet(ethernet, flow->destination_mac, outer_v6 ? bpf_htons(ETH_P_IPV6) : bpf_htons(ETH_P_IP));
    if (outer_v6) {
        write_outer6((void *)(ethernet + 1), goes->source, goes->destination, packet->tos,
                     bpf_ntohl(goes->key), packet->length);
    } else {
        write_outer4((void *)(ethernet + 1), v4_of(goes->source), v4_of(goes->destination), packet->tos,
                     packet->length);
    }
    nvgre->gre.flags = bpf_htons(GRE_KEY_PRESENT);
    nvgre->gre.protocol = bpf_htons(ETH_P_TEB);
    nvgre->gre.key = goes->key;
    set_ethernet(&nvgre->inner, goes->destination_mac, v6 ? bpf_htons(ETH_P_IPV6) : bpf_htons(ETH_P_IP));
    return bpf_redirect(flow->ifindex, 0);
}

/* Rewrites the packet if it may pass; what is behind its end (padding, IEEE 802.3) goes. */
static __always_inline int pass(struct xdp_md *frame, struct hnv_flow *flow, const struct candidate *packet,
                                const bool v6, const __u8 *mac) {
    struct hnv_fast_domain *policy = policy_of(flow);

    if (!policy || !(flow->flags & HNV_FLOW_XDP) || packet->length > flow->longest ||
        !may_pass(flow, packet, frame->ingress_ifindex, mac) ||
        (is_time(flow) && !goes_on(frame, refresh_frame, flow, packet, v6, policy)))
        return XDP_PASS;
    count_fast(flow, packet, 1);
    if (!(v6 ? rewrite6(packet->ip, frame_end(frame), flow, packet->protocol)
             : rewrite4(packet->ip, frame_end(frame), flow, packet->protocol)))
        return XDP_DROP;
    if (packet->room > packet->length && bpf_xdp_adjust_tail(frame, (int)packet->length - (int)packet->room))
        return XDP_DROP;
    return XDP_REDIRECT;
}

static __always_inline int frame_from_provider(struct xdp_md *frame, struct ethhdr *ethernet,
                                               const bool outer_v6, const bool v6) {
    void *end = frame_end(frame);
    struct candidate packet = {.ip = NULL};
    struct hnv_flow *flow =
        find_tunnelled(ethernet, end, end - (void *)(ethernet + 1), outer_v6, v6, false, &packet);
    int action;

    if (!flow)
        return XDP_PASS;
    action = pass(frame, flow, &packet, v6, ethernet->h_dest);
    return action == XDP_REDIRECT ? send_plain(frame, flow, outer_v6 ? TUNNEL6_LENGTH : TUNNEL_LENGTH,
                                               v6 ? bpf_htons(ETH_P_IPV6) : bpf_htons(ETH_P_IP))
                                  : action;
}

static __always_inline int tunnelled_frame(struct xdp_md *frame, struct ethhdr *ethernet,
                                           const bool outer_v6) {
    __be16 type = inner_type(ethernet, frame_end(frame), outer_v6);

    if (type == bpf_htons(ETH_P_IP))
        return frame_from_provider(frame, ethernet, outer_v6, false);
    return type == bpf_htons(ETH_P_IPV6) ? frame_from_provider(frame, ethernet, outer_v6, true) : XDP_PASS;
}

/* `length`: of the Ethernet header with its tag. */
static __always_inline int frame_from_uplink(struct xdp_md *frame, struct ethhdr *ethernet,
                                             const __u32 length, const bool v6, __u16 vlan) {
    void *end = frame_end(frame), *at = (void *)ethernet + length;
    struct candidate packet = {.ip = NULL};
    struct hnv_flow *flow = find_plain(at, end, end - at, v6, frame->ingress_ifindex, vlan, false, &packet);
    int action;

    if (!flow)
        return XDP_PASS;
    action = pass(frame, flow, &packet, v6, ethernet->h_dest);
    if (action != XDP_REDIRECT)
        return action;
    return flow->flags & HNV_FLOW_V6 ? send_tunnelled(frame, flow, &packet, length, v6, true)
                                     : send_tunnelled(frame, flow, &packet, length, v6, false);
}

static __always_inline int tagged_frame(struct xdp_md *frame, struct ethhdr *ethernet, const __be16 *tag) {
    __u16 vlan = bpf_ntohs(tag[0]) & VLAN_ID;

    /* A tag of priority alone is none (IEEE 802.1Q): the slow path sees to that. */
    if (!vlan)
        return XDP_PASS;
    if (tag[1] == bpf_htons(ETH_P_IP))
        return frame_from_uplink(frame, ethernet, ETH_HLEN + VLAN_LENGTH, false, vlan);
    return tag[1] == bpf_htons(ETH_P_IPV6)
               ? frame_from_uplink(frame, ethernet, ETH_HLEN + VLAN_LENGTH, true, vlan)
               : XDP_PASS;
}

static __always_inline int from_frame(struct xdp_md *frame) {
    struct ethhdr *ethernet = frame_start(frame);
    void *end = frame_end(frame);
    struct ipv6hdr *ip6 = (void *)(ethernet + 1);
    struct iphdr *ip = (void *)(ethernet + 1);
    __be16 type;

    if ((void *)(ip + 1) > end)
        return XDP_PASS;
    type = ethernet_type(ethernet);
    if (type == bpf_htons(ETH_P_IP))
        return ip->protocol == IPPROTO_GRE ? tunnelled_frame(frame, ethernet, false)
                                           : frame_from_uplink(frame, ethernet, ETH_HLEN, false, 0);
    if (type == bpf_htons(ETH_P_IPV6))
        return ip6->nexthdr == IPPROTO_GRE ? tunnelled_frame(frame, ethernet, true)
                                           : frame_from_uplink(frame, ethernet, ETH_HLEN, true, 0);
    return type == bpf_htons(ETH_P_8021Q) ? tagged_frame(frame, ethernet, (void *)(ethernet + 1)) : XDP_PASS;
}

#endif
