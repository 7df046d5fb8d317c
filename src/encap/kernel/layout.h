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
    HNV_DROP_PORT_SOURCE_MAC = 32,
    HNV_DROP_PORT_SOURCE_ADDRESS = 33,
    HNV_DROP_NEIGHBOUR_UNKNOWN = 34,
    HNV_DROP_NEIGHBOUR_MESSAGE = 35,
    HNV_DROP_NEIGHBOUR_MALFORMED = 36,
    HNV_DROP_ROUTER_DESTINATION = 37,
    HNV_DROP_LINK_LOCAL = 38,
    HNV_DROP_NO_PORT = 39,
    HNV_DROP_PROVIDER_FAMILY = 40,
    HNV_DROP_FRAGMENT_FAILED = 41,
    HNV_DROP_NO_MEMBERS = 42,
    HNV_DROP_REPLICATION_FAILED = 43,
    HNV_DROP_PROVIDER_VLAN = 44,
    HNV_DROP_LOOP = 45,
    HNV_DROP_EXTERNAL_PORT = 46,
    HNV_DROP_EXTERNAL_PROTOCOL = 47,
    HNV_DROP_EXTERNAL_QUOTE = 48,
    HNV_DROP_EXTERNAL_FRAGMENT = 49,
    HNV_DROP_PREFIX_TRANSLATION = 50,
    HNV_DROP_EXTERNAL_PEER = 51,
    HNV_DROP_SEGMENT_ETHERTYPE = 52,
    HNV_DROP_SEGMENT_MALFORMED = 53,
    HNV_DROP_SEGMENT_SOURCE_MAC = 54,
    HNV_DROP_SEGMENT_SOURCE_ADDRESS = 55,
    HNV_DROP_SEGMENT_DESTINATION = 56,
    HNV_DROP_SEGMENT_ROUTER_MESSAGE = 57,
};
#define HNV_DROP_REASONS 58

#define HNV_ADDRESS_SIZE 16
#define HNV_MAC_SIZE 6

/* --- provider side
 * ------------------------------------------------------------------------------------------ */

/* A provider address of this node, or a multicast group that it has joined: tunnels end here. */
struct hnv_provider_key {
    __u8 address[HNV_ADDRESS_SIZE];
};
struct hnv_provider {
    __u32 ifindex;
};

/* A provider link of this node's own making that is tagged on its way over the NIC below. */
struct hnv_vlan_key {
    __u32 ifindex; /* of the NIC: what it receives with the tag is the link's; of the link, with vlan 0: its
                      tag */
    __u32 vlan;
};
struct hnv_vlan {
    __u32 vlan;
};

struct hnv_subnet_key {
    __u32 vsid;
};
struct hnv_subnet {
    __u32 domain;
    __u8 router[HNV_ADDRESS_SIZE];  /* the `.1` of its first IPv4 prefix; zero when it has none */
    __u8 router6[HNV_ADDRESS_SIZE]; /* the same for IPv6 */
};

/* A provider address that may send frames of this domain. */
struct hnv_source_key {
    __u32 domain;
    __u8 address[HNV_ADDRESS_SIZE];
};
struct hnv_source {
    __u32 allowed;
};

/* --- ports: what stands behind the encap core: a routing context or a VM ----------------------------------
 */

/* `vsid` 0: the port that the MAC names when the frame carries another VSID of the domain. */
struct hnv_port_key {
    __u32 domain;
    __u32 vsid;
    __u8 mac[HNV_MAC_SIZE];
    __u8 pad[2];
};
struct hnv_interface_key {
    __u32 ifindex;
};
enum hnv_port_flags {
    HNV_PORT_LEARN = 1,   /* source MAC and addresses are learned, not guarded */
    HNV_PORT_GATEWAY = 2, /* a GatewayWildcard record has its MAC: any outside address may come from it */
    HNV_PORT_CONTEXT = 4, /* a routing context: its kernel guards sources */
    HNV_PORT_PEER = 8,    /* a veth whose other side is in another namespace: frames go straight there */
};
struct hnv_port {
    __u32 domain;
    __u32 vsid;
    __u32 ifindex;
    enum hnv_port_flags flags;
    __u32 mtu; /* of what the port takes, from the inner IP header on */
    __u32 provider_ifindex;
    __u32 provider_mtu; /* of the provider interface: the outer packet's limit, from its IP header on */
    __u8 provider_address[HNV_ADDRESS_SIZE];
    __u8 mac[HNV_MAC_SIZE];
    __u8 provider_mac[HNV_MAC_SIZE]; /* of the provider interface */
};

/* An address that a port may send from. */
struct hnv_port_address_key {
    __u32 ifindex;
    __u8 address[HNV_ADDRESS_SIZE];
};
struct hnv_port_address {
    __u32 domain;
};

/* Who gets a copy of a subnet's broadcasts and multicasts: addresses one behind the other, 16 bytes each. */
#define HNV_MEMBERS 256
struct hnv_members_key {
    __u32 vsid;
};
struct hnv_members {
    __u32 domain;
    __u32 locals;
    __u32 remotes;
    __u32 pad;
    __u8 group[HNV_ADDRESS_SIZE]; /* provider multicast address, instead of copies to `remote`; zero: none */
    __u32 local[HNV_MEMBERS];     /* ifindexes of ports of this node */
    __u8 local_address[HNV_MEMBERS *
                       HNV_ADDRESS_SIZE]; /* what comes to another provider address is not for the port */
    __u8 remote[HNV_MEMBERS * HNV_ADDRESS_SIZE];
};

/* Which domains use a MAC for a port: only to tell a frame for somebody else's port from one for nobody's. */
struct hnv_mac_key {
    __u8 mac[HNV_MAC_SIZE];
    __u8 pad[2];
};
struct hnv_mac {
    __u32 known; /* 1 */
};

/* --- customer space ---------------------------------------------------------------------------------------
 */

struct hnv_record_key {
    __u32 domain;
    __u8 address[HNV_ADDRESS_SIZE];
};
enum hnv_record_flags {
    HNV_RECORD_LOCAL = 1,   /* its provider address is this node's: it is behind a port here */
    HNV_RECORD_DYNAMIC = 2, /* learned: may be learned again from elsewhere */
};
struct hnv_record {
    __u32 vsid;
    enum hnv_record_flags flags;
    __u8 provider_address[HNV_ADDRESS_SIZE];
    __u8 mac[HNV_MAC_SIZE];
    __u8 pad[2];
};

/*
 * What may come from a MAC behind a provider address beside the addresses that records give it:
 * GatewayWildcard, any address that no record has; L2Only, those of its subnet that no record has.
 */
struct hnv_wildcard_key {
    __u32 domain;
    __u8 provider_address[HNV_ADDRESS_SIZE];
    __u8 mac[HNV_MAC_SIZE];
    __u8 pad[2];
};
enum hnv_wildcard_scope {
    HNV_WILDCARD_OUTSIDE = 1, /* GatewayWildcard */
    HNV_WILDCARD_SUBNET = 2,  /* L2Only */
};
struct hnv_wildcard {
    enum hnv_wildcard_scope scope;
    __u32 vsid;
};

/* The distributed router's addresses, every `.1` of the domain. */
struct hnv_router_key {
    __u32 domain;
    __u8 address[HNV_ADDRESS_SIZE];
};
struct hnv_router {
    __u32 vsid;
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

/* A public address that is one domain's whole, and the context that owns it. */
struct hnv_external_key {
    __u8 address[HNV_ADDRESS_SIZE];
};
struct hnv_external {
    __u32 domain;
    __u32 ifindex;          /* root side of the context's external link */
    __u8 mac[HNV_MAC_SIZE]; /* of the context's own side */
    __u8 pad[2];
};
/* What an IPv6 prefix becomes by NPTv6 (RFC 6296), in one direction. */
struct hnv_translation {
    __u8 prefix[HNV_ADDRESS_SIZE];
    __u32 length;      /* of both prefixes, bits; 0: not translated */
    __be16 adjustment; /* is added to one word of the address, so that its sum stays */
    __u8 pad[2];
};

/* An aligned block of the ports of a public address, or an IPv6 prefix. */
struct hnv_range_key {
    __u32 prefix_length; /* of the 128-bit address, then of the 16-bit port: more than 128 for a block */
    __u8 address[HNV_ADDRESS_SIZE];
    __be16 port; /* or ICMP identifier */
    __u8 pad[2];
};
struct hnv_range {
    struct hnv_external owner;
    __u32 is_block;
    struct hnv_translation inward; /* of a prefix */
};

/* An address whose ports are shared out among domains. */
struct hnv_shared_address {
    __u32 known; /* 1: it has entries in `external_ranges` */
};

/* An IKE peer of a shared address: who speaks IKE or ESP with it is told by the peer, not by a port. */
struct hnv_peer_key {
    __u8 local[HNV_ADDRESS_SIZE];
    __u8 remote[HNV_ADDRESS_SIZE];
};

/* By the ifindex of the root side of a context's external link. */
enum hnv_external_port_flags {
    HNV_EXTERNAL_PORT_HAIRPIN_OUTSIDE = 1, /* also what is for an owned address goes to the uplink's router */
};
struct hnv_external_port {
    __u32 domain;
    __u32 uplink_ifindex;
    enum hnv_external_port_flags flags;
};

/* Where fragments to shared addresses are put in order: the root side of the sorter's link; 0: nowhere. */
struct hnv_sorter {
    __u32 ifindex;
};

/* A fragmented packet to a shared address whose first fragment has passed. */
struct hnv_fragmented_key {
    __u8 source[HNV_ADDRESS_SIZE];
    __u8 destination[HNV_ADDRESS_SIZE];
    __be32 id;
    __u32 protocol;
};
struct hnv_uplink {
    __u8 mac[HNV_MAC_SIZE];
    __u8 pad[2];
};

/* --- networks without NAT ---------------------------------------------------------------------------------
 *
 * A segment is a VLAN of an uplink's NIC, or, with `vlan` 0, its untagged network. Contexts are stations
 * there, with a MAC each; a VLAN is one context's alone.
 */

/*
 * Whose frames to a MAC are. Of a VLAN there is also ff:ff:ff:ff:ff:ff, and 33:33:00:00:00:00 for all IPv6
 * multicasts.
 */
struct hnv_segment_key {
    __u32 ifindex; /* of the NIC */
    __u32 vlan;
    __u8 mac[HNV_MAC_SIZE];
    __u8 pad[2];
};
/* An address of a context's own on a segment. */
struct hnv_segment_address_key {
    __u32 ifindex; /* of the NIC */
    __u32 vlan;
    __u8 address[HNV_ADDRESS_SIZE];
};
struct hnv_segment {
    __u32 domain;
    __u32 ifindex; /* root side of the context's link */
};

/* By the ifindex of the root side of a context's link to a segment. */
struct hnv_segment_port {
    __u32 domain;
    __u32 uplink_ifindex;
    __u32 vlan;
    __u8 mac[HNV_MAC_SIZE]; /* of the context's own side */
    __u8 pad[2];
};

/* Prefixes of tenants that are routed as they are; keys as of routes. */
struct hnv_forwarded {
    __u32 known; /* 1 */
};

/* --- established flows -------------------------------------------------------------------------------------
 *
 * What the slow path has done with the packets of a conversation, one direction of it, is noted here, and
 * done again with the next ones: while the domain's generation stays, and as long as connection tracking
 * still has the conversation as it was. All else goes the slow way, and is noted anew.
 */

enum hnv_flow_side {
    HNV_FLOW_FROM_PROVIDER = 1,
    HNV_FLOW_FROM_UPLINK = 2,
};
/* What packets have in their headers when they come in; the inner ones where there is a tunnel. */
struct hnv_flow_key {
    __be16 source_port;      /* of an echo its identifier */
    __be16 destination_port; /* of an echo its type and code */
    __u32 place;             /* VSID; from the uplink the NIC's ifindex */
    __u16 vlan;              /* from the uplink; 0: untagged */
    __u8 protocol;
    __u8 side;               /* enum hnv_flow_side; 0 where there is no flow */
    __u32 version;           /* of IP: 4 or 6 */
    __u8 source[4];          /* of IPv4; IPv6 has its addresses, */
    __u8 destination[4];     /* one behind the other, */
    __u8 more_addresses[24]; /* in all three */
};
enum hnv_flow_flags {
    HNV_FLOW_TO_TUNNEL = 1, /* goes out by NVGRE */
    HNV_FLOW_XDP = 2,       /* the NIC that it leaves by takes redirected frames */
    HNV_FLOW_V6 = 4,        /* the tunnel that it leaves by is IPv6 */
};
/* A tunnel's header, but for what is in all of them. */
struct hnv_flow_tunnel {
    __u8 destination_mac[HNV_MAC_SIZE]; /* of the inner frame */
    __u8 source_mac[HNV_MAC_SIZE];
    __be32 key; /* VSID and FlowID; 0 for a tunnel that packets come by */
    __u8 source[HNV_ADDRESS_SIZE];
    __u8 destination[HNV_ADDRESS_SIZE];
};
/* What every packet needs comes first: with the key it is in three lines of the processor's cache for IPv4.
 */
struct hnv_flow {
    __u32 generation; /* of the domain, when it was learned */
    __u32 domain;
    __u64 recent;                       /* since it was learned: packets in the upper 28 bits, bytes below */
    __u32 looked;                       /* when it was looked at the time last, in ticks of the kernel's */
    __u32 arriving_ifindex;             /* of the NIC that its packets come in by */
    __u8 arriving_mac[HNV_MAC_SIZE];    /* that frames are for then */
    __u16 longest;                      /* packet, bytes from the (inner) IP header on */
    __u8 hops;                          /* taken off TTL or hop limit */
    __u8 flags;                         /* enum hnv_flow_flags */
    __u16 vlan;                         /* of the frame that leaves; 0: untagged */
    __u32 ifindex;                      /* it leaves by */
    __u8 destination_mac[HNV_MAC_SIZE]; /* of the frame that leaves */
    __u8 source_mac[HNV_MAC_SIZE];
    __u16 address_sum;  /* what the change of addresses adds to a checksum, one's complement */
    __u16 port_sum;     /* and of ports */
    __be16 source_port; /* what they become */
    __be16 destination_port;
    struct hnv_flow_tunnel tunnel; /* that its packets come by, or go by */
    __u8 source[HNV_ADDRESS_SIZE];
    __u8 destination[HNV_ADDRESS_SIZE];
    __u32 revisit;    /* second (CLOCK_MONOTONIC) from which on they go the slow way, to be learned anew */
    __u64 connection; /* address of the kernel's struct nf_conn; 0: of an echo */
    __u32 refreshed;  /* second in which connection tracking was told last that it goes on */
    __u32 pad;
    __u64
        packets; /* since `started` and before `recent`, beside those that connection tracking has counted */
    __u64 bytes; /* from the (inner) IP header on */
    __u64 started; /* of the conversation, as connection tracking has it: ns since 1970; 0: not known, as of
                      echoes */
};
/* Four lines of the processor's cache. */
struct hnv_flow_entry {
    struct hnv_flow_key key;
    struct hnv_flow flow;
    __u32 slot; /* that leads here, as slots of the CPU are numbered */
    __u32 pad[5];
};
/*
 * Where the flows are whose keys have one hash, but for a few bits: those, and 1 more than the number of an
 * entry of the CPU (flow_table.h); 0: none. A slot whose entry names another one is empty, too.
 */
#define HNV_FLOW_SLOTS 4
#define HNV_FLOW_ENTRY_BITS 20
struct hnv_flow_set {
    __u32 slots[HNV_FLOW_SLOTS];
};
#define HNV_FLOW_KEY_WORDS 6
struct hnv_flow_table {
    __u64
        multipliers[HNV_FLOW_KEY_WORDS]; /* by which a key is hashed: secret, or tenants might choose sets */
    __u32 sets;                          /* of each CPU; 0: there is no table yet */
    __u32 entries;                       /* of each CPU */
};
#define HNV_RECENT_SHIFT 36

/*
 * By the domain's number. A generation is never taken again: flows of an older one are over. The one of
 * number 0 is incremented before any other: what was seen before may have been seen under the old policy.
 */
struct hnv_fast_domain {
    __u32 generation;
    __u32 is_enabled;
    __s32 netns_id; /* of the context's namespace, as the node's knows it */
    __u32 tcp_ms;   /* how long connection tracking keeps a silent conversation */
    __u32 udp_ms;
    __u32 revisit_seconds; /* how often a packet of each flow goes the slow way; of echoes once a second */
    __u32 has_echo;        /* that is enough for connection tracking to keep echoes */
    __u32 pad;             /* half a line of the processor's cache */
};
/* NICs between which flows may be fast. */
struct hnv_fast_link {
    __u32 has_xdp; /* frames may be redirected to it */
};

/* CPUs that NVGRE frames are spread over by their inner flows (spread.h). */
#define HNV_SPREAD_CPUS 64
struct hnv_spread {
    __u32 count; /* 0: each frame stays where its NIC has put it */
    __u32 cpus[HNV_SPREAD_CPUS];
};
/* As the kernel's struct bpf_cpumap_val. */
struct hnv_spread_cpu {
    __u32 frames;  /* that may wait for the CPU */
    __u32 program; /* written as a file descriptor, read as an id */
};

/* A packet that was let in by the slow way, and may be the last slow one of its flow. */
struct hnv_arrival {
    __u32 domain;     /* 0: none */
    __u32 generation; /* of number 0, before anything was looked up */
    __u32 ifindex;    /* of the NIC */
    __u32 is_v6;
    __u8 source[HNV_ADDRESS_SIZE];
    __u8 destination[HNV_ADDRESS_SIZE];
    struct hnv_flow_key key;
    __u8 mac[HNV_MAC_SIZE]; /* that the frame is for */
    __u16 longest;          /* packet that is let in, bytes from the (inner) IP header on */
    __u8 ttl;
    __u8 pad;
    __be16 echo_sequence; /* this and the next: of what is no echo, any bytes */
    __u16 echo_checksum;
    __u16 pad2;
    __u32 length; /* as the IP header says, that included */
    struct hnv_flow_tunnel tunnel;
};
/* How learning stands on a CPU. */
struct hnv_learning {
    __u32 next;                 /* where the next arrival is noted */
    __u32 next_entry;           /* of the table of flows, that is looked at next when one is taken */
    struct hnv_arrival arrival; /* the packet that is looked at, when its NIC is */
    struct hnv_flow flow;       /* what is made of it */
};

/* --- next hops ---------------------------------------------------------------------------------------------
 */

/* Where the node's own routes lead from one address to another, by an interface, as they were when asked. */
struct hnv_next_hop {
    __u32 generation; /* of number 0 then */
    __u32 looked;     /* when, in ticks of the kernel's */
    __u32 ifindex;
    __u32 family;                   /* of `address`; 0: the kernel is to find the way of each packet itself */
    __u8 address[HNV_ADDRESS_SIZE]; /* of IPv4 the first four bytes: as struct bpf_redir_neigh, with `family`
                                     */
    __u8 source[HNV_ADDRESS_SIZE];
    __u8 destination[HNV_ADDRESS_SIZE];
};

/* --- what happened ----------------------------------------------------------------------------------------
 */

/* One line of the processor's cache: the fast path has it for each of many domains. */
struct hnv_traffic {
    __u64 decap_packets;
    __u64 decap_bytes;
    __u64 encap_packets;
    __u64 encap_bytes;
    __u64 fast_packets;  /* of both, those that took the fast path */
    __u64 local_packets; /* from a port to another one of this node */
    __u64 local_bytes;
    __u64 replicated_packets; /* copies of broadcasts and multicasts that were made here */
};
struct hnv_drops {
    __u64 last_sample_ns;
    __u64 last_error_ns; /* when the last ICMP error was sent */
    __u64 packets[HNV_DROP_REASONS];
};

/* Somebody showed that an address is at a port that learns. */
enum hnv_evidence {
    HNV_EVIDENCE_ARP = 1,
    HNV_EVIDENCE_ND = 2,
    HNV_EVIDENCE_DHCP = 3,
};
struct hnv_learned {
    __u64 time_ns; /* CLOCK_MONOTONIC */
    __u32 domain;
    __u32 vsid;
    __u32 ifindex;
    enum hnv_evidence evidence;
    __u8 address[HNV_ADDRESS_SIZE];
    __u8 mac[HNV_MAC_SIZE];
    __u8 pad[2];
};

/* When a learned address was last heard of, at its port. */
struct hnv_sighting_key {
    __u32 domain;
    __u8 address[HNV_ADDRESS_SIZE];
};
struct hnv_sighting {
    __u64 time_ns; /* CLOCK_MONOTONIC */
    __u32 ifindex;
    __u8 pad[4];
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
HNV_HASH(port_addresses, hnv_port_address_key, hnv_port_address);
HNV_HASH(members, hnv_members_key, hnv_members);
HNV_HASH(vlans, hnv_vlan_key, hnv_vlan);
HNV_HASH(routers, hnv_router_key, hnv_router);
HNV_HASH(records, hnv_record_key, hnv_record);
HNV_HASH(stations, hnv_port_key,
         hnv_record); /* by MAC alone: where L2Only records place it, ports that learn */
HNV_HASH(wildcards, hnv_wildcard_key, hnv_wildcard);
HNV_HASH(externals, hnv_external_key, hnv_external);
HNV_HASH(shared_addresses, hnv_external_key, hnv_shared_address);
HNV_HASH(peers, hnv_peer_key, hnv_external);
HNV_HASH(external_ports, hnv_interface_key, hnv_external_port);
HNV_HASH(uplinks, hnv_interface_key, hnv_uplink);
HNV_HASH(segments, hnv_segment_key, hnv_segment);
HNV_HASH(segment_addresses, hnv_segment_address_key, hnv_segment);
HNV_HASH(segment_ports, hnv_interface_key, hnv_segment_port);

#define HNV_LPM(name_, key_, value_)                                                                         \
    struct {                                                                                                 \
        __uint(type, BPF_MAP_TYPE_LPM_TRIE);                                                                 \
        __uint(max_entries, 1024);                                                                           \
        __uint(map_flags, BPF_F_NO_PREALLOC);                                                                \
        __type(key, struct key_);                                                                            \
        __type(value, struct value_);                                                                        \
    } name_ SEC(".maps")

HNV_LPM(routes, hnv_route_key, hnv_route);
HNV_LPM(external_ranges, hnv_range_key, hnv_range);
HNV_LPM(translations, hnv_route_key, hnv_translation); /* internal prefixes: what they become outwards */
HNV_LPM(forwarded, hnv_route_key, hnv_forwarded);

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, struct hnv_sorter);
} sorter SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_LRU_HASH);
    __uint(max_entries, 4096);
    __type(key, struct hnv_fragmented_key);
    __type(value, struct hnv_external);
} fragmented SEC(".maps");

#define HNV_OF_DOMAINS(name_, value_)                                                                        \
    struct {                                                                                                 \
        __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);                                                             \
        __uint(max_entries, 1024);                                                                           \
        __type(key, __u32);                                                                                  \
        __type(value, struct value_);                                                                        \
    } name_ SEC(".maps")
HNV_OF_DOMAINS(traffic, hnv_traffic);
HNV_OF_DOMAINS(drops, hnv_drops);

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

struct {
    __uint(type, BPF_MAP_TYPE_RINGBUF);
    __uint(max_entries, 64 * 1024);
} learned SEC(".maps");

/* Those of the first CPU, then those of the next one. To be mapped, so that they begin at a page. */
#define HNV_OF_CPUS(name_, value_)                                                                           \
    struct {                                                                                                 \
        __uint(type, BPF_MAP_TYPE_ARRAY);                                                                    \
        __uint(map_flags, BPF_F_MMAPABLE);                                                                   \
        __uint(max_entries, 1024);                                                                           \
        __type(key, __u32);                                                                                  \
        __type(value, struct value_);                                                                        \
    } name_ SEC(".maps")
HNV_OF_CPUS(flows, hnv_flow_entry);
HNV_OF_CPUS(flow_sets, hnv_flow_set);
struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, struct hnv_flow_table);
} flow_table SEC(".maps");
HNV_HASH(fast_links, hnv_interface_key, hnv_fast_link);

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, 1024);
    __type(key, __u32); /* domain */
    __type(value, struct hnv_fast_domain);
} fast_domains SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, struct hnv_spread);
} spread_over SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_CPUMAP);
    __uint(max_entries, 2);
    __type(key, __u32); /* CPU */
    __type(value, struct hnv_spread_cpu);
} spread_cpus SEC(".maps");

#define HNV_ARRIVALS 1024
struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, HNV_ARRIVALS);
    __type(key, __u32);
    __type(value, struct hnv_arrival);
} arrivals SEC(".maps");

/* How many packets a flow had that may become fast, by a hash of it, whose upper half stands above the count.
 */
#define HNV_SEEN 65536
struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, HNV_SEEN);
    __type(key, __u32);
    __type(value, __u32);
} seen SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, struct hnv_learning);
} learning SEC(".maps");

#define HNV_NEXT_HOPS 1024
struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, HNV_NEXT_HOPS);
    __type(key, __u32);
    __type(value, struct hnv_next_hop);
} next_hops SEC(".maps");

/* The value type of a ring buffer must not be named in its definition; this keeps it in the BTF. */
struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, struct hnv_learned);
} learned_scratch SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_LRU_HASH);
    __uint(max_entries, 1024);
    __type(key, struct hnv_sighting_key);
    __type(value, struct hnv_sighting);
} sightings SEC(".maps");

#endif
