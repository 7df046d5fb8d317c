/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* What policy says of addresses: where one is, which way leads there, and who may send from it. */
#ifndef HNV_DIRECTORY_H
#define HNV_DIRECTORY_H

#include "packet.h"

static __always_inline struct hnv_record *record_of(__u32 domain, const __u8 *address) {
    struct hnv_record_key key = {.domain = domain};

    __builtin_memcpy(key.address, address, HNV_ADDRESS_SIZE);
    return bpf_map_lookup_elem(&records, &key);
}

/* Whose `.1` the address is; NULL when it is no `.1`. */
static __always_inline struct hnv_router *router_of(__u32 domain, const __u8 *address) {
    struct hnv_router_key key = {.domain = domain};

    __builtin_memcpy(key.address, address, HNV_ADDRESS_SIZE);
    return bpf_map_lookup_elem(&routers, &key);
}

static __always_inline struct hnv_route *route_of(__u32 domain, const __u8 *address) {
    struct hnv_route_key key = {.prefix_length = 32 + 128, .domain = bpf_htonl(domain)};

    __builtin_memcpy(key.address, address, HNV_ADDRESS_SIZE);
    return bpf_map_lookup_elem(&routes, &key);
}

/* The lookup record of the next station on the way; NULL with the reason set when there is none. */
static __always_inline struct hnv_record *resolve(__u32 domain, const __u8 *destination, int *reason) {
    struct hnv_route *route = route_of(domain, destination);
    struct hnv_record *found;

    if (!route) {
        *reason = HNV_DROP_NO_ROUTE;
        return NULL;
    }
    found = record_of(domain, route->on_link ? destination : route->next_hop);
    if (!found)
        *reason = HNV_DROP_NO_RECORD;
    return found;
}

static __always_inline struct hnv_port_key port_key(__u32 domain, __u32 vsid, const __u8 *mac) {
    struct hnv_port_key key = {.domain = domain, .vsid = vsid};

    __builtin_memcpy(key.mac, mac, HNV_MAC_SIZE);
    return key;
}

/* The port that a MAC names in a virtual subnet. */
static __always_inline struct hnv_port *port_at(__u32 domain, __u32 vsid, const __u8 *mac) {
    struct hnv_port_key key = port_key(domain, vsid, mac);

    return bpf_map_lookup_elem(&ports_by_mac, &key);
}

/* Where an L2Only record places a MAC, or a port that learns has it. */
static __always_inline struct hnv_record *station_at(__u32 domain, __u32 vsid, const __u8 *mac) {
    struct hnv_port_key key = port_key(domain, vsid, mac);

    return bpf_map_lookup_elem(&stations, &key);
}

/* A station whose next packets come from outside of the domain's records: the next hop towards the source. */
static __always_inline bool is_behind(__u32 domain, const __u8 *source, const __u8 *provider_address,
                                      const __u8 *mac) {
    struct hnv_route *route = route_of(domain, source);
    struct hnv_record *hop;

    if (!route || route->on_link)
        return false;
    hop = record_of(domain, route->next_hop);
    return hop && same_address(hop->provider_address, provider_address) &&
           (same_mac(hop->mac, mac) || same_mac(router_mac, mac));
}

#endif
