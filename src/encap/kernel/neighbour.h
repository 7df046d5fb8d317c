/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * ARP (RFC 826, RFC 5227) and neighbour discovery (RFC 4861, RFC 4862) answered from policy: for peers in the
 * subnet and for the `.1`. Never for the asker's own address, unless somebody else has it; what policy does
 * not know stays silent. Nothing of it goes to other ports or hosts: when a MAC changes, each host announces
 * that to its own ports (src/host/announcements.ts).
 */
#ifndef HNV_NEIGHBOUR_H
#define HNV_NEIGHBOUR_H

#include "account.h"
#include "learn.h"

#define ARPHRD_ETHER 1
#define ARPOP_REQUEST 1
#define ARPOP_REPLY 2
#define ND_SOLICIT 135
#define ND_ADVERT 136
#define ND_REDIRECT 137
#define ND_HOP_LIMIT 255 /* RFC 4861 7.1: nobody off the link can have sent it */
#define ND_ROUTER 0x80000000
#define ND_SOLICITED 0x40000000
#define ND_OVERRIDE 0x20000000
#define ND_SOURCE_MAC 1
#define ND_TARGET_MAC 2

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

/* A neighbour solicitation or advertisement without its options. */
struct nd_message {
    __u8 type;
    __u8 code;
    __be16 check;
    __be32 flags;
    __u8 target[HNV_ADDRESS_SIZE];
};
/* A whole frame with an advertisement. */
struct nd_advert {
    struct ethhdr ethernet;
    struct ipv6hdr ip6;
    struct nd_message nd;
    __u8 option_type;
    __u8 option_length; /* of 8 bytes */
    __u8 mac[HNV_MAC_SIZE];
} __attribute__((packed));
#define ND_ADVERT_LENGTH (sizeof(struct nd_message) + 8)

/* Whose MAC answers for an address in a virtual subnet. */
struct neighbour {
    __u8 mac[HNV_MAC_SIZE];
    bool is_router;
};

static __always_inline bool find_neighbour(__u32 domain, __u32 vsid, const __u8 *address,
                                           struct neighbour *neighbour) {
    struct hnv_router *router = router_of(domain, address);
    struct hnv_record *record;

    neighbour->is_router = router && router->vsid == vsid;
    if (neighbour->is_router) {
        __builtin_memcpy(neighbour->mac, router_mac, HNV_MAC_SIZE);
        return true;
    }
    record = record_of(domain, address);
    if (!record || record->vsid != vsid)
        return false;
    __builtin_memcpy(neighbour->mac, record->mac, HNV_MAC_SIZE);
    return true;
}

static __always_inline bool owns(const struct hnv_port *port, const __u8 *address) {
    struct hnv_port_address_key key = {.ifindex = port->ifindex};

    __builtin_memcpy(key.address, address, HNV_ADDRESS_SIZE);
    return bpf_map_lookup_elem(&port_addresses, &key);
}

/* Sends an answer to `arp`, which is the frame, as if it came from whoever has `address`. */
static __always_inline int answer_arp(struct __sk_buff *skb, const struct arp_ipv4 *arp, __be32 address,
                                      const __u8 *mac) {
    struct arp_ipv4 reply = *arp;

    __builtin_memcpy(reply.ethernet.h_dest, arp->ethernet.h_source, HNV_MAC_SIZE);
    __builtin_memcpy(reply.ethernet.h_source, mac, HNV_MAC_SIZE);
    reply.operation = bpf_htons(ARPOP_REPLY);
    __builtin_memcpy(reply.sender_mac, mac, HNV_MAC_SIZE);
    reply.sender = address;
    __builtin_memcpy(reply.target_mac, arp->sender_mac, HNV_MAC_SIZE);
    reply.target = arp->sender;
    if (bpf_skb_store_bytes(skb, 0, &reply, sizeof(reply), 0))
        return TC_ACT_SHOT;
    return bpf_redirect(skb->ifindex, 0);
}

static __always_inline bool is_arp_ipv4(const struct arp_ipv4 *arp) {
    return arp->hardware == bpf_htons(ARPHRD_ETHER) && arp->protocol == bpf_htons(ETH_P_IP) &&
           arp->hardware_length == HNV_MAC_SIZE && arp->protocol_length == 4;
}

/* From a port. */
__noinline int arp_from_port(struct __sk_buff *skb, struct hnv_port *port) {
    __u8 sender[HNV_ADDRESS_SIZE], target[HNV_ADDRESS_SIZE];
    struct neighbour neighbour = {};
    struct arp_ipv4 *head_arp, arp;

    if (!port)
        return TC_ACT_SHOT;
    head_arp = head(skb, sizeof(arp));
    if (!head_arp)
        return drop(skb, port->domain, HNV_DROP_NEIGHBOUR_MALFORMED);
    arp = *head_arp;
    if (!is_arp_ipv4(&arp) || !same_mac(arp.sender_mac, arp.ethernet.h_source))
        return drop(skb, port->domain, HNV_DROP_NEIGHBOUR_MALFORMED);
    map_v4(sender, arp.sender);
    map_v4(target, arp.target);

    if (arp.sender && !(port->flags & HNV_PORT_CONTEXT) && !owns(port, sender)) {
        bool known = find_neighbour(port->domain, port->vsid, sender, &neighbour);
        struct hnv_record *record = record_of(port->domain, sender);
        bool learns = port->flags & HNV_PORT_LEARN && !neighbour.is_router && !is_group(sender) &&
                      (!record || record->flags & HNV_RECORD_DYNAMIC);

        if (learns)
            learn_neighbour(port, sender, arp.sender_mac, HNV_EVIDENCE_ARP);
        else if (known && !same_mac(neighbour.mac, arp.sender_mac) && arp.sender == arp.target)
            /* It claims what is another's: the owner's defence (RFC 5227 section 2.4). */
            return answer_arp(skb, &arp, arp.sender, neighbour.mac);
        else if (!(known && same_mac(neighbour.mac, arp.sender_mac)) &&
                 (record || !(port->flags & HNV_PORT_GATEWAY ||
                              is_behind(port->domain, sender, port->provider_address, arp.sender_mac))))
            return drop(skb, port->domain, HNV_DROP_PORT_SOURCE_ADDRESS);
    }
    if (arp.operation != bpf_htons(ARPOP_REQUEST) || arp.sender == arp.target)
        return drop(skb, port->domain, HNV_DROP_NEIGHBOUR_MESSAGE);
    if (owns(port, target))
        return drop(skb, port->domain, HNV_DROP_NEIGHBOUR_MESSAGE);
    if (!find_neighbour(port->domain, port->vsid, target, &neighbour))
        return drop(skb, port->domain, HNV_DROP_NEIGHBOUR_UNKNOWN);
    if (same_mac(neighbour.mac, arp.sender_mac))
        return drop(skb, port->domain, HNV_DROP_NEIGHBOUR_MESSAGE);
    return answer_arp(skb, &arp, arp.target, neighbour.mac);
}

/*
 * Sends an advertisement of `mac` for the target of the solicitation that the frame is: to its sender, or to
 * all nodes when that has no address yet (RFC 4861 section 7.2.4).
 */
static __always_inline int answer_solicitation(struct __sk_buff *skb, const struct ethhdr *asked,
                                               const struct packet *packet, const __u8 *target,
                                               const __u8 *mac, bool is_router) {
    bool is_probe = is_unspecified(packet->source);
    struct nd_advert reply = {};
    __be32 rest[2] = {bpf_htonl(ND_ADVERT_LENGTH), bpf_htonl(IPPROTO_ICMPV6)};
    __s64 sum;

    if (is_probe) {
        static const __u8 all_nodes_mac[HNV_MAC_SIZE] = {0x33, 0x33, 0, 0, 0, 1};

        __builtin_memcpy(reply.ethernet.h_dest, all_nodes_mac, HNV_MAC_SIZE);
        reply.ip6.daddr.s6_addr[0] = 0xff;
        reply.ip6.daddr.s6_addr[1] = 0x02;
        reply.ip6.daddr.s6_addr[15] = 1;
    } else {
        __builtin_memcpy(reply.ethernet.h_dest, asked->h_source, HNV_MAC_SIZE);
        __builtin_memcpy(&reply.ip6.daddr, packet->source, HNV_ADDRESS_SIZE);
    }
    __builtin_memcpy(reply.ethernet.h_source, mac, HNV_MAC_SIZE);
    reply.ethernet.h_proto = bpf_htons(ETH_P_IPV6);
    reply.ip6.version = 6;
    reply.ip6.payload_len = bpf_htons(ND_ADVERT_LENGTH);
    reply.ip6.nexthdr = IPPROTO_ICMPV6;
    reply.ip6.hop_limit = ND_HOP_LIMIT;
    __builtin_memcpy(&reply.ip6.saddr, target, HNV_ADDRESS_SIZE);
    reply.nd.type = ND_ADVERT;
    reply.nd.flags = bpf_htonl((is_router ? ND_ROUTER : 0) | (is_probe ? 0 : ND_SOLICITED) | ND_OVERRIDE);
    __builtin_memcpy(reply.nd.target, target, HNV_ADDRESS_SIZE);
    reply.option_type = ND_TARGET_MAC;
    reply.option_length = 1;
    __builtin_memcpy(reply.mac, mac, HNV_MAC_SIZE);
    /* Sums may begin at any even place: Ethernet's 14 bytes are left out, then addresses and message are
     * summed. */
    sum = bpf_csum_diff(NULL, 0, rest, sizeof(rest), 0);
    sum = bpf_csum_diff(NULL, 0, (void *)((__u8 *)&reply + ETH_HLEN + 8),
                        2 * HNV_ADDRESS_SIZE + ND_ADVERT_LENGTH, sum);
    reply.nd.check = ~fold(sum);
    if (bpf_skb_change_tail(skb, sizeof(reply), 0) || bpf_skb_store_bytes(skb, 0, &reply, sizeof(reply), 0))
        return TC_ACT_SHOT;
    return bpf_redirect(skb->ifindex, 0);
}

/* A message of neighbour discovery that hosts exchange, which policy answers; routers' messages are multicast
 * as any. */
static __always_inline bool is_neighbour_message(struct __sk_buff *skb, const struct packet *packet,
                                                 __u32 offset) {
    __u8 type = 0;

    if (!packet->v6 || packet->protocol != IPPROTO_ICMPV6 ||
        bpf_skb_load_bytes(skb, offset + packet->header, &type, sizeof(type)))
        return false;
    return type == ND_SOLICIT || type == ND_ADVERT || type == ND_REDIRECT;
}

__noinline int nd_from_port(struct __sk_buff *skb, struct hnv_port *port, struct packet *packet) {
    struct neighbour neighbour = {};
    struct ethhdr asked;
    struct nd_message nd;

    if (!port || !packet)
        return TC_ACT_SHOT;
    if (packet->ttl != ND_HOP_LIMIT || bpf_skb_load_bytes(skb, 0, &asked, sizeof(asked)) ||
        bpf_skb_load_bytes(skb, ETH_HLEN + sizeof(struct ipv6hdr), &nd, sizeof(nd)) || nd.code)
        return drop(skb, port->domain, HNV_DROP_NEIGHBOUR_MALFORMED);
    if (nd.type == ND_SOLICIT) {
        if (is_group(nd.target))
            return drop(skb, port->domain, HNV_DROP_NEIGHBOUR_MALFORMED);
        if (port->flags & HNV_PORT_LEARN && !is_unspecified(packet->source) &&
            !is_link_local(packet->source) && !owns(port, packet->source))
            learn_neighbour(port, packet->source, asked.h_source, HNV_EVIDENCE_ND);
        if (owns(port, nd.target))
            return drop(skb, port->domain, HNV_DROP_NEIGHBOUR_MESSAGE);
        if (!find_neighbour(port->domain, port->vsid, nd.target, &neighbour))
            return drop(skb, port->domain, HNV_DROP_NEIGHBOUR_UNKNOWN);
        if (same_mac(neighbour.mac, asked.h_source))
            return drop(skb, port->domain, HNV_DROP_NEIGHBOUR_MESSAGE);
        return answer_solicitation(skb, &asked, packet, nd.target, neighbour.mac, neighbour.is_router);
    }
    if (nd.type == ND_ADVERT && port->flags & HNV_PORT_LEARN && !is_group(nd.target) &&
        !is_link_local(nd.target) && !owns(port, nd.target) && !router_of(port->domain, nd.target))
        learn_neighbour(port, nd.target, asked.h_source, HNV_EVIDENCE_ND);
    return drop(skb, port->domain, HNV_DROP_NEIGHBOUR_MESSAGE);
}

#endif
