/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Between the contexts and the uplink. Outwards only a domain's own external addresses pass, whatever the
 * context's rules say at that moment: a tenant's address cannot leave. Inwards an owned address leads to its
 * context, and ARP for it is answered here, so that a shared link works as well as a routed prefix.
 */
#ifndef HNV_UPLINK_H
#define HNV_UPLINK_H

#include "account.h"

#define ARPHRD_ETHER 1
#define ARPOP_REQUEST 1
#define ARPOP_REPLY 2

struct arp_ipv4 {
    struct ethhdr ethernet;
    __be16 hardware;
    __be16 protocol;
    __u8 hardware_length;
    __u8 protocol_length;
    __be16 operation;
    __u8 sender_mac[HNV_MAC_SIZE];
    __be32 sender;
    __u8 target_mac[HNV_MAC_SIZE];
    __be32 target;
} __attribute__((packed));

static __always_inline struct hnv_external *owner_of(__be32 address) {
    struct hnv_external_key key = {};

    map_v4(key.address, address);
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

/* From a context's external link. */
static __always_inline int from_context(struct __sk_buff *skb) {
    struct hnv_interface_key link = {.ifindex = skb->ifindex};
    struct hnv_external_port *port = bpf_map_lookup_elem(&external_ports, &link);
    struct hnv_external *external;
    struct ethhdr *ethernet;
    struct iphdr *ip;

    if (!port)
        return drop(skb, 0, HNV_DROP_PORT_UNKNOWN);
    if (skb->protocol != bpf_htons(ETH_P_IP))
        return drop(skb, port->domain, HNV_DROP_EXTERNAL_ETHERTYPE);
    ethernet = head(skb, sizeof(*ethernet) + sizeof(*ip));
    if (!ethernet)
        return drop(skb, port->domain, HNV_DROP_EXTERNAL_MALFORMED);
    ip = (void *)(ethernet + 1);
    if (ip->version != 4)
        return drop(skb, port->domain, HNV_DROP_EXTERNAL_MALFORMED);
    external = owner_of(ip->saddr);
    if (!external || external->domain != port->domain)
        return drop(skb, port->domain, HNV_DROP_UNTRANSLATED);
    /* Another context's address is behind this node: the uplink's router would never send it back here. */
    external = owner_of(ip->daddr);
    if (external)
        return deliver(skb, external);
    skb->mark = 0;
    return bpf_redirect_neigh(port->uplink_ifindex, NULL, 0, 0);
}

/* RFC 826 for the owned addresses; RFC 5227 probes (sender 0.0.0.0) get their answer as well. */
static __always_inline int answer_arp(struct __sk_buff *skb, const struct hnv_uplink *uplink) {
    struct arp_ipv4 *arp = head(skb, sizeof(*arp));
    struct arp_ipv4 reply;

    if (!arp || arp->hardware != bpf_htons(ARPHRD_ETHER) || arp->protocol != bpf_htons(ETH_P_IP) ||
        arp->hardware_length != HNV_MAC_SIZE || arp->protocol_length != 4 ||
        arp->operation != bpf_htons(ARPOP_REQUEST) || arp->sender == arp->target || !owner_of(arp->target))
        return TC_ACT_OK;
    reply = *arp;
    __builtin_memcpy(reply.ethernet.h_dest, arp->sender_mac, HNV_MAC_SIZE);
    __builtin_memcpy(reply.ethernet.h_source, uplink->mac, HNV_MAC_SIZE);
    reply.operation = bpf_htons(ARPOP_REPLY);
    __builtin_memcpy(reply.sender_mac, uplink->mac, HNV_MAC_SIZE);
    reply.sender = arp->target;
    __builtin_memcpy(reply.target_mac, arp->sender_mac, HNV_MAC_SIZE);
    reply.target = arp->sender;
    if (bpf_skb_store_bytes(skb, 0, &reply, sizeof(reply), 0))
        return TC_ACT_SHOT;
    return bpf_redirect(skb->ifindex, 0);
}

/* From the uplink; what nobody's context owns is the kernel's. */
static __always_inline int from_uplink(struct __sk_buff *skb) {
    struct hnv_interface_key link = {.ifindex = skb->ifindex};
    struct hnv_external *external;
    struct ethhdr *ethernet;
    struct hnv_uplink *uplink;
    struct iphdr *ip;

    if (skb->protocol == bpf_htons(ETH_P_ARP)) {
        uplink = bpf_map_lookup_elem(&uplinks, &link);
        return uplink ? answer_arp(skb, uplink) : TC_ACT_OK;
    }
    if (skb->protocol != bpf_htons(ETH_P_IP) || skb->pkt_type != PACKET_HOST)
        return TC_ACT_OK;
    ethernet = head(skb, sizeof(*ethernet) + sizeof(*ip));
    if (!ethernet)
        return TC_ACT_OK;
    ip = (void *)(ethernet + 1);
    external = owner_of(ip->daddr);
    return external ? deliver(skb, external) : TC_ACT_OK;
}

#endif
