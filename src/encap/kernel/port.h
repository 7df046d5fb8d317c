/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* From a port: the distributed router finds the way in the domain, then NVGRE to the provider address that
 * has it. */
#ifndef HNV_PORT_H
#define HNV_PORT_H

#include "account.h"
#include "flow.h"

#define OUTER_TTL 64
#define EALREADY 114

/* The lookup record of the next station inside the domain; NULL with the reason set when there is none. */
static __always_inline struct hnv_record *resolve(__u32 domain, __be32 destination, int *reason) {
    struct hnv_record_key record = {.domain = domain};
    struct hnv_route_key key = {.prefix_length = 32 + 128, .domain = bpf_htonl(domain)};
    struct hnv_record *found;
    struct hnv_route *route;

    map_v4(key.address, destination);
    route = bpf_map_lookup_elem(&routes, &key);
    if (!route) {
        *reason = HNV_DROP_NO_ROUTE;
        return NULL;
    }
    __builtin_memcpy(record.address, route->on_link ? key.address : route->next_hop, HNV_ADDRESS_SIZE);
    found = bpf_map_lookup_elem(&records, &record);
    if (!found)
        *reason = HNV_DROP_NO_RECORD;
    return found;
}

/* Room for the tunnel header, with the marks that let a super-packet stay whole until the NIC cuts it. */
static __always_inline long make_room(struct __sk_buff *skb) {
    __u64 flags = BPF_F_ADJ_ROOM_FIXED_GSO | BPF_F_ADJ_ROOM_ENCAP_L3_IPV4 | BPF_F_ADJ_ROOM_ENCAP_L4_GRE |
                  BPF_F_ADJ_ROOM_ENCAP_L2(sizeof(struct ethhdr)) | BPF_F_ADJ_ROOM_ENCAP_L2_ETH;
    long error = bpf_skb_adjust_room(skb, TUNNEL_LENGTH, BPF_ADJ_ROOM_MAC, flags);

    /*
     * It still carries the marks of the tunnel that it came in by (see decap_flags()): they say just what
     * this encapsulation needs, inner header positions included, so only the room is missing.
     */
    if (error == -EALREADY)
        error = bpf_skb_adjust_room(skb, TUNNEL_LENGTH, BPF_ADJ_ROOM_MAC, BPF_F_ADJ_ROOM_FIXED_GSO);
    return error;
}

static __always_inline void write_tunnel(struct tunnel_header *t, const struct hnv_port *port,
                                         const struct hnv_record *record, __u32 inner_length, __u8 tos,
                                         __u8 flow) {
    __u32 length = inner_length + TUNNEL_LENGTH;

    t->ip.version = 4;
    t->ip.ihl = 5;
    t->ip.tos = tos; /* RFC 6040 normal mode, RFC 2983 uniform model: DSCP and ECN are the inner packet's */
    t->ip.tot_len = bpf_htons(length);
    t->ip.frag_off = bpf_htons(IP_DF);
    t->ip.ttl = OUTER_TTL;
    t->ip.protocol = IPPROTO_GRE;
    __builtin_memcpy(&t->ip.saddr, port->provider_address + 12, 4);
    __builtin_memcpy(&t->ip.daddr, record->provider_address + 12, 4);
    t->ip.check = ip_checksum(&t->ip);
    t->gre.flags = bpf_htons(GRE_KEY_PRESENT);
    t->gre.protocol = bpf_htons(ETH_P_TEB);
    t->gre.key = bpf_htonl(record->vsid << 8 | flow);
    __builtin_memcpy(t->inner.h_dest, record->mac, HNV_MAC_SIZE);
    __builtin_memcpy(t->inner.h_source, router_mac, HNV_MAC_SIZE);
    t->inner.h_proto = bpf_htons(ETH_P_IP);
}

static __always_inline int from_port(struct __sk_buff *skb) {
    struct hnv_interface_key link = {.ifindex = skb->ifindex};
    struct hnv_port *port = bpf_map_lookup_elem(&ports_by_link, &link);
    struct tunnel_header tunnel = {};
    struct ethhdr *ethernet;
    struct hnv_record *record;
    struct hnv_stats *count;
    struct iphdr *ip;
    __u32 length, packets, total;
    int reason = 0;

    if (!port)
        return drop(skb, 0, HNV_DROP_PORT_UNKNOWN);
    if (skb->protocol != bpf_htons(ETH_P_IP))
        return drop(skb, port->domain, HNV_DROP_PORT_ETHERTYPE);
    ethernet = head(skb, sizeof(*ethernet) + sizeof(*ip));
    if (!ethernet)
        return drop(skb, port->domain, HNV_DROP_PORT_MALFORMED);
    ip = (void *)(ethernet + 1);
    length = skb->len - ETH_HLEN;
    total = bpf_ntohs(ip->tot_len);
    if (ip->version != 4 || ip->ihl < 5 || (!skb->gso_size && (total < ip->ihl * 4 || total > length)))
        return drop(skb, port->domain, HNV_DROP_PORT_MALFORMED);
    if (!skb->gso_size && length > port->mtu)
        return drop(skb, port->domain, HNV_DROP_TOO_BIG);
    if (ip->ttl <= 1)
        return drop(skb, port->domain, HNV_DROP_TTL_EXCEEDED);
    record = resolve(port->domain, ip->daddr, &reason);
    if (!record)
        return drop(skb, port->domain, reason);

    packets = packets_in(skb);
    write_tunnel(&tunnel, port, record, length, ip->tos, flow_id(skb, ip, ETH_HLEN));
    ethernet = head(skb, sizeof(*ethernet) + sizeof(*ip));
    if (!ethernet)
        return drop(skb, port->domain, HNV_DROP_PORT_MALFORMED);
    ip = (void *)(ethernet + 1);
    decrement_ttl(ip);
    if (make_room(skb) || bpf_skb_store_bytes(skb, ETH_HLEN, &tunnel, TUNNEL_LENGTH, 0))
        return drop(skb, port->domain, HNV_DROP_ENCAP_FAILED);
    count = stats_of(port->domain);
    if (count) {
        count->encap_packets += packets;
        count->encap_bytes += length;
    }
    skb->mark = 0;
    return bpf_redirect_neigh(port->provider_ifindex, NULL, 0, 0);
}

#endif
