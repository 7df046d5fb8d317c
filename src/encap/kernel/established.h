/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Flows that were learned (established_arrive.h, established_leave.h): finds a packet's, and tells whether it
 * may be done again with the packet what was done with the last one. What is unusual has no flow here:
 * fragments, options, extension headers, the beginning and the end of TCP connections, of ICMP all but
 * echoes. For both carriers, XDP and TC.
 */
#ifndef HNV_ESTABLISHED_H
#define HNV_ESTABLISHED_H

#include "account.h"
#include "conntrack.h"
#include "flow_table.h"
#include "tunnel.h"

#define NS_PER_SECOND 1000000000ULL
#define IPV4_PLAIN 0x45 /* version 4, no options */
#define UDP_HEADER 8
#define TCP_HEADER 20
#define TCP_OFFSET 12
#define TCP_FLAGS 13
#define TCP_USUAL_MASK 0x17 /* ACK, and not RST, SYN or FIN */
#define TCP_USUAL 0x10
/* A mark on what comes from the tunnel is for the inner header (RFC 6040): that is the slow path's work. */
#define IS_CE(tos) (((tos)&ECN_MASK) == ECN_CE)

/* A packet that might be of a flow. */
struct candidate {
    void *ip;     /* NULL: it is none of any */
    __u32 length; /* from the IP header on, as that says */
    __u32 room;   /* what the frame has from there on */
    __u32 ports;  /* as they are on the wire; of an echo, see echo_ports() */
    __u32 place;  /* as in the flow's key */
    __u16 vlan;
    __u8 side;
    __u8 protocol;
    __u8 ttl;
    __u8 tos;
    __u8 transport; /* bytes of the transport header */
    bool v6;
};

/*
 * Words at a time, of packets and map values, wherever they stand there: the compiler by itself takes bytes
 * of what may not be aligned, and every architecture with eBPF's JIT reads and writes words anywhere but on
 * the stack.
 */
static __always_inline bool same_bytes(const void *a, const void *b, const __u32 size) {
    __u32 at = 0;

#pragma unroll
    for (; at + 4 <= size; at += 4)
        if (*(const __u32 *)(a + at) != *(const __u32 *)(b + at))
            return false;
    return at == size || *(const __u16 *)(a + at) == *(const __u16 *)(b + at);
}
static __always_inline void copy_words(void *to, const void *from, const __u32 size) {
#pragma unroll
    for (__u32 at = 0; at + 4 <= size; at += 4)
        *(__u32 *)(to + at) = *(const __u32 *)(from + at);
}
static __always_inline __be16 ethernet_type(const struct ethhdr *ethernet) {
    return *(const __be16 *)((const void *)ethernet + 2 * HNV_MAC_SIZE);
}
static __always_inline void set_ethernet(void *ethernet, const __u8 *macs, __be16 type) {
    copy_words(ethernet, macs, 2 * HNV_MAC_SIZE);
    *(__be16 *)(ethernet + 2 * HNV_MAC_SIZE) = type;
}

static __always_inline __u32 seconds_now(void) {
    return bpf_ktime_get_coarse_ns() / NS_PER_SECOND;
}

/* RFC 1071 over 20 bytes, in fewer steps than ip_checksum(): what is added to its own halves, swapped, has
 * their sum above. */
static __always_inline bool has_right_checksum(const void *ip) {
    const __u32 *words = ip;
    __u64 sum = (__u64)words[0] + words[1] + words[2] + words[3] + words[4];
    __u32 folded;

    sum = (__u32)sum + (sum >> 32);
    folded = (__u32)sum + (__u32)(sum >> 32);
    return (folded + (folded << 16 | folded >> 16)) >> 16 == 0xffff;
}

/* The beginning of an echo, of ICMP and ICMPv6 alike (RFC 792, RFC 4443 section 4). */
struct echo {
    __be16 type; /* and code, which is 0 */
    __u16 checksum;
    __be16 identifier;
    __be16 sequence;
};
#define ECHO_REQUEST bpf_htons(8 << 8)
#define ECHO_REPLY bpf_htons(0 << 8)
#define ECHO6_REQUEST bpf_htons(128 << 8)
#define ECHO6_REPLY bpf_htons(129 << 8)

static __always_inline __u8 icmp_of(bool v6) {
    return v6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP;
}
static __always_inline bool is_echo(const struct echo *echo, __u8 protocol, bool v6) {
    if (protocol != icmp_of(v6))
        return false;
    return v6 ? echo->type == ECHO6_REQUEST || echo->type == ECHO6_REPLY
              : echo->type == ECHO_REQUEST || echo->type == ECHO_REPLY;
}
/* What it has in the place of ports: requests and replies of one identifier are two flows. */
static __always_inline __u32 echo_ports(const struct echo *echo) {
    return (__u32)echo->type << 16 | echo->identifier;
}

/* Ports of what is usual in a conversation; `room` bytes belong to the packet from there on. */
static __always_inline bool read_transport(void *at, const void *end, __u32 room, bool is_super,
                                           struct candidate *packet) {
    __u8 *bytes = at;
    __u32 length;

    if (at + UDP_HEADER > end || room < UDP_HEADER)
        return false;
    packet->ports = *(__u32 *)at;
    if (packet->protocol == IPPROTO_UDP) {
        packet->transport = UDP_HEADER;
        length = bpf_ntohs(((__be16 *)at)[2]);
        return is_super || (length >= UDP_HEADER && length <= room);
    }
    if (packet->protocol != IPPROTO_TCP) {
        packet->transport = sizeof(struct echo);
        packet->ports = echo_ports(at);
        return is_echo(at, packet->protocol, packet->v6);
    }
    if (at + TCP_HEADER > end)
        return false;
    packet->transport = length = (bytes[TCP_OFFSET] >> 4) * 4;
    return length >= TCP_HEADER && length <= room && (bytes[TCP_FLAGS] & TCP_USUAL_MASK) == TCP_USUAL;
}

/* Reads the IP packet at `at`, which has `room` bytes at most; a super-packet's own length says nothing. */
static __always_inline bool read_candidate(void *at, const void *end, __u32 room, const bool v6,
                                           bool is_super, struct candidate *packet) {
    struct ipv6hdr *ip6 = at;
    struct iphdr *ip = at;
    __u32 header;

    packet->v6 = v6;
    if (v6) {
        if ((void *)(ip6 + 1) > end || ip6->version != 6)
            return false;
        header = sizeof(*ip6);
        packet->length = bpf_ntohs(ip6->payload_len) + sizeof(*ip6);
        packet->protocol = ip6->nexthdr;
        packet->ttl = ip6->hop_limit;
        packet->tos = traffic_class(ip6);
    } else {
        if ((void *)(ip + 1) > end || *(__u8 *)at != IPV4_PLAIN || ip->frag_off & bpf_htons(IP_MF_OR_OFFSET))
            return false;
        header = sizeof(*ip);
        packet->length = bpf_ntohs(ip->tot_len);
        packet->protocol = ip->protocol;
        packet->ttl = ip->ttl;
        packet->tos = ip->tos;
    }
    if (is_super)
        packet->length = room;
    if (packet->length < header || packet->length > room ||
        !read_transport(at + header, end, packet->length - header, is_super, packet))
        return false;
    packet->ip = at;
    packet->room = room;
    return true;
}

static __always_inline struct hnv_flow *find_flow(const struct candidate *packet, const bool v6) {
    __u32 rest = (__u32)packet->side << 24 | (__u32)packet->protocol << 16 | packet->vlan;
    const struct ipv6hdr *ip6 = packet->ip;
    const struct iphdr *ip = packet->ip;
    const struct flow_words words = {
        .ports_and_place = (__u64)packet->place << 32 | packet->ports,
        .rest = (__u64)(v6 ? 6 : 4) << 32 | rest,
        .addresses = v6 ? (const void *)&ip6->saddr : (const void *)&ip->saddr,
    };

    return flow_of(&words, v6);
}

/* The domain's policy is that under which the flow was learned. */
static __always_inline struct hnv_fast_domain *policy_of(const struct hnv_flow *flow) {
    __u32 domain = flow->domain;
    struct hnv_fast_domain *policy = bpf_map_lookup_elem(&fast_domains, &domain);

    return policy && policy->generation == flow->generation ? policy : NULL;
}

/* The outer headers, up to the inner MACs, are those that were let in. */
static __always_inline bool came_by(const struct hnv_flow *flow, const void *outer, bool v6,
                                    const struct ethhdr *inner) {
    const struct hnv_flow_tunnel *came = &flow->tunnel;
    const struct ipv6hdr *ip6 = outer;
    const struct iphdr *ip = outer;

    if (v6 ? !same_address(came->source, (const __u8 *)&ip6->saddr) ||
                 !same_address(came->destination, (const __u8 *)&ip6->daddr)
           : v4_of(came->source) != ip->saddr || v4_of(came->destination) != ip->daddr ||
                 ((const __u32 *)came->source)[2] != bpf_htonl(0xffff))
        return false;
    return same_bytes(came->destination_mac, inner, 2 * HNV_MAC_SIZE);
}

/* The inner Ethernet type of an NVGRE frame; 0 when it is too short for one. */
static __always_inline __be16 inner_type(const struct ethhdr *ethernet, const void *end,
                                         const bool outer_v6) {
    const struct nvgre_header *nvgre =
        (void *)(ethernet + 1) + (outer_v6 ? TUNNEL6_LENGTH : TUNNEL_LENGTH) - NVGRE_LENGTH;

    return (void *)nvgre + NVGRE_LENGTH > end ? 0 : ethernet_type(&nvgre->inner);
}

/*
 * The flow of an NVGRE frame from the provider network, whose outer IP packet ends no later than at `whole`
 * bytes behind the Ethernet header; NULL when there is none.
 */
static __always_inline struct hnv_flow *find_tunnelled(struct ethhdr *ethernet, void *end, __u32 whole,
                                                       const bool outer_v6, const bool v6, bool is_super,
                                                       struct candidate *packet) {
    const __u32 length = outer_v6 ? TUNNEL6_LENGTH : TUNNEL_LENGTH;
    void *outer = ethernet + 1;
    struct nvgre_header *nvgre = outer + length - NVGRE_LENGTH;
    struct ipv6hdr *ip6 = outer;
    struct iphdr *ip = outer;
    struct hnv_flow *flow;
    __u32 room;

    if ((void *)nvgre + NVGRE_LENGTH > end)
        return NULL;
    if (outer_v6) {
        if (ip6->version != 6 || ip6->nexthdr != IPPROTO_GRE || IS_CE(traffic_class(ip6)))
            return NULL;
        room = bpf_ntohs(ip6->payload_len) + sizeof(*ip6);
    } else {
        if (*(__u8 *)outer != IPV4_PLAIN || ip->protocol != IPPROTO_GRE || IS_CE(ip->tos) ||
            ip->frag_off & bpf_htons(IP_MF_OR_OFFSET))
            return NULL;
        room = bpf_ntohs(ip->tot_len);
    }
    if (is_super)
        room = whole;
    if (room < length || room > whole || nvgre->gre.flags != bpf_htons(GRE_KEY_PRESENT) ||
        nvgre->gre.protocol != bpf_htons(ETH_P_TEB))
        return NULL;
    packet->side = HNV_FLOW_FROM_PROVIDER;
    packet->place = bpf_ntohl(nvgre->gre.key) >> 8;
    if (!read_candidate((void *)nvgre + NVGRE_LENGTH, end, room - length, v6, is_super, packet))
        return NULL;
    packet->room = whole - length;
    flow = find_flow(packet, v6);
    /* Only now: the processor does it while it waits for the flow. */
    if ((!outer_v6 && !has_right_checksum(ip)) || (!v6 && !has_right_checksum(packet->ip))) {
        packet->ip = NULL;
        return NULL;
    }
    return flow && came_by(flow, outer, outer_v6, &nvgre->inner) ? flow : NULL;
}

/* The flow of a packet from the network outside; `vlan` is 0 without a tag. */
static __always_inline struct hnv_flow *find_plain(void *at, void *end, __u32 whole, const bool v6,
                                                   __u32 ifindex, __u16 vlan, bool is_super,
                                                   struct candidate *packet) {
    struct hnv_flow *flow;

    packet->side = HNV_FLOW_FROM_UPLINK;
    packet->place = ifindex;
    packet->vlan = vlan;
    if (!read_candidate(at, end, whole, v6, is_super, packet))
        return NULL;
    flow = find_flow(packet, v6);
    if (!v6 && !has_right_checksum(at)) {
        packet->ip = NULL;
        return NULL;
    }
    return flow;
}

/* The flow is as it was learned, and its packet no exception. */
static __always_inline bool may_pass(const struct hnv_flow *flow, const struct candidate *packet,
                                     __u32 ifindex, const __u8 *mac) {
    return flow->arriving_ifindex == ifindex && same_bytes(flow->arriving_mac, mac, HNV_MAC_SIZE) &&
           packet->ttl > flow->hops &&
           (packet->protocol != IPPROTO_TCP || is_tcp_established(flow->connection));
}

/* Whether it is time to look at the time, which costs more than everything else here. */
static __always_inline bool is_time(struct hnv_flow *flow) {
    __u32 now = periods_now();

    if (flow->looked == now)
        return false;
    flow->looked = now;
    return true;
}

/*
 * One's complement sums: with what a packet's flow adds, RFC 1624 equation 3. A checksum of UDP is never 0,
 * which says that there is none.
 */
static __always_inline __u16 changed_checksum(__u16 check, __u32 sum) {
    sum += (__u16)~check;
    sum = (sum & 0xffff) + (sum >> 16);
    return ~((sum & 0xffff) + (sum >> 16));
}

/* What one less of each hop adds to the header's checksum. */
static __always_inline __u16 hops_sum(__u8 hops) {
    return ~bpf_htons((__u16)hops << 8);
}

/* What the flow adds to the checksum of an echo, which has the addresses in it with ICMPv6 alone (RFC 4443
 * section 2.3). */
static __always_inline __u32 echo_sum(const struct hnv_flow *flow, bool v6) {
    return (v6 ? flow->address_sum : 0) + (__u32)flow->port_sum;
}

/* What connection tracking is asked about: a packet's tuple before translation. */
struct question {
    struct bpf_sock_tuple tuple;
    struct bpf_ct_opts___hnv options;
    __u32 size; /* of the tuple */
};

static __always_inline void ask_about(const struct candidate *packet, const bool v6,
                                      const struct hnv_fast_domain *policy, struct question *question) {
    const struct ipv6hdr *ip6 = packet->ip;
    const struct iphdr *ip = packet->ip;

    question->options.netns_id = policy->netns_id;
    question->options.l4proto = packet->protocol;
    if (v6) {
        __builtin_memcpy(question->tuple.ipv6.saddr, &ip6->saddr, HNV_ADDRESS_SIZE);
        __builtin_memcpy(question->tuple.ipv6.daddr, &ip6->daddr, HNV_ADDRESS_SIZE);
        __builtin_memcpy(&question->tuple.ipv6.sport, &packet->ports, sizeof(packet->ports));
        question->size = sizeof(question->tuple.ipv6);
    } else {
        question->tuple.ipv4.saddr = ip->saddr;
        question->tuple.ipv4.daddr = ip->daddr;
        __builtin_memcpy(&question->tuple.ipv4.sport, &packet->ports, sizeof(packet->ports));
        question->size = sizeof(question->tuple.ipv4);
    }
}

/*
 * What connection tracking has found is still the flow's conversation, and is kept for as long as if the
 * packet had come by there. Gives the reference back.
 */
static __always_inline bool keep(struct nf_conn *found, struct hnv_flow *flow,
                                 const struct question *question, __u32 now) {
    const struct hnv_fast_domain *policy = policy_of(flow);
    bool is_tcp = question->options.l4proto == IPPROTO_TCP;
    __u64 address = (__u64)found;
    bool is_same;

    if (!found)
        return false;
    asm volatile("" : "+r"(address));
    is_same = policy && address == flow->connection &&
              !bpf_ct_change_timeout(found, is_tcp ? policy->tcp_ms : policy->udp_ms);
    bpf_ct_release(found);
    if (is_same)
        flow->refreshed = now;
    return is_same;
}

/* As a constant, for the verifier's sake. */
static __always_inline __u32 tuple_size(const struct question *question) {
    return question->size == sizeof(question->tuple.ipv6) ? sizeof(question->tuple.ipv6)
                                                          : sizeof(question->tuple.ipv4);
}

/* Asks by the carrier's own function, and keeps what that finds; false when it is not the flow's. */
typedef bool refresh(void *carrier, struct hnv_flow *flow, struct question *question, __u32 now);

/*
 * It goes on, as connection tracking is told once a second, or its packets have to go the slow way from now
 * on. About an echo it cannot be asked: one a second goes the slow way, and the flow is learned anew.
 */
static __always_inline bool goes_on(void *carrier, refresh *refresh, struct hnv_flow *flow,
                                    const struct candidate *packet, const bool v6,
                                    const struct hnv_fast_domain *policy) {
    struct question question = {};
    __u32 now = seconds_now();

    if ((__s32)(now - flow->revisit) >= 0)
        goto over;
    if (flow->refreshed == now)
        return true;
    ask_about(packet, v6, policy, &question);
    if (refresh(carrier, flow, &question, now))
        return true;
    flow->revisit = now;
over:
    flow->looked--; /* the next one's time has come, too */
    return false;
}

/* As the slow path and connection tracking count: what is behind the packet's end goes with the tunnel. */
static __always_inline void count_fast(struct hnv_flow *flow, const struct candidate *packet, __u32 packets) {
    struct hnv_traffic *count = traffic_of(flow->domain);

    flow->recent += (__u64)packets << HNV_RECENT_SHIFT | packet->length;
    if (!count)
        return;
    count->fast_packets += packets;
    if (packet->side == HNV_FLOW_FROM_PROVIDER) {
        count->decap_packets += packets;
        count->decap_bytes += packet->room;
    } else {
        count->encap_packets += packets;
        count->encap_bytes += packet->length;
    }
}

#endif
