/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * What user space and the data plane share: drop reasons, keys and values of the maps, the maps.
 *
 * TypeScript's side (../layout.generated.ts) is generated from this file's BTF. Changing a struct or a map
 * changes the layout version that names the pin directory (../pins.ts), so an old data plane is never read
 * with a new layout.
 *
 * Addresses are always 16 bytes, IPv4 as ::ffff:a.b.c.d, so that one set of maps serves both families in
 * customer and provider space. `domain` is the small number that the store gave to a routing domain (RDID); 0
 * is nobody's.
 */
#ifndef HNV_LAYOUT_H
#define HNV_LAYOUT_H

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

/* Why a packet was dropped. Numbers are stable: append, never reuse. ../drop-reasons.ts explains each. */
enum hnv_drop_reason {
    HNV_DROP_OUTER_TRUNCATED = 1,
    HNV_DROP_OUTER_OPTIONS = 2,
    HNV_DROP_OUTER_CHECKSUM = 3,
    HNV_DROP_OUTER_FRAGMENT = 4,
    HNV_DROP_GRE_FLAGS = 5,
    HNV_DROP_GRE_PROTOCOL = 6,
    HNV_DROP_VSID_RESERVED = 7,
    HNV_DROP_VSID_UNKNOWN = 8,
    HNV_DROP_SOURCE_PROVIDER_ADDRESS = 9,
    HNV_DROP_INNER_TRUNCATED = 10,
    HNV_DROP_INNER_VLAN = 11,
    HNV_DROP_INNER_ETHERTYPE = 12,
    HNV_DROP_INNER_MALFORMED = 13,
    HNV_DROP_INNER_DESTINATION_UNKNOWN = 14,
    HNV_DROP_INNER_DESTINATION_FOREIGN = 15,
    HNV_DROP_INNER_SOURCE_ADDRESS = 16,
    HNV_DROP_INNER_SOURCE_MAC = 17,
    HNV_DROP_INNER_TOO_BIG = 18,
    HNV_DROP_ECN = 19,
    HNV_DROP_DECAP_FAILED = 20,
    HNV_DROP_PORT_UNKNOWN = 21,
    HNV_DROP_PORT_ETHERTYPE = 22,
    HNV_DROP_PORT_MALFORMED = 23,
    HNV_DROP_TTL_EXCEEDED = 24,
    HNV_DROP_TOO_BIG = 25,
    HNV_DROP_NO_ROUTE = 26,
    HNV_DROP_NO_RECORD = 27,
    HNV_DROP_ENCAP_FAILED = 28,
    HNV_DROP_EXTERNAL_ETHERTYPE = 29,
    HNV_DROP_EXTERNAL_MALFORMED = 30,
    HNV_DROP_UNTRANSLATED = 31,
};
#define HNV_DROP_REASONS 32

#define HNV_ADDRESS_SIZE 16
#define HNV_MAC_SIZE 6

/* --- provider side
 * ------------------------------------------------------------------------------------------ */

/* A provider address of this node: tunnels end here. */
struct hnv_provider_key {
    __u8 address[HNV_ADDRESS_SIZE];
};
struct hnv_provider {
    __u32 ifindex;
};

struct hnv_subnet_key {
    __u32 vsid;
};
struct hnv_subnet {
    __u32 domain;
};

/* A provider address that may send frames of this domain. */
struct hnv_source_key {
    __u32 domain;
    __u8 address[HNV_ADDRESS_SIZE];
};
struct hnv_source {
    __u32 allowed;
};

/* --- ports: what stands behind the encap core (a routing context; later a VM) -----------------------------
 */

struct hnv_port_key {
    __u32 domain;
    __u8 mac[HNV_MAC_SIZE];
    __u8 pad[2];
};
struct hnv_interface_key {
    __u32 ifindex;
};
struct hnv_port {
    __u32 domain;
    __u32 vsid;
    __u32 ifindex;
    __u32 mtu; /* of the inner packet, from its IP header on */
    __u32 provider_ifindex;
    __u8 provider_address[HNV_ADDRESS_SIZE];
};

/* Which domains use a MAC for a port: only to tell a frame for somebody else's port from one for nobody's. */
struct hnv_mac_key {
    __u8 mac[HNV_MAC_SIZE];
    __u8 pad[2];
};
struct hnv_mac {
    __u32 ports;
};

/* --- customer space ---------------------------------------------------------------------------------------
 */

struct hnv_record_key {
    __u32 domain;
    __u8 address[HNV_ADDRESS_SIZE];
};
struct hnv_record {
    __u32 vsid;
    __u8 provider_address[HNV_ADDRESS_SIZE];
    __u8 mac[HNV_MAC_SIZE];
    __u8 pad[2];
};

/* Lookup record of type GatewayWildcard: any outside address may come from this MAC behind this provider
 * address. */
struct hnv_wildcard_key {
    __u32 domain;
    __u8 provider_address[HNV_ADDRESS_SIZE];
    __u8 mac[HNV_MAC_SIZE];
    __u8 pad[2];
};
struct hnv_wildcard {
    __u32 allowed;
};

struct hnv_route_key {
    __u32 prefix_length; /* 32 bits of domain, then those of the 128-bit address */
    __be32 domain;
    __u8 address[HNV_ADDRESS_SIZE];
};
struct hnv_route {
    __u32 vsid;
    __u32 on_link; /* 1: look up the packet's own destination; 0: look up next_hop */
    __u8 next_hop[HNV_ADDRESS_SIZE];
};

/* --- uplink side ------------------------------------------------------------------------------------------
 */

/* A public address and the context that owns it. */
struct hnv_external_key {
    __u8 address[HNV_ADDRESS_SIZE];
};
struct hnv_external {
    __u32 domain;
    __u32 ifindex;          /* root side of the context's external link */
    __u8 mac[HNV_MAC_SIZE]; /* of the context's own side */
    __u8 pad[2];
};
/* By the ifindex of the root side of a context's external link. */
struct hnv_external_port {
    __u32 domain;
    __u32 uplink_ifindex;
};
struct hnv_uplink {
    __u8 mac[HNV_MAC_SIZE];
    __u8 pad[2];
};

/* --- what happened ----------------------------------------------------------------------------------------
 */

struct hnv_stats {
    __u64 decap_packets;
    __u64 decap_bytes;
    __u64 encap_packets;
    __u64 encap_bytes;
    __u64 last_sample_ns;
    __u64 drops[HNV_DROP_REASONS];
};

struct hnv_drop_sample {
    __u64 time_ns; /* CLOCK_MONOTONIC */
    __u32 domain;
    enum hnv_drop_reason reason;
    __u32 ifindex;
    __u32 length;
    __u32 captured;
    __u8 head[128];
    __u8 pad[4];
};

/* Sizes are floors for tests; the loader sets them from the configuration. */
#define HNV_HASH(name_, key_, value_)                                                                        \
    struct {                                                                                                 \
        __uint(type, BPF_MAP_TYPE_HASH);                                                                     \
        __uint(max_entries, 1024);                                                                           \
        __uint(map_flags, BPF_F_NO_PREALLOC);                                                                \
        __type(key, struct key_);                                                                            \
        __type(value, struct value_);                                                                        \
    } name_ SEC(".maps")

HNV_HASH(providers, hnv_provider_key, hnv_provider);
HNV_HASH(subnets, hnv_subnet_key, hnv_subnet);
HNV_HASH(sources, hnv_source_key, hnv_source);
HNV_HASH(ports_by_mac, hnv_port_key, hnv_port);
HNV_HASH(ports_by_link, hnv_interface_key, hnv_port);
HNV_HASH(port_macs, hnv_mac_key, hnv_mac);
HNV_HASH(records, hnv_record_key, hnv_record);
HNV_HASH(wildcards, hnv_wildcard_key, hnv_wildcard);
HNV_HASH(externals, hnv_external_key, hnv_external);
HNV_HASH(external_ports, hnv_interface_key, hnv_external_port);
HNV_HASH(uplinks, hnv_interface_key, hnv_uplink);

struct {
    __uint(type, BPF_MAP_TYPE_LPM_TRIE);
    __uint(max_entries, 1024);
    __uint(map_flags, BPF_F_NO_PREALLOC);
    __type(key, struct hnv_route_key);
    __type(value, struct hnv_route);
} routes SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, 1024);
    __type(key, __u32); /* domain */
    __type(value, struct hnv_stats);
} stats SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, struct hnv_drop_sample);
} drop_scratch SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_RINGBUF);
    __uint(max_entries, 256 * 1024);
} drop_samples SEC(".maps");

#endif
