/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * What tells the sessions of a shared external address apart: ports of TCP and UDP, identifiers of ICMP
 * queries (RFC 5508 section 3), of IPsec the peer, and of ICMP errors those of the packet that they quote.
 */
#ifndef HNV_SESSION_H
#define HNV_SESSION_H

#include "packet.h"

#define ICMP_HEADER 8
#define IKE_PORT 500
#define IKE_NAT_PORT 4500 /* behind a NAT, and for ESP in UDP */

enum session_kind {
    SESSION_MALFORMED,
    SESSION_OTHER, /* neither port nor identifier */
    SESSION_PORTS,
    SESSION_QUERY, /* the identifier is the sender's */
    SESSION_REPLY,
    SESSION_ERROR, /* what it is about begins at `quote` */
    SESSION_LATER, /* a fragment that is not the first */
};

struct session {
    __u8 source[HNV_ADDRESS_SIZE];
    __u8 destination[HNV_ADDRESS_SIZE];
    __be32 fragment_id;
    __u32 quote; /* offset in the frame */
    __u32 end;   /* of the packet in the frame */
    __be16 source_port;
    __be16 destination_port; /* identifiers stand in both */
    __u8 protocol;
    bool fragment;
    bool more; /* fragments follow */
};

struct fragment_header {
    __u8 next;
    __u8 reserved;
    __be16 offset;
    __be32 id;
};

struct transport_start {
    union {
        struct {
            __be16 source;
            __be16 destination;
        } ports;
        struct {
            __u8 type;
            __u8 code;
            __be16 check;
            __be16 id;
            __be16 sequence;
        } icmp;
        struct {
            __be32 spi;
            __be32 sequence;
        } esp;
    };
};

/* A tag that the NIC has taken off makes it a packet of another network. */
static __always_inline bool is_ip(const struct __sk_buff *skb) {
    if (skb->vlan_present)
        return false;
    return skb->protocol == bpf_htons(ETH_P_IP) || skb->protocol == bpf_htons(ETH_P_IPV6);
}

static __always_inline bool is_v6_frame(const struct __sk_buff *skb) {
    return skb->protocol == bpf_htons(ETH_P_IPV6);
}

/* RFC 792 and RFC 4443. Redirects and source quench are of no session that a NAT knows (RFC 5508 section 7).
 */
static __always_inline enum session_kind icmp_kind(__u8 type, bool v6) {
    if (v6) {
        if (type == 128)
            return SESSION_QUERY;
        if (type == 129)
            return SESSION_REPLY;
        return type >= 1 && type <= 4 ? SESSION_ERROR : SESSION_OTHER;
    }
    if (type == 8 || type == 13)
        return SESSION_QUERY;
    if (type == 0 || type == 14)
        return SESSION_REPLY;
    return type == 3 || type == 11 || type == 12 ? SESSION_ERROR : SESSION_OTHER;
}

/* Reads `size` bytes of the frame that end no later than at `end`. */
static __always_inline bool load(struct __sk_buff *skb, __u32 at, __u32 end, void *to, const __u32 size) {
    return at + size <= end && !bpf_skb_load_bytes(skb, at, to, size);
}

/*
 * Reads the packet of the frame's family at `at`, which ends no later than at `end`; answers what kind of a
 * session shows in it. The addresses are zero when there is no IP header.
 */
__noinline int read_session(struct __sk_buff *skb, __u32 at, __u32 end, struct session *session) {
    struct transport_start transport = {};
    bool v6 = is_v6_frame(skb), later;
    __u32 length;

    if (!session)
        return SESSION_MALFORMED;
    if (v6) {
        struct fragment_header fragment = {};
        struct ipv6hdr ip6;

        if (!load(skb, at, end, &ip6, sizeof(ip6)) || ip6.version != 6)
            return SESSION_MALFORMED;
        __builtin_memcpy(session->source, &ip6.saddr, HNV_ADDRESS_SIZE);
        __builtin_memcpy(session->destination, &ip6.daddr, HNV_ADDRESS_SIZE);
        length = sizeof(ip6) + bpf_ntohs(ip6.payload_len);
        session->protocol = ip6.nexthdr;
        session->fragment = ip6.nexthdr == IPV6_FRAGMENT;
        session->quote = at + sizeof(ip6);
        if (session->fragment) {
            if (!load(skb, session->quote, end, &fragment, sizeof(fragment)))
                return SESSION_MALFORMED;
            session->protocol = fragment.next;
            session->quote += sizeof(fragment);
        }
        session->fragment_id = fragment.id;
        session->more = fragment.offset & bpf_htons(1);
        later = fragment.offset & bpf_htons(0xfff8);
    } else {
        struct iphdr ip;

        if (!load(skb, at, end, &ip, sizeof(ip)) || ip.version != 4 || ip.ihl < 5)
            return SESSION_MALFORMED;
        map_v4(session->source, ip.saddr);
        map_v4(session->destination, ip.daddr);
        length = bpf_ntohs(ip.tot_len);
        session->protocol = ip.protocol;
        session->fragment = ip.frag_off & bpf_htons(IP_MF_OR_OFFSET);
        session->fragment_id = ip.id;
        session->more = ip.frag_off & bpf_htons(IP_MF);
        session->quote = at + ip.ihl * 4;
        later = ip.frag_off & bpf_htons(IP_OFFSET);
    }
    /* A super-packet's length field says nothing; a quote is shorter than what it quotes. */
    session->end = !skb->gso_size && at + length < end ? at + length : end;
    if (later)
        return SESSION_LATER;
    if (session->protocol == IPPROTO_TCP || session->protocol == IPPROTO_UDP) {
        if (!load(skb, session->quote, session->end, &transport, sizeof(transport.ports)))
            return SESSION_MALFORMED;
        session->source_port = transport.ports.source;
        session->destination_port = transport.ports.destination;
        return SESSION_PORTS;
    }
    if (session->protocol == IPPROTO_ESP)
        return load(skb, session->quote, session->end, &transport, sizeof(transport.esp)) ? SESSION_OTHER
                                                                                          : SESSION_MALFORMED;
    if (session->protocol != (v6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP))
        return SESSION_OTHER;
    if (!load(skb, session->quote, session->end, &transport, sizeof(transport.icmp)))
        return SESSION_MALFORMED;
    session->source_port = session->destination_port = transport.icmp.id;
    session->quote += ICMP_HEADER;
    return icmp_kind(transport.icmp.type, v6);
}

/* The port or identifier of our side, which is the sender's of what goes `outwards`. */
static __always_inline bool own_port(const struct session *session, int kind, bool outwards, __be16 *port) {
    if (kind != SESSION_PORTS && kind != (outwards ? SESSION_QUERY : SESSION_REPLY))
        return false;
    *port = outwards ? session->source_port : session->destination_port;
    return true;
}

/* IKE (RFC 7296 section 2), ESP in UDP (RFC 3948), or ESP itself: the other side tells whose it is. */
static __always_inline bool is_ipsec(const struct session *session, int kind, bool outwards) {
    __be16 port = outwards ? session->source_port : session->destination_port;

    if (session->protocol == IPPROTO_ESP)
        return kind == SESSION_OTHER;
    return session->protocol == IPPROTO_UDP && kind == SESSION_PORTS &&
           (port == bpf_htons(IKE_PORT) || port == bpf_htons(IKE_NAT_PORT));
}

#endif
