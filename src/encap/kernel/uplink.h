/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Between the contexts and the uplink. Outwards only a domain's own external addresses pass, whatever the
 * context's rules say at that moment: a tenant's address cannot leave. Inwards an owned address leads to its
 * context, and ARP and ND for it are answered here, so that a shared link works as well as a routed prefix.
 */
#ifndef HNV_UPLINK_H
#define HNV_UPLINK_H

#include "account.h"
#include "neighbour.h"

static __always_inline struct hnv_external *owner_of(const __u8 *address) {
    struct hnv_external_key key;

    __builtin_memcpy(key.address, address, HNV_ADDRESS_SIZE);
    return bpf_map_lookup_elem(&externals, &key);
}

/* Hands the packet to the context, addressed to the context's own MAC. */
static __always_inline int deliver(struct __sk_buff *skb, const struct hnv_external *external) {
    __u32 ifindex = external->ifindex;
    struct {
        __u8 destination[HNV_MAC_SIZE];
        __u8 source[HNV_MAC_SIZE];
    } macs;

    __builtin_memcpy(macs.destination, external->mac, HNV_MAC_SIZE);
    __builtin_memcpy(macs.source, router_mac, HNV_MAC_SIZE);
    if (bpf_skb_store_bytes(skb, 0, &macs, sizeof(macs), 0) || bpf_skb_change_type(skb, PACKET_HOST))
        return TC_ACT_SHOT;
    skb->mark = 0;
    return bpf_redirect_peer(ifindex, 0);
}

/* Both addresses of the frame's packet, of either family; false when the header is no such. */
static __always_inline bool read_addresses(struct __sk_buff *skb, __u8 *source, __u8 *destination) {
    struct ipv6hdr *ip6;
    struct iphdr *ip;

    if (skb->protocol == bpf_htons(ETH_P_IP)) {
        ip = head(skb, ETH_HLEN + sizeof(*ip));
        if (!ip)
            return false;
        ip = (void *)ip + ETH_HLEN;
        map_v4(source, ip->saddr);
        map_v4(destination, ip->daddr);
        return ip->version == 4;
    }
    ip6 = head(skb, ETH_HLEN + sizeof(*ip6));
    if (!ip6)
        return false;
    ip6 = (void *)ip6 + ETH_HLEN;
    __builtin_memcpy(source, &ip6->saddr, HNV_ADDRESS_SIZE);
    __builtin_memcpy(destination, &ip6->daddr, HNV_ADDRESS_SIZE);
    /* The v4-mapped form would pass for the IPv4 address. */
    return ip6->version == 6 && !is_v4(source) && !is_v4(destination);
}

/* A tag that the NIC has taken off makes it a packet of another network. */
static __always_inline bool is_ip(const struct __sk_buff *skb) {
    if (skb->vlan_present)
        return false;
    return skb->protocol == bpf_htons(ETH_P_IP) || skb->protocol == bpf_htons(ETH_P_IPV6);
}

/* From a context's external link. */
static __always_inline int from_context(struct __sk_buff *skb) {
    struct hnv_interface_key link = {.ifindex = skb->ifindex};
    struct hnv_external_port *port = bpf_map_lookup_elem(&external_ports, &link);
    __u8 source[HNV_ADDRESS_SIZE], destination[HNV_ADDRESS_SIZE];
    struct hnv_external *external;

    if (!port)
        return drop(skb, 0, HNV_DROP_PORT_UNKNOWN);
    if (!is_ip(skb))
        return drop(skb, port->domain, HNV_DROP_EXTERNAL_ETHERTYPE);
    if (!read_addresses(skb, source, destination))
        return drop(skb, port->domain, HNV_DROP_EXTERNAL_MALFORMED);
    external = owner_of(source);
    if (!external || external->domain != port->domain)
        return drop(skb, port->domain, HNV_DROP_UNTRANSLATED);
    /* Another context's address is behind this node: the uplink's router would never send it back here. */
    external = owner_of(destination);
    if (external)
        return deliver(skb, external);
    skb->mark = 0;
    return bpf_redirect_neigh(port->uplink_ifindex, NULL, 0, 0);
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
        !owner_of(target))
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
        nd.type != ND_SOLICIT || nd.code || is_v4(nd.target) || !owner_of(nd.target))
        return TC_ACT_OK;
    return answer_solicitation(skb, &asked, &packet, nd.target, uplink->mac, false);
}

static __always_inline bool is_icmpv6(struct __sk_buff *skb) {
    __u8 next = 0;

    return skb->protocol == bpf_htons(ETH_P_IPV6) &&
           !bpf_skb_load_bytes(skb, ETH_HLEN + offsetof(struct ipv6hdr, nexthdr), &next, sizeof(next)) &&
           next == IPPROTO_ICMPV6;
}

/* From the uplink; what nobody's context owns is the kernel's. */
static __always_inline int from_uplink(struct __sk_buff *skb) {
    struct hnv_interface_key link = {.ifindex = skb->ifindex};
    __u8 source[HNV_ADDRESS_SIZE], destination[HNV_ADDRESS_SIZE];
    struct hnv_external *external;
    struct hnv_uplink *uplink;

    if (skb->protocol == bpf_htons(ETH_P_ARP) && !skb->vlan_present) {
        uplink = bpf_map_lookup_elem(&uplinks, &link);
        return uplink ? uplink_arp(skb, uplink) : TC_ACT_OK;
    }
    if (!is_ip(skb) || !read_addresses(skb, source, destination))
        return TC_ACT_OK;
    external = skb->pkt_type == PACKET_HOST ? owner_of(destination) : NULL;
    /* A solicitation is for an owned address too, when it confirms what is known already. */
    if (is_icmpv6(skb)) {
        int done = TC_ACT_OK;

        uplink = bpf_map_lookup_elem(&uplinks, &link);
        if (uplink)
            done = uplink_nd(skb, uplink);
        if (done != TC_ACT_OK)
            return done;
    }
    return external ? deliver(skb, external) : TC_ACT_OK;
}

#endif
