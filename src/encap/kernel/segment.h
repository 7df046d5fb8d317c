/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * From a context to its network without NAT: only from the context's own MAC and addresses and from prefixes
 * that are routed as they are, whatever the context's rules say at that moment. On the untagged network other
 * contexts, and the public addresses of this node, are neighbours that the NIC would not reach.
 */
#ifndef HNV_SEGMENT_H
#define HNV_SEGMENT_H

#include "network.h"
#include "uplink.h"

/* Beside the actions: a packet for the NIC's own MAC. */
#define TO_PUBLIC 256

static __always_inline bool is_ports(const struct hnv_segment_port *port, const __u8 *address) {
    return is_own(port->domain, port->uplink_ifindex, port->vlan, address);
}

/* Why the context must not send the frame; 0 when it may. */
static __always_inline int refuse_frame(const struct hnv_segment_port *port, const struct ethhdr *ethernet,
                                        int kind, const struct frame *frame) {
    switch (kind) {
    case FRAME_OTHER:
        return HNV_DROP_SEGMENT_ETHERTYPE;
    case FRAME_MALFORMED:
        return HNV_DROP_SEGMENT_MALFORMED;
    case FRAME_ROUTER:
        return HNV_DROP_SEGMENT_ROUTER_MESSAGE;
    case FRAME_ARP:
        if (!same_mac(frame->mac, port->mac))
            return HNV_DROP_SEGMENT_SOURCE_MAC;
        break;
    case FRAME_ADVERTISEMENT:
        if (!is_ports(port, frame->target))
            return HNV_DROP_SEGMENT_SOURCE_ADDRESS;
        break;
    case FRAME_MLD:
        if (is_unspecified(frame->source))
            return 0;
        break;
    case FRAME_PACKET:
        if (is_group(frame->destination) || is_group_mac(ethernet->h_dest))
            return HNV_DROP_SEGMENT_DESTINATION;
        if (is_forwarded(port->domain, frame->source))
            return 0;
    }
    return is_ports(port, frame->source) ? 0 : HNV_DROP_SEGMENT_SOURCE_ADDRESS;
}

/* The NIC's MAC answers for public addresses of the network; TC_ACT_OK when it is no question for one. */
static __always_inline int answer_for_node(struct __sk_buff *skb, const struct frame *frame, int kind,
                                           struct hnv_uplink *uplink) {
    struct arp_ipv4 *arp, asked;

    if (kind == FRAME_SOLICITATION)
        return uplink_nd(skb, uplink);
    if (!frame->is_request || !is_ours(frame->target))
        return TC_ACT_OK;
    arp = head(skb, sizeof(*arp));
    if (!arp)
        return TC_ACT_SHOT;
    asked = *arp;
    return answer_arp(skb, &asked, asked.target, uplink->mac);
}

/* To whom of this node the frame is on the untagged network; TC_ACT_OK when it is for others.
 */
static __always_inline int to_neighbour(struct __sk_buff *skb, const struct hnv_segment_port *port, int kind,
                                        struct frame *frame, const struct ethhdr *ethernet) {
    struct hnv_interface_key link = {.ifindex = port->uplink_ifindex};
    struct hnv_uplink *uplink = bpf_map_lookup_elem(&uplinks, &link);
    bool asks = kind == FRAME_ARP || kind == FRAME_SOLICITATION;
    struct hnv_segment *to;
    int done;

    to = asks ? holder_on(link.ifindex, UNTAGGED, frame->target) : NULL;
    if (to && to->domain != port->domain)
        return enter(skb, to);
    to = station_on(link.ifindex, UNTAGGED, ethernet->h_dest);
    if (to && to->domain != port->domain)
        return to_station(skb, to, link.ifindex, UNTAGGED, port->domain);
    if (!uplink)
        return TC_ACT_OK;
    if (asks) {
        done = answer_for_node(skb, frame, kind, uplink);
        if (done != TC_ACT_OK)
            return done;
    }
    if (!same_mac(ethernet->h_dest, uplink->mac))
        return TC_ACT_OK;
    return kind == FRAME_PACKET ? TO_PUBLIC : drop(skb, port->domain, HNV_DROP_SEGMENT_DESTINATION);
}

/* All but what is for public addresses, by itself: their programs need the rest of the stack. */
__noinline int leave_segment(struct __sk_buff *skb) {
    struct hnv_interface_key link = {.ifindex = skb->ifindex};
    struct hnv_segment_port *port = bpf_map_lookup_elem(&segment_ports, &link);
    struct frame frame = {};
    struct ethhdr ethernet;
    int kind, reason, done;

    if (!port)
        return drop(skb, 0, HNV_DROP_PORT_UNKNOWN);
    if (skb->vlan_present)
        return drop(skb, port->domain, HNV_DROP_SEGMENT_ETHERTYPE);
    if (bpf_skb_load_bytes(skb, 0, &ethernet, sizeof(ethernet)))
        return drop(skb, port->domain, HNV_DROP_SEGMENT_MALFORMED);
    if (!same_mac(ethernet.h_source, port->mac))
        return drop(skb, port->domain, HNV_DROP_SEGMENT_SOURCE_MAC);
    kind = read_frame(skb, &frame);
    reason = refuse_frame(port, &ethernet, kind, &frame);
    if (reason)
        return drop(skb, port->domain, reason);
    if (port->vlan == UNTAGGED) {
        done = to_neighbour(skb, port, kind, &frame, &ethernet);
        if (done != TC_ACT_OK)
            return done;
    }
    if (kind == FRAME_PACKET)
        learn_to_network(skb, port->domain, port->uplink_ifindex, port->vlan, &ethernet);
    if (port->vlan != UNTAGGED && bpf_skb_vlan_push(skb, bpf_htons(ETH_P_8021Q), port->vlan)) {
        return TC_ACT_SHOT;
    }
    skb->mark = 0;
    return bpf_redirect(port->uplink_ifindex, 0);
}

/* A packet to the NIC's own MAC: to the context that has the public address. */
static __always_inline int to_public(struct __sk_buff *skb) {
    struct hnv_interface_key link = {.ifindex = skb->ifindex};
    struct hnv_segment_port *port = bpf_map_lookup_elem(&segment_ports, &link);
    __u8 source[HNV_ADDRESS_SIZE], destination[HNV_ADDRESS_SIZE];
    struct hnv_external *external;

    if (!port || !read_addresses(skb, source, destination))
        return TC_ACT_SHOT;
    external = owner_of(destination);
    if (external)
        return deliver(skb, external);
    if (is_in_range(skb, destination))
        return to_range(skb, port->domain);
    return drop(skb, port->domain, HNV_DROP_SEGMENT_DESTINATION);
}

static __always_inline int from_segment(struct __sk_buff *skb) {
    int done = leave_segment(skb);

    return done == TO_PUBLIC ? to_public(skb) : done;
}

#endif
