/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * How flows are learned, the second half: a packet that was noted when it came in is seen to leave, and
 * connection tracking tells that the two are one packet; of an echo, its sequence number and its checksum do.
 * What the slow path did in between is the difference.
 */
#ifndef HNV_ESTABLISHED_LEAVE_H
#define HNV_ESTABLISHED_LEAVE_H

#include "established_arrive.h"
#include "session.h"

/* Where the packet that leaves was noted when it came in; NULL: it was not. */
static __always_inline struct hnv_arrival *arrival_of(const struct __sk_buff *skb) {
    __u32 noted = skb->tc_index, slot = noted & (HNV_ARRIVALS - 1);

    return (noted & ~(HNV_ARRIVALS - 1)) == NOTED ? bpf_map_lookup_elem(&arrivals, &slot) : NULL;
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

/* The arrival is of the conversation whose packets have the tuple when they come in. */
static __always_inline bool is_arrival_of(const struct hnv_arrival *arrival, const struct tuple *came,
                                          bool v6) {
    const struct hnv_flow_key *key = &arrival->key;
    __u8 source[HNV_ADDRESS_SIZE], destination[HNV_ADDRESS_SIZE];

    if (v6) {
        __builtin_memcpy(source, came->source, HNV_ADDRESS_SIZE);
        __builtin_memcpy(destination, came->destination, HNV_ADDRESS_SIZE);
    } else {
        map_v4(source, *(__be32 *)came->source);
        map_v4(destination, *(__be32 *)came->destination);
    }
    return key->protocol == came->protocol && key->source_port == came->source_port &&
           key->destination_port == came->destination_port && same_address(source, arrival->source) &&
           same_address(destination, arrival->destination);
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
    flow->address_sum = fold((__u64)difference(arrival->source, flow->source, 4) +
                             difference(arrival->destination, flow->destination, 4));
    if (flow->address_sum == 0xffff)
        flow->address_sum = 0;
    flow->port_sum = difference((__u8 *)&from, (__u8 *)&ports, 1);
    return true;
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

/* Connection tracking has the conversation that the packet leaves by, and its packets come in as the arrival.
 */
static __always_inline bool is_tracked(struct __sk_buff *skb, const struct packet *packet, __u32 ports,
                                       const struct hnv_arrival *arrival,
                                       const struct hnv_fast_domain *policy, struct hnv_flow *flow) {
    struct bpf_ct_opts___hnv options = {};
    struct nf_conn *connection;
    unsigned long status = 0;
    struct tuple came = {};
    bool ok;

    options.netns_id = policy->netns_id;
    options.l4proto = packet->protocol;
    connection = connection_of(skb, packet, ports, &options);
    if (!connection)
        return false;
    flow->connection = (__u64)connection;
    flow->started = start_of(connection);
    ok = !bpf_probe_read_kernel(&status, sizeof(status), &connection->status) &&
         read_tuple(connection, !options.dir, &came);
    bpf_ct_release(connection);
    return ok && status & IPS_CONFIRMED && !(status & (IPS_SEQ_ADJUST | IPS_DYING | IPS_HELPER)) &&
           (packet->protocol != IPPROTO_TCP || is_tcp_established(flow->connection)) &&
           is_arrival_of(arrival, &came, packet->v6);
}

/*
 * The echo that leaves is the one that has arrived, which was somebody else's if it took too long: nothing is
 * changed in it but what the flow says, and the address outside is as it was.
 */
static __always_inline bool is_same_echo(const struct echo *left, const struct packet *packet,
                                         const struct hnv_arrival *arrival, const struct hnv_flow *flow) {
    const struct hnv_flow_key *came = &arrival->key;

    return came->protocol == packet->protocol && came->destination_port == left->type &&
           arrival->echo_sequence == left->sequence && arrival->length == packet->length &&
           (came->side == HNV_FLOW_FROM_UPLINK ? same_address(arrival->source, packet->source)
                                               : same_address(arrival->destination, packet->destination)) &&
           changed_checksum(arrival->echo_checksum, echo_sum(flow, packet->v6)) == left->checksum;
}

/* The frame, whose IP packet as the context has sent it is `packet`, leaves as the flow says that is here:
 * tells whether it is a flow, and completes it. */
__noinline int complete_flow(struct __sk_buff *skb, __u32 domain, struct packet *packet) {
    struct hnv_fast_domain *policy = bpf_map_lookup_elem(&fast_domains, &domain);
    struct hnv_arrival *arrival = arrival_of(skb);
    struct hnv_learning *here = learning_here();
    struct hnv_flow *flow;
    struct echo start;
    __u32 ports;

    if (!here || !packet || !arrival || !policy || !policy->is_enabled || packet->fragment ||
        arrival->domain != domain || arrival->is_v6 != packet->v6 ||
        bpf_skb_load_bytes(skb, ETH_HLEN + packet->header, &start, sizeof(start)))
        return 0;
    flow = &here->flow;
    flow->generation = *(volatile __u32 *)&policy->generation;
    if (is_echo(&start, packet->protocol, packet->v6)) {
        ports = echo_ports(&start);
        flow->connection = flow->started = 0;
        if (!policy->has_echo)
            return 0;
    } else {
        __builtin_memcpy(&ports, &start, sizeof(ports));
        if (!is_tracked(skb, packet, ports, arrival, policy, flow))
            return 0;
    }
    if (arrival->generation != common_generation() || !compare(flow, arrival, packet, ports) ||
        (!flow->connection && !is_same_echo(&start, packet, arrival, flow)))
        return 0;
    flow->domain = domain;
    flow->refreshed = seconds_now();
    /* Not all of them at once that were learned together. */
    flow->revisit =
        flow->refreshed + policy->revisit_seconds - bpf_get_prandom_u32() % (policy->revisit_seconds / 2 + 1);
    flow->packets = flow->bytes = flow->recent = 0;
    flow->looked = periods_now();
    return 1;
}

/* Puts the flow that is here into the table, with what an older one of the same conversation has counted. */
__noinline int store_flow(struct __sk_buff *skb) {
    struct hnv_arrival *arrival = arrival_of(skb);
    struct hnv_learning *here = learning_here();
    struct hnv_flow_entry *entry;
    const struct hnv_flow *older;
    struct hnv_flow *flow;

    if (!here || !arrival)
        return 0;
    entry = place_of(&arrival->key, &here->next_entry);
    if (!entry)
        return 0;
    older = &entry->flow;
    flow = &here->flow;
    if (entry->key.side && older->started == flow->started && older->domain == flow->domain) {
        flow->packets = older->packets + (older->recent >> HNV_RECENT_SHIFT);
        flow->bytes = older->bytes + (older->recent & ((1ULL << HNV_RECENT_SHIFT) - 1));
    }
    entry->key = arrival->key;
    entry->flow = *flow;
    arrival->domain = 0;
    return 1;
}

static __always_inline void learn_flow(struct __sk_buff *skb, __u32 domain, struct packet *packet) {
    if (complete_flow(skb, domain, packet))
        store_flow(skb);
}

/* A packet leaves for the network outside by the NIC; its neighbour is the node's to find. */
static __always_inline void learn_outwards(struct __sk_buff *skb, __u32 domain, __u32 ifindex) {
    struct hnv_learning *here = arrival_of(skb) ? learning_here() : NULL;
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
    struct hnv_learning *here = arrival_of(skb) ? learning_here() : NULL;
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
    struct hnv_learning *here = arrival_of(skb) ? learning_here() : NULL;
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
