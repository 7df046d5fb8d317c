/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* Broadcasts and multicasts of a port: to whom copies go. */
#ifndef HNV_REPLICATE_H
#define HNV_REPLICATE_H

#include "part.h"
#include "tunnel.h"

/* A copy of a broadcast or multicast to a provider address, or to the subnet's provider multicast address. */
static __always_inline int send_copy(struct __sk_buff *skb, struct hnv_port *port, struct packet *packet,
                                     struct ethhdr *ethernet, __u32 number) {
    struct hnv_members *list;
    __u8 to[HNV_ADDRESS_SIZE];

    /* bpf_redirect_neigh() sends nothing whose Ethernet header, which it is to replace, names a group. */
    if (bpf_skb_store_bytes(skb, 0, router_mac, HNV_MAC_SIZE, 0))
        return drop(skb, port->domain, HNV_DROP_ENCAP_FAILED);
    list = members_of(port->vsid);
    if (!list)
        return drop(skb, port->domain, HNV_DROP_NO_MEMBERS);
    if (number == PART_GROUP)
        __builtin_memcpy(to, list->group, HNV_ADDRESS_SIZE);
    else if (number < HNV_MEMBERS && number < list->remotes)
        __builtin_memcpy(to, list->remote + number * HNV_ADDRESS_SIZE, HNV_ADDRESS_SIZE);
    else
        return drop(skb, port->domain, HNV_DROP_NO_MEMBERS);
    return send_to(skb, port, to, port->vsid, packet, ethernet);
}

static long copy_to_remote(__u32 i, struct copying *copying) {
    return come_back(copying, PART_COPY | i);
}

/*
 * A broadcast or multicast: a copy to each other port of the virtual subnet here, and one to the subnet's
 * provider multicast address or to each provider address that has the VSID. Copies for the provider network
 * come back to the port (PART_COPY), for only a program's last word finds the way to a neighbour. Too big
 * ones are not complained of.
 */
static __always_inline int replicate(struct __sk_buff *skb, struct hnv_port *port, struct packet *packet) {
    struct copying copying = {.skb = skb,
                              .ifindex = skb->ifindex,
                              .count = traffic_of(port->domain),
                              .failed = drops_of(port->domain)};
    __u32 remotes;
    __u64 before;

    copying.members = members_of(port->vsid);
    if (!copying.members || !copying.count || !copying.failed)
        return drop(skb, port->domain, HNV_DROP_NO_MEMBERS);
    if (size_on_wire(skb, ETH_HLEN, packet, skb->len - ETH_HLEN) >
        port->provider_mtu - overhead(port->provider_address))
        return drop(skb, port->domain, HNV_DROP_TOO_BIG);
    watch_dhcp(skb, port->domain, port->vsid, ETH_HLEN, packet);
    skb->mark = 0;
    remotes = copying.members->remotes;
    before = copies_made(&copying);
    bpf_loop(HNV_MEMBERS, copy_to_local, &copying, 0);
    if (!is_unspecified(copying.members->group))
        come_back(&copying, PART_COPY | PART_GROUP);
    else if (remotes <= HNV_MEMBERS)
        bpf_loop(remotes, copy_to_remote, &copying, 0);
    if (copies_made(&copying) == before)
        return drop(skb, port->domain, HNV_DROP_NO_MEMBERS);
    return TC_ACT_SHOT;
}

#endif
