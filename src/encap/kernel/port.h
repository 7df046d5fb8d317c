/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * From a port: the guard of sources; inside a virtual subnet the look of layer 2, between subnets the
 * distributed router; to a port of this node, or by NVGRE to the provider address that has the destination.
 */
#ifndef HNV_PORT_H
#define HNV_PORT_H

#include "fast.h"
#include "fragment.h"
#include "guard.h"
#include "replicate.h"

/* Sends what was made of a frame, whose Ethernet header was `ethernet`, back to the port that it came from.
 */
static __always_inline int send_back(struct __sk_buff *skb, struct ethhdr *ethernet) {
    turn_round(ethernet);
    if (bpf_skb_store_bytes(skb, 0, ethernet, sizeof(*ethernet), 0))
        return TC_ACT_SHOT;
    skb->mark = 0;
    return bpf_redirect(skb->ifindex, 0);
}

/* Tells the sender why its packet, which is counted as dropped, went no further. `what`: as make_error(). */
static __noinline int refuse(struct __sk_buff *skb, struct hnv_port *port, struct packet *packet,
                             __u32 reason, __u32 what) {
    struct hnv_subnet_key key = {.vsid = port->vsid};
    struct hnv_subnet *subnet;
    struct ethhdr ethernet;

    drop(skb, port->domain, reason);
    if (!may_complain(skb, packet) || bpf_skb_load_bytes(skb, 0, &ethernet, sizeof(ethernet)))
        return TC_ACT_SHOT;
    subnet = bpf_map_lookup_elem(&subnets, &key);
    if (!subnet || is_unspecified(packet->v6 ? subnet->router6 : subnet->router) ||
        !may_send_error(port->domain) || make_error(skb, packet, subnet, what))
        return TC_ACT_SHOT;
    return send_back(skb, &ethernet);
}

/* A packet to a `.1`: pings are answered, everything else has no taker there. */
static __always_inline int to_router(struct __sk_buff *skb, struct hnv_port *port, struct packet *packet) {
    struct ethhdr ethernet;

    if (packet->protocol != (packet->v6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP))
        return refuse(skb, port, packet, HNV_DROP_ROUTER_DESTINATION, ERROR_NO_PORT);
    if (!make_echo_reply(skb, packet) || bpf_skb_load_bytes(skb, 0, &ethernet, sizeof(ethernet)))
        return drop(skb, port->domain, HNV_DROP_ROUTER_DESTINATION);
    return send_back(skb, &ethernet);
}

/* The router's part: its MAC as the source, the next station's as the destination, one less TTL. */
static __always_inline bool pass_router(struct __sk_buff *skb, const struct packet *packet,
                                        const struct hnv_record *record, struct ethhdr *ethernet) {
    struct ipv6hdr *ip6;
    struct iphdr *ip;

    __builtin_memcpy(ethernet->h_dest, record->mac, HNV_MAC_SIZE);
    __builtin_memcpy(ethernet->h_source, router_mac, HNV_MAC_SIZE);
    if (packet->v6) {
        ip6 = head(skb, ETH_HLEN + sizeof(*ip6));
        if (!ip6)
            return false;
        ((struct ipv6hdr *)((void *)ip6 + ETH_HLEN))->hop_limit--;
        return true;
    }
    ip = head(skb, ETH_HLEN + sizeof(*ip));
    if (!ip)
        return false;
    decrement_ttl((void *)ip + ETH_HLEN);
    return true;
}

/* To the station that `record` is, behind a port of this node or at another provider address. */
static __always_inline int forward(struct __sk_buff *skb, struct hnv_port *port, struct packet *packet,
                                   struct hnv_record *record, struct ethhdr *ethernet, bool is_routed) {
    __u32 length = skb->len - ETH_HLEN, packets = packets_in(skb), mtu, part = skb->mark;
    struct hnv_port *to = NULL;
    struct hnv_traffic *count;

    if (record->flags & HNV_RECORD_LOCAL) {
        to = port_at(port->domain, record->vsid, record->mac);
        if (!to)
            return drop(skb, port->domain, HNV_DROP_NO_PORT);
        mtu = to->mtu;
    } else {
        mtu = port->provider_mtu - overhead(record->provider_address);
    }
    if ((part & PART_MASK) == PART_FRAGMENT) {
        if (!cut(skb, packet, mtu, part & 0xffff))
            return drop(skb, port->domain, HNV_DROP_FRAGMENT_FAILED);
        length = packet->length;
    } else if (size_on_wire(skb, ETH_HLEN, packet, length) > mtu) {
        /* Too big by what is behind its end: fragments would not have that, and it could be none of them. */
        if (length > packet->length)
            return drop(skb, port->domain, HNV_DROP_PORT_MALFORMED);
        if (!packet->dont_fragment && !skb->gso_size)
            return fragment(skb, port, packet, mtu);
        return refuse(skb, port, packet, HNV_DROP_TOO_BIG, ERROR_TOO_BIG | mtu << 8);
    }
    if (is_routed && !pass_router(skb, packet, record, ethernet))
        return drop(skb, port->domain, HNV_DROP_PORT_MALFORMED);
    if (!to && port->flags & HNV_PORT_CONTEXT)
        learn_to_tunnel(skb, port, packet, record, ethernet, is_routed);
    if (!to)
        return send_to(skb, port, record->provider_address, record->vsid, packet, ethernet);
    if (to->flags & HNV_PORT_LEARN)
        watch_dhcp(skb, port->domain, record->vsid, ETH_HLEN, packet);
    if (is_routed && bpf_skb_store_bytes(skb, 0, ethernet, sizeof(*ethernet), 0))
        return TC_ACT_SHOT;
    count = traffic_of(port->domain);
    if (count) {
        count->local_packets += packets;
        count->local_bytes += length;
    }
    return to_port(skb, to);
}

/* The station in the same virtual subnet that a frame is for; NULL when the router has to find it. */
static __always_inline struct hnv_record *
find_in_subnet(const struct hnv_port *port, const struct packet *packet, const struct ethhdr *ethernet) {
    struct hnv_record *record;

    if (same_mac(ethernet->h_dest, router_mac))
        return NULL;
    record = record_of(port->domain, packet->destination);
    return record && record->vsid == port->vsid ? record
                                                : station_at(port->domain, port->vsid, ethernet->h_dest);
}

/* A unicast packet: by the record of its destination in the subnet, else by the distributed router. */
static __always_inline int route(struct __sk_buff *skb, struct hnv_port *port, struct packet *packet,
                                 struct ethhdr *ethernet) {
    struct hnv_record *record = find_in_subnet(port, packet, ethernet);
    bool is_routed = !record;
    int reason = 0;

    if (is_routed) {
        if (is_group(packet->destination) ||
            (packet->v6 && (is_link_local(packet->destination) || is_link_local(packet->source))))
            return drop(skb, port->domain, HNV_DROP_LINK_LOCAL);
        if (router_of(port->domain, packet->destination))
            return to_router(skb, port, packet);
        if (packet->ttl <= 1)
            return refuse(skb, port, packet, HNV_DROP_TTL_EXCEEDED, ERROR_TIME_EXCEEDED);
        record = resolve(port->domain, packet->destination, &reason);
        if (!record)
            return refuse(skb, port, packet, reason,
                          reason == HNV_DROP_NO_ROUTE ? ERROR_NO_ROUTE : ERROR_NO_HOST);
        /* It came from the next hop: sending it back there would go in circles. */
        if (record->vsid == port->vsid && same_mac(record->mac, ethernet->h_source))
            return drop(skb, port->domain, HNV_DROP_LOOP);
    }
    return forward(skb, port, packet, record, ethernet, is_routed);
}

static __always_inline int from_port(struct __sk_buff *skb) {
    struct hnv_interface_key link = {.ifindex = skb->ifindex};
    struct hnv_port *port = bpf_map_lookup_elem(&ports_by_link, &link);
    struct packet packet = {};
    struct ethhdr ethernet;
    bool v6, is_neighbour;

    if (!port)
        return drop(skb, 0, HNV_DROP_PORT_UNKNOWN);
    /* The inner frame has no tag (RFC 7637 section 3.3). Of two, the second one would go out with the tunnel.
     */
    if (skb->vlan_present && (bpf_skb_vlan_pop(skb) || skb->vlan_present))
        return drop(skb, port->domain, HNV_DROP_PORT_ETHERTYPE);
    if (bpf_skb_load_bytes(skb, 0, &ethernet, sizeof(ethernet)))
        return drop(skb, port->domain, HNV_DROP_PORT_MALFORMED);
    if (is_group_mac(ethernet.h_source) ||
        (!(port->flags & (HNV_PORT_LEARN | HNV_PORT_CONTEXT)) && !same_mac(ethernet.h_source, port->mac)) ||
        same_mac(ethernet.h_source, router_mac))
        return drop(skb, port->domain, HNV_DROP_PORT_SOURCE_MAC);
    if (ethernet.h_proto == bpf_htons(ETH_P_ARP))
        return arp_from_port(skb, port);
    v6 = ethernet.h_proto == bpf_htons(ETH_P_IPV6);
    if (!v6 && ethernet.h_proto != bpf_htons(ETH_P_IP))
        return drop(skb, port->domain, HNV_DROP_PORT_ETHERTYPE);
    if (!read_packet(skb, ETH_HLEN, skb->len - ETH_HLEN, v6, &packet))
        return drop(skb, port->domain, HNV_DROP_PORT_MALFORMED);
    is_neighbour = is_neighbour_message(skb, &packet, ETH_HLEN);
    if (!guards(port, &packet, &ethernet) && !(is_neighbour && takes_over(port, &packet)))
        return drop(skb, port->domain, HNV_DROP_PORT_SOURCE_ADDRESS);
    if (is_neighbour)
        return nd_from_port(skb, port, &packet);
    if (!is_group_mac(ethernet.h_dest))
        return route(skb, port, &packet, &ethernet);
    if ((skb->mark & PART_MASK) == PART_COPY)
        return send_copy(skb, port, &packet, &ethernet, skb->mark & 0xffff);
    return replicate(skb, port, &packet);
}

#endif
