/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Between the contexts and the uplink. Outwards only a domain's own external addresses and ports pass,
 * whatever the context's rules say at that moment: a tenant's address cannot leave. Inwards an owned address
 * leads to its context, and ARP and ND for it are answered here, so that a shared link works as well as a
 * routed prefix; prefixes are routed, and nobody asks for them. Frames that are not for the NIC itself may be
 * those of networks without NAT (network.h).
 */
#ifndef HNV_UPLINK_H
#define HNV_UPLINK_H

#include "fast.h"
#include "neighbour.h"
#include "network.h"
#include "sorter.h"

/* A ping of a shared address, which no domain has asked for: goes back to where it came from, answered. */
static __always_inline int answer_echo(struct __sk_buff *skb, __u32 charged) {
    struct packet packet = {};
    struct ethhdr asked, answer;

    if (!read_packet(skb, ETH_HLEN, skb->len - ETH_HLEN, is_v6_frame(skb), &packet) ||
        !make_echo_reply(skb, &packet) || bpf_skb_load_bytes(skb, 0, &asked, sizeof(asked)))
        return drop(skb, charged, HNV_DROP_EXTERNAL_PROTOCOL);
    answer = asked;
    __builtin_memcpy(answer.h_dest, asked.h_source, HNV_MAC_SIZE);
    __builtin_memcpy(answer.h_source, asked.h_dest, HNV_MAC_SIZE);
    if (bpf_skb_store_bytes(skb, 0, &answer, sizeof(answer), 0))
        return TC_ACT_SHOT;
    skb->mark = 0;
    return bpf_redirect(skb->ifindex, 0);
}

/* A packet for a shared address, or one of a prefix; `charged` is the domain that it comes from. */
static __noinline int to_range(struct __sk_buff *skb, __u32 charged) {
    struct session session = {};
    struct hnv_external *holder;
    struct hnv_range *range;
    int kind, reason;

    kind = read_session(skb, ETH_HLEN, skb->len, &session);
    if (!is_shared(session.destination)) {
        range = prefix_of(session.destination);
        if (!range)
            return drop(skb, charged, HNV_DROP_EXTERNAL_PORT);
        if (range->inward.length && !translate_inwards(skb, &session, kind, range))
            return drop(skb, charged, HNV_DROP_PREFIX_TRANSLATION);
        return deliver(skb, &range->owner);
    }
    if (session.fragment)
        return sort(skb, charged);
    if (kind == SESSION_QUERY)
        return answer_echo(skb, charged);
    holder = holder_of(skb, &session, kind, false, &reason);
    return holder ? deliver(skb, holder) : drop(skb, charged, reason);
}

/* From a context's external link. */
static __always_inline int from_context(struct __sk_buff *skb) {
    struct hnv_interface_key link = {.ifindex = skb->ifindex};
    struct hnv_external_port *port = bpf_map_lookup_elem(&external_ports, &link);
    __u8 source[HNV_ADDRESS_SIZE], destination[HNV_ADDRESS_SIZE];
    struct hnv_external *external;
    int reason;

    if (!port)
        return drop(skb, 0, HNV_DROP_PORT_UNKNOWN);
    if (!is_ip(skb))
        return drop(skb, port->domain, HNV_DROP_EXTERNAL_ETHERTYPE);
    if (!read_addresses(skb, source, destination))
        return drop(skb, port->domain, HNV_DROP_EXTERNAL_MALFORMED);
    external = owner_of(source);
    if (!external || external->domain != port->domain) {
        reason = leave(skb, port);
        if (reason)
            return drop(skb, port->domain, reason);
    }
    /* Another context's address is behind this node: the uplink's router need not send it back here. */
    if (!(port->flags & HNV_EXTERNAL_PORT_HAIRPIN_OUTSIDE)) {
        external = owner_of(destination);
        if (external)
            return deliver(skb, external);
        if (is_in_range(skb, destination))
            return to_range(skb, port->domain);
    }
    learn_outwards(skb, port->domain, port->uplink_ifindex);
    skb->mark = 0;
    return send_by(skb, port->uplink_ifindex);
}

/* Somebody asks on the link for an address: a domain's, or several domains'. */
static __always_inline bool is_ours(const __u8 *address) {
    return owner_of(address) || is_shared(address);
}

/* RFC 826 for the owned addresses; RFC 5227 probes (sender 0.0.0.0) get their answer as well. */
static __always_inline int uplink_arp(struct __sk_buff *skb, const struct hnv_uplink *uplink) {
    struct arp_ipv4 *arp = head(skb, sizeof(*arp)), asked;
    __u8 target[HNV_ADDRESS_SIZE];

    if (!arp)
        return TC_ACT_OK;
    asked = *arp;
    map_v4(target, asked.target);
    if (!is_arp_ipv4(&asked) || asked.operation != bpf_htons(ARPOP_REQUEST) || asked.sender == asked.target ||
        !is_ours(target))
        return TC_ACT_OK;
    return answer_arp(skb, &asked, asked.target, uplink->mac);
}

/* RFC 4861 for the owned addresses. */
__noinline int uplink_nd(struct __sk_buff *skb, struct hnv_uplink *uplink) {
    struct packet packet = {};
    struct ethhdr asked;
    struct nd_message nd;

    if (!uplink || !read_v6(skb, ETH_HLEN, skb->len - ETH_HLEN, &packet) || packet.ttl != ND_HOP_LIMIT ||
        bpf_skb_load_bytes(skb, 0, &asked, sizeof(asked)) ||
        bpf_skb_load_bytes(skb, ETH_HLEN + sizeof(struct ipv6hdr), &nd, sizeof(nd)) ||
        nd.type != ND_SOLICIT || nd.code || is_v4(nd.target) || !is_ours(nd.target))
        return TC_ACT_OK;
    return answer_solicitation(skb, &asked, &packet, nd.target, uplink->mac, false);
}

static __always_inline bool is_icmpv6(struct __sk_buff *skb) {
    __u8 next = 0;

    return skb->protocol == bpf_htons(ETH_P_IPV6) &&
           !bpf_skb_load_bytes(skb, ETH_HLEN + offsetof(struct ipv6hdr, nexthdr), &next, sizeof(next)) &&
           next == IPPROTO_ICMPV6;
}

/* From the uplink; an address that no domain has anything of is the kernel's. */
static __always_inline int from_uplink(struct __sk_buff *skb) {
    struct hnv_interface_key link = {.ifindex = skb->ifindex};
    __u8 source[HNV_ADDRESS_SIZE], destination[HNV_ADDRESS_SIZE];
    struct hnv_external *external;
    struct hnv_uplink *uplink;
    int done;

    done = skb_from_uplink(skb);
    if (done != NOT_FAST)
        return done;
    if (skb->vlan_present || skb->pkt_type != PACKET_HOST) {
        done = from_network(skb);
        if (done != TC_ACT_OK)
            return done;
    }
    if (skb->protocol == bpf_htons(ETH_P_ARP) && !skb->vlan_present) {
        uplink = bpf_map_lookup_elem(&uplinks, &link);
        return uplink ? uplink_arp(skb, uplink) : TC_ACT_OK;
    }
    if (!is_ip(skb) || !read_addresses(skb, source, destination))
        return TC_ACT_OK;
    /* A solicitation is for an owned address too, when it confirms what is known already. */
    if (is_icmpv6(skb)) {
        uplink = bpf_map_lookup_elem(&uplinks, &link);
        done = uplink ? uplink_nd(skb, uplink) : TC_ACT_OK;
        if (done != TC_ACT_OK)
            return done;
    }
    if (skb->pkt_type != PACKET_HOST)
        return TC_ACT_OK;
    external = owner_of(destination);
    if (external)
        return deliver(skb, external);
    return is_in_range(skb, destination) ? to_range(skb, 0) : TC_ACT_OK;
}

#endif
