/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* Admission by policy: what may come from where, and to which port it goes. */
#ifndef HNV_ADMISSION_H
#define HNV_ADMISSION_H

#include "directory.h"
#include "outer.h"

/* The provider address, or group, that the outer packet is for; NULL when it is none of ours. */
static __always_inline struct hnv_provider *find_provider(const struct __sk_buff *skb, const __u8 *address) {
    struct hnv_provider_key key;

    /* One station's packet in a group's frame is to be ignored (RFC 1122 section 3.3.6). */
    if (skb->pkt_type != PACKET_HOST && !is_group(address))
        return NULL;
    __builtin_memcpy(key.address, address, HNV_ADDRESS_SIZE);
    return bpf_map_lookup_elem(&providers, &key);
}

/* May this inner source come from there, in that virtual subnet? 0 or the reason to drop. */
static __always_inline int check_source(__u32 domain, __u32 vsid, const struct outer *outer,
                                        const struct ethhdr *inner, const struct packet *packet) {
    bool to_group = is_group_mac(inner->h_dest);
    struct hnv_wildcard_key key = {.domain = domain};
    struct hnv_wildcard *wildcard;
    struct hnv_record *record;
    struct hnv_route *route;

    record = record_of(domain, packet->source);
    if (record && same_address(record->provider_address, outer->source)) {
        /* What is for a group never leaves its subnet. */
        if (to_group && record->vsid != vsid)
            return HNV_DROP_INNER_SOURCE_ADDRESS;
        /* Between subnets the sender's distributed router may have put its own MAC there. */
        if (same_mac(record->mac, inner->h_source) || (!to_group && same_mac(router_mac, inner->h_source)))
            return 0;
        return HNV_DROP_INNER_SOURCE_MAC;
    }
    /* A known address is its record's alone, also where a wildcard would let everything else through. */
    if (record)
        return HNV_DROP_INNER_SOURCE_ADDRESS;
    /* Who has no address yet, or one of the link only, speaks to all. */
    if (to_group && (is_unspecified(packet->source) || (packet->v6 && is_link_local(packet->source))))
        return 0;
    /* The distributed router of another host, which tells of an error. */
    if (!to_group && same_mac(router_mac, inner->h_source) && router_of(domain, packet->source))
        return 0;
    __builtin_memcpy(key.provider_address, outer->source, HNV_ADDRESS_SIZE);
    __builtin_memcpy(key.mac, inner->h_source, HNV_MAC_SIZE);
    wildcard = bpf_map_lookup_elem(&wildcards, &key);
    if (wildcard && wildcard->scope == HNV_WILDCARD_OUTSIDE)
        return 0;
    if (wildcard) {
        route = route_of(domain, packet->source);
        if (route && route->on_link && route->vsid == wildcard->vsid)
            return 0;
    }
    return is_behind(domain, packet->source, outer->source, inner->h_source) ? 0
                                                                             : HNV_DROP_INNER_SOURCE_ADDRESS;
}

/*
 * The port that an inner destination MAC names: in the frame's own virtual subnet, else in another one of the
 * domain, for hosts differ in the VSID that they give to what their router passes on.
 */
static __always_inline struct hnv_port *find_port(__u32 domain, __u32 vsid, const __u8 *mac) {
    struct hnv_port *port = port_at(domain, vsid, mac);

    return port ? port : port_at(domain, 0, mac);
}

static __always_inline int unknown_destination(const __u8 *mac) {
    struct hnv_mac_key key = {};

    __builtin_memcpy(key.mac, mac, HNV_MAC_SIZE);
    return bpf_map_lookup_elem(&port_macs, &key) ? HNV_DROP_INNER_DESTINATION_FOREIGN
                                                 : HNV_DROP_INNER_DESTINATION_UNKNOWN;
}

#endif
