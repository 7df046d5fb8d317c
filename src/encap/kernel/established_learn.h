/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * How flows are learned, from packets that go the slow way: what came in is noted when it has been let in,
 * and when it is seen to leave, connection tracking tells that the two are one packet. What the slow path did
 * in between is the difference.
 */
#ifndef HNV_ESTABLISHED_LEARN_H
#define HNV_ESTABLISHED_LEARN_H

#include "established.h"
#include "outer.h"
#include "session.h"

/* So many slow packets of a direction first: short conversations do not pay. */
#define LEARN_AFTER 4
#define NOT_FAST (-2) /* no action of TC */
#define EXPECTED_SECONDS 2

static __always_inline struct hnv_learning *learning_here(void) {
    __u32 key = 0;

    return bpf_map_lookup_elem(&learning, &key);
}

static __always_inline __u32 hash_tuple(const __u8 *source, const __u8 *destination, __u32 ports,
                                        __u32 seed) {
    __u32 hash = mix(mix_address(mix_address(seed, source), destination), ports);

    /* Ports that differ in one byte differ in the low bits, which are used. */
    hash = (hash ^ (hash >> 16)) * 0x85ebca6b;
    return hash ^ (hash >> 13);
}

/*
 * The flow has had so many packets that it is worth it. A counter is one flow's at a time, and another one
 * takes its place now and then: long ones have their turn, and many short ones do not add up.
 */
static __always_inline bool is_due(__u32 hash) {
    __u32 key = hash & (HNV_SEEN - 1), mine = hash >> 16 << 16;
    __u32 *count = bpf_map_lookup_elem(&seen, &key), value;

    if (!count)
        return false;
    value = *count;
    if ((value ^ mine) >> 16) {
        if (!(value & 0xffff) || !(bpf_get_prandom_u32() & 7))
            *count = mine | 1;
        return false;
    }
    value++;
    *count = (value & 0xffff) < LEARN_AFTER ? value : mine;
    return (value & 0xffff) >= LEARN_AFTER;
}

/* A packet that is of no flow, and never will be; the last one is not considered any more. */
static __always_inline int not_fast(void) {
    struct hnv_learning *here = learning_here();

    if (here)
        here->arrival.ifindex = 0;
    return NOT_FAST;
}

/* A packet that came in by the NIC goes the slow way: begins to note it, if it may be fast one day. */
static __always_inline void consider(struct __sk_buff *skb, const struct candidate *packet, const bool v6,
                                     bool is_known) {
    struct hnv_learning *here = learning_here();
    const struct ipv6hdr *ip6 = packet->ip;
    const struct iphdr *ip = packet->ip;
    struct hnv_arrival *arrival;
    struct hnv_flow6_key *key;

    if (!here)
        return;
    arrival = &here->arrival;
    arrival->ifindex = 0;
    if (!packet->ip)
        return;
    key = &arrival->key;
    if (v6) {
        __builtin_memcpy(key->source, &ip6->saddr, HNV_ADDRESS_SIZE);
        __builtin_memcpy(key->destination, &ip6->daddr, HNV_ADDRESS_SIZE);
    } else {
        map_v4(key->source, ip->saddr);
        map_v4(key->destination, ip->daddr);
    }
    if (!is_known && !is_due(hash_tuple(key->source, key->destination, packet->ports, packet->place)))
        return;
    __builtin_memcpy(&key->source_port, &packet->ports, sizeof(packet->ports));
    key->place = packet->place;
    key->vlan = packet->vlan;
    key->protocol = packet->protocol;
    key->side = packet->side;
    arrival->generation = common_generation();
    arrival->is_v6 = v6;
    arrival->ttl = packet->ttl;
    arrival->ifindex = skb->ifindex;
}

/* The packet that consider() was about; not one that comes from a context. */
static __always_inline struct hnv_learning *considered(const struct __sk_buff *skb) {
    struct hnv_learning *here = learning_here();

    return here && here->arrival.ifindex && here->arrival.ifindex == skb->ifindex ? here : NULL;
}

static __always_inline bool is_fast_link(__u32 ifindex, bool *has_xdp) {
    struct hnv_interface_key key = {.ifindex = ifindex};
    struct hnv_fast_link *link = bpf_map_lookup_elem(&fast_links, &key);

    if (link)
        *has_xdp = link->has_xdp;
    return link;
}

static __always_inline __u32 arrival_slot(__u32 domain, const __u8 *source, const __u8 *destination,
                                          __u32 ports) {
    return hash_tuple(source, destination, ports, domain) & (HNV_ARRIVALS - 1);
}

/*
 * The considered packet was let in, to the context of the domain: it is expected to leave there. `mac` is
 * what its frame was for.
 */
static __noinline void let_in(struct hnv_learning *here, __u32 domain, const __u8 *mac, __u32 longest) {
    struct hnv_arrival *considered = &here->arrival, *noted;
    struct hnv_fast_domain *policy = bpf_map_lookup_elem(&fast_domains, &domain);
    __u32 ports, slot, now = seconds_now();
    bool has_xdp;

    if (!policy || !policy->is_enabled || !is_fast_link(considered->ifindex, &has_xdp))
        return;
    __builtin_memcpy(&ports, &considered->key.source_port, sizeof(ports));
    slot = arrival_slot(domain, considered->key.source, considered->key.destination, ports);
    noted = bpf_map_lookup_elem(&arrivals, &slot);
    if (!noted)
        return;
    considered->domain = domain;
    considered->longest = longest > 0xffff ? 0xffff : longest;
    __builtin_memcpy(considered->mac, mac, HNV_MAC_SIZE);
    *noted = *considered;
    considered->ifindex = 0;
    if (now - here->since >= EXPECTED_SECONDS)
        here->expected = 0;
    here->expected++;
    here->since = now;
}

/* From a tunnel, whose headers are let in with the packet. By itself, for the stack's sake. */
static __noinline void let_in_tunnelled(struct __sk_buff *skb, __u32 domain, __u32 longest,
                                        const struct outer *outer, const struct ethhdr *inner) {
    struct hnv_learning *here = considered(skb);
    struct hnv_flow_tunnel *tunnel;
    __u8 mac[HNV_MAC_SIZE];

    if (!here || bpf_skb_load_bytes(skb, 0, mac, sizeof(mac)))
        return;
    tunnel = &here->arrival.tunnel;
    __builtin_memcpy(tunnel->source, outer->source, HNV_ADDRESS_SIZE);
    __builtin_memcpy(tunnel->destination, outer->destination, HNV_ADDRESS_SIZE);
    __builtin_memcpy(tunnel->destination_mac, inner->h_dest, HNV_MAC_SIZE);
    __builtin_memcpy(tunnel->source_mac, inner->h_source, HNV_MAC_SIZE);
    tunnel->key = 0;
    let_in(here, domain, mac, longest);
}

/* From the network outside; the frame's Ethernet header is still its own. */
static __always_inline void let_in_plain(struct __sk_buff *skb, __u32 domain) {
    struct hnv_learning *here = considered(skb);
    __u8 mac[HNV_MAC_SIZE];

    if (!here || bpf_skb_load_bytes(skb, 0, mac, sizeof(mac)))
        return;
    __builtin_memset(&here->arrival.tunnel, 0, sizeof(here->arrival.tunnel));
    let_in(here, domain, mac, 0xffff);
}

/* A packet leaves: NULL unless some are expected to. */
static __always_inline struct hnv_learning *expecting(void) {
    struct hnv_learning *here = learning_here();

    return here && here->expected && seconds_now() - here->since < EXPECTED_SECONDS ? here : NULL;
}

/*
 * Where the frame goes, as the node's own routes and neighbours say: with a tunnel to its end, else to the
 * packet's. By itself, for the stack's sake.
 */
__noinline int find_next_station(struct __sk_buff *skb) {
    struct hnv_learning *here = learning_here();
    struct bpf_fib_lookup asked = {};
    struct hnv_flow *flow;
    bool tunnel;

    if (!here)
        return false;
    flow = &here->flow;
    tunnel = flow->flags & HNV_FLOW_TO_TUNNEL;
    if (ask_route(skb, tunnel ? flow->tunnel.source : flow->source,
                  tunnel ? flow->tunnel.destination : flow->destination,
                  &asked) != BPF_FIB_LKUP_RET_SUCCESS ||
        asked.ifindex != flow->ifindex)
        return false;
    __builtin_memcpy(flow->destination_mac, asked.dmac, HNV_MAC_SIZE);
    __builtin_memcpy(flow->source_mac, asked.smac, HNV_MAC_SIZE);
    if (!tunnel && asked.mtu_result < flow->longest)
        flow->longest = asked.mtu_result;
    return true;
}

static __always_inline bool is_tuple(const struct tuple *tuple, bool v6, const __u8 *source,
                                     const __u8 *destination, __u32 ports) {
    __u8 from[HNV_ADDRESS_SIZE], to[HNV_ADDRESS_SIZE];
    __u32 both = (__u32)tuple->destination_port << 16 | tuple->source_port;

    if (v6) {
        __builtin_memcpy(from, tuple->source, HNV_ADDRESS_SIZE);
        __builtin_memcpy(to, tuple->destination, HNV_ADDRESS_SIZE);
    } else {
        map_v4(from, *(__be32 *)tuple->source);
        map_v4(to, *(__be32 *)tuple->destination);
    }
    return both == ports && same_address(from, source) && same_address(to, destination);
}

/* What one side of a change adds to a checksum that the other was part of. */
static __always_inline __u16 difference(const __u8 *was, const __u8 *becomes, const __u32 words) {
    const __u32 *from = (const void *)was, *to = (const void *)becomes;
    __u64 sum = 0;
    __u16 folded;

#pragma unroll
    for (__u32 i = 0; i < words; i++)
        sum += (__u64)(__u32)~from[i] + to[i];
    folded = fold(sum);
    return folded == 0xffff ? 0 : folded;
}

/* The arrival that is now the packet of `flow`, on its way out. */
static __always_inline struct hnv_arrival *arrival_of(__u32 domain, const struct tuple *came, bool v6) {
    __u8 source[HNV_ADDRESS_SIZE], destination[HNV_ADDRESS_SIZE];
    __u32 ports = (__u32)came->destination_port << 16 | came->source_port, slot;
    struct hnv_arrival *arrival;

    if (v6) {
        __builtin_memcpy(source, came->source, HNV_ADDRESS_SIZE);
        __builtin_memcpy(destination, came->destination, HNV_ADDRESS_SIZE);
    } else {
        map_v4(source, *(__be32 *)came->source);
        map_v4(destination, *(__be32 *)came->destination);
    }
    slot = arrival_slot(domain, source, destination, ports);
    arrival = bpf_map_lookup_elem(&arrivals, &slot);
    if (!arrival || arrival->domain != domain || arrival->is_v6 != v6 ||
        arrival->key.protocol != came->protocol ||
        !is_tuple(came, v6, arrival->key.source, arrival->key.destination,
                  (__u32)arrival->key.destination_port << 16 | arrival->key.source_port))
        return NULL;
    return arrival;
}

/* Sets what the flow has of the arrival, and what lies between the two: the context is one hop. */
static __always_inline bool compare(struct hnv_flow *flow, const struct hnv_arrival *arrival,
                                    const struct packet *packet, __u32 ports) {
    bool has_xdp = false;
    __u32 from;

    if (arrival->ttl - packet->ttl != 1 || !is_fast_link(flow->ifindex, &has_xdp) ||
        (arrival->key.side == HNV_FLOW_FROM_UPLINK) != !!(flow->flags & HNV_FLOW_TO_TUNNEL))
        return false;
    if (has_xdp)
        flow->flags |= HNV_FLOW_XDP;
    if (arrival->longest < flow->longest)
        flow->longest = arrival->longest;
    flow->arriving_ifindex = arrival->ifindex;
    __builtin_memcpy(flow->arriving_mac, arrival->mac, HNV_MAC_SIZE);
    if (!(flow->flags & HNV_FLOW_TO_TUNNEL))
        flow->tunnel = arrival->tunnel;
    __builtin_memcpy(flow->source, packet->source, HNV_ADDRESS_SIZE);
    __builtin_memcpy(flow->destination, packet->destination, HNV_ADDRESS_SIZE);
    __builtin_memcpy(&flow->source_port, &ports, sizeof(ports));
    __builtin_memcpy(&from, &arrival->key.source_port, sizeof(from));
    /* Both addresses at once: they stand one behind the other. */
    flow->address_sum = fold((__u64)difference(arrival->key.source, flow->source, 4) +
                             difference(arrival->key.destination, flow->destination, 4));
    if (flow->address_sum == 0xffff)
        flow->address_sum = 0;
    flow->port_sum = difference((__u8 *)&from, (__u8 *)&ports, 1);
    return true;
}

/* Puts the flow into its map, with what an older one of the same conversation has counted. */
static __always_inline void store(struct hnv_flow *flow, const struct hnv_flow6_key *key, bool v6) {
    struct hnv_flow4_key key4 = {
        .source = v4_of(key->source),
        .destination = v4_of(key->destination),
        .source_port = key->source_port,
        .destination_port = key->destination_port,
        .place = key->place,
        .vlan = key->vlan,
        .protocol = key->protocol,
        .side = key->side,
    };
    struct hnv_flow *older;

    older = v6 ? bpf_map_lookup_elem(&flows6, key) : bpf_map_lookup_elem(&flows4, &key4);
    if (older && older->started == flow->started && older->domain == flow->domain) {
        flow->packets = older->packets + (older->recent >> HNV_RECENT_SHIFT);
        flow->bytes = older->bytes + (older->recent & ((1ULL << HNV_RECENT_SHIFT) - 1));
    }
    if (v6)
        bpf_map_update_elem(&flows6, key, flow, BPF_ANY);
    else
        bpf_map_update_elem(&flows4, &key4, flow, BPF_ANY);
}

/* The conversation that a packet of the frame's is of, by what its answer would have in its headers. */
static __always_inline struct nf_conn *connection_of(struct __sk_buff *skb, const struct packet *packet,
                                                     __u32 ports, struct bpf_ct_opts___hnv *options) {
    __u32 answer = ports << 16 | ports >> 16;
    struct bpf_sock_tuple tuple = {};

    if (packet->v6) {
        __builtin_memcpy(tuple.ipv6.saddr, packet->destination, HNV_ADDRESS_SIZE);
        __builtin_memcpy(tuple.ipv6.daddr, packet->source, HNV_ADDRESS_SIZE);
        __builtin_memcpy(&tuple.ipv6.sport, &answer, sizeof(answer));
        return bpf_skb_ct_lookup(skb, &tuple, sizeof(tuple.ipv6), options, sizeof(*options));
    }
    tuple.ipv4.saddr = v4_of(packet->destination);
    tuple.ipv4.daddr = v4_of(packet->source);
    __builtin_memcpy(&tuple.ipv4.sport, &answer, sizeof(answer));
    return bpf_skb_ct_lookup(skb, &tuple, sizeof(tuple.ipv4), options, sizeof(*options));
}

/* The frame, whose IP packet as the context has sent it is `packet`, leaves as the flow says that is here. */
__noinline int learn_flow(struct __sk_buff *skb, __u32 domain, struct packet *packet) {
    struct hnv_fast_domain *policy = bpf_map_lookup_elem(&fast_domains, &domain);
    struct hnv_learning *here = learning_here();
    struct bpf_ct_opts___hnv options = {};
    struct hnv_flow *flow;
    struct hnv_arrival *arrival;
    struct nf_conn *connection;
    unsigned long status = 0;
    struct tuple came = {};
    __u32 ports;
    bool ok;

    if (!here || !packet || !policy || !policy->is_enabled || packet->fragment ||
        (packet->protocol != IPPROTO_TCP && packet->protocol != IPPROTO_UDP) ||
        bpf_skb_load_bytes(skb, ETH_HLEN + packet->header, &ports, sizeof(ports)))
        return 0;
    flow = &here->flow;
    flow->generation = *(volatile __u32 *)&policy->generation;
    options.netns_id = policy->netns_id;
    options.l4proto = packet->protocol;
    connection = connection_of(skb, packet, ports, &options);
    if (!connection)
        return 0;
    flow->connection = (__u64)connection;
    flow->started = start_of(connection);
    ok = !bpf_probe_read_kernel(&status, sizeof(status), &connection->status) &&
         read_tuple(connection, !options.dir, &came);
    bpf_ct_release(connection);
    if (!ok || !(status & IPS_CONFIRMED) || status & (IPS_SEQ_ADJUST | IPS_DYING | IPS_HELPER) ||
        (packet->protocol == IPPROTO_TCP && !is_tcp_established(flow->connection)))
        return 0;
    arrival = arrival_of(domain, &came, packet->v6);
    if (!arrival || arrival->generation != common_generation() || !compare(flow, arrival, packet, ports))
        return 0;
    arrival->domain = 0;
    here->expected--;
    flow->domain = domain;
    flow->cpu = bpf_get_smp_processor_id();
    flow->refreshed = seconds_now();
    /* Not all of them at once that were learned together. */
    flow->revisit =
        flow->refreshed + policy->revisit_seconds - bpf_get_prandom_u32() % (policy->revisit_seconds / 2 + 1);
    flow->packets = flow->bytes = flow->recent = 0;
    flow->looked = 0;
    store(flow, &arrival->key, packet->v6);
    return 1;
}

/* A packet leaves for the network outside by the NIC; its neighbour is the node's to find. */
static __always_inline void learn_outwards(struct __sk_buff *skb, __u32 domain, __u32 ifindex) {
    struct hnv_learning *here = expecting();
    struct packet packet = {};

    if (!here || !read_packet(skb, ETH_HLEN, skb->len - ETH_HLEN, is_v6_frame(skb), &packet))
        return;
    here->flow.ifindex = ifindex;
    here->flow.vlan = 0;
    here->flow.flags = 0;
    here->flow.hops = 1;
    here->flow.longest = 0xffff;
    __builtin_memcpy(here->flow.source, packet.source, HNV_ADDRESS_SIZE);
    __builtin_memcpy(here->flow.destination, packet.destination, HNV_ADDRESS_SIZE);
    if (find_next_station(skb))
        learn_flow(skb, domain, &packet);
}

/* A packet leaves for a network without NAT, with the Ethernet header that the context has given it. */
static __always_inline void learn_to_network(struct __sk_buff *skb, __u32 domain, __u32 ifindex, __u16 vlan,
                                             const struct ethhdr *ethernet) {
    struct hnv_learning *here = expecting();
    struct packet packet = {};
    __u32 mtu = 0;

    if (!here || !read_packet(skb, ETH_HLEN, skb->len - ETH_HLEN, is_v6_frame(skb), &packet) ||
        bpf_check_mtu(skb, ifindex, &mtu, 0, 0) < 0)
        return;
    here->flow.ifindex = ifindex;
    here->flow.vlan = vlan;
    here->flow.flags = 0;
    here->flow.hops = 1;
    here->flow.longest = mtu;
    __builtin_memcpy(here->flow.destination_mac, ethernet->h_dest, HNV_MAC_SIZE);
    __builtin_memcpy(here->flow.source_mac, ethernet->h_source, HNV_MAC_SIZE);
    learn_flow(skb, domain, &packet);
}

/*
 * A packet leaves by NVGRE to a provider address; `inner` is its Ethernet header there. The distributed
 * router, when it is routed, is a hop that `packet` does not show yet.
 */
static __always_inline void learn_to_tunnel(struct __sk_buff *skb, const struct hnv_port *port,
                                            struct packet *packet, const struct hnv_record *record,
                                            const struct ethhdr *inner, bool is_routed) {
    struct hnv_learning *here = expecting();
    struct hnv_flow_tunnel *goes;
    struct hnv_flow *flow;

    if (!here)
        return;
    flow = &here->flow;
    goes = &flow->tunnel;
    flow->ifindex = port->provider_ifindex;
    flow->vlan = 0;
    flow->flags = HNV_FLOW_TO_TUNNEL | (is_v4(record->provider_address) ? 0 : HNV_FLOW_V6);
    flow->hops = is_routed ? 2 : 1;
    flow->longest = port->provider_mtu - overhead(record->provider_address);
    __builtin_memcpy(goes->source, port->provider_address, HNV_ADDRESS_SIZE);
    __builtin_memcpy(goes->destination, record->provider_address, HNV_ADDRESS_SIZE);
    __builtin_memcpy(goes->destination_mac, inner->h_dest, HNV_MAC_SIZE);
    __builtin_memcpy(goes->source_mac, inner->h_source, HNV_MAC_SIZE);
    goes->key = bpf_htonl(record->vsid << 8 | flow_id(skb, packet, ETH_HLEN));
    if (find_next_station(skb))
        learn_flow(skb, port->domain, packet);
}

#endif
