/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Whose public addresses are: whole ones, shared ones by port, ICMP identifier or IPsec peer, and IPv6
 * prefixes, which may stand for other ones inside (NPTv6).
 */
#ifndef HNV_EXTERNAL_H
#define HNV_EXTERNAL_H

#include "fast.h"
#include "nptv6.h"

#define SOURCE_OFFSET offsetof(struct ipv6hdr, saddr)
#define DESTINATION_OFFSET offsetof(struct ipv6hdr, daddr)

/* Of a whole address. */
static __always_inline struct hnv_external *owner_of(const __u8 *address) {
    struct hnv_external_key key;

    __builtin_memcpy(key.address, address, HNV_ADDRESS_SIZE);
    return bpf_map_lookup_elem(&externals, &key);
}

static __always_inline bool is_shared(const __u8 *address) {
    struct hnv_external_key key;

    __builtin_memcpy(key.address, address, HNV_ADDRESS_SIZE);
    return bpf_map_lookup_elem(&shared_addresses, &key);
}

static __always_inline struct hnv_range *block_of(const __u8 *address, __be16 port) {
    struct hnv_range_key key = {.prefix_length = 128 + 16, .port = port};
    struct hnv_range *range;

    __builtin_memcpy(key.address, address, HNV_ADDRESS_SIZE);
    range = bpf_map_lookup_elem(&external_ranges, &key);
    return range && range->is_block ? range : NULL;
}

static __always_inline struct hnv_external *peer_of(const __u8 *local, const __u8 *remote) {
    struct hnv_peer_key key;

    __builtin_memcpy(key.local, local, HNV_ADDRESS_SIZE);
    __builtin_memcpy(key.remote, remote, HNV_ADDRESS_SIZE);
    return bpf_map_lookup_elem(&peers, &key);
}

static __always_inline struct hnv_range *prefix_of(const __u8 *address) {
    struct hnv_range_key key = {.prefix_length = 128};
    struct hnv_range *range;

    __builtin_memcpy(key.address, address, HNV_ADDRESS_SIZE);
    range = bpf_map_lookup_elem(&external_ranges, &key);
    return range && !range->is_block ? range : NULL;
}

/* What an inside address becomes outside. */
static __always_inline struct hnv_translation *translation_of(__u32 domain, const __u8 *address) {
    struct hnv_route_key key = {.prefix_length = 32 + 128, .domain = bpf_htonl(domain)};

    __builtin_memcpy(key.address, address, HNV_ADDRESS_SIZE);
    return bpf_map_lookup_elem(&translations, &key);
}

/* Whether anybody has a part of the address, or a prefix around it. */
static __always_inline bool is_in_range(const struct __sk_buff *skb, const __u8 *address) {
    return is_shared(address) || (is_v6_frame(skb) && prefix_of(address));
}

/*
 * Whose a packet to a shared address is, or one from there when it goes `outwards`; NULL with the reason set
 * when it is nobody's. What an ICMP error quotes went the other way.
 */
static __always_inline struct hnv_external *holder_of(struct __sk_buff *skb, const struct session *session,
                                                      int kind, bool outwards, int *reason) {
    const __u8 *address = outwards ? session->source : session->destination;
    const struct session *about = session;
    struct session quoted = {};
    struct hnv_external *peer;
    struct hnv_range *range;
    __be16 port = 0;
    bool ipsec;

    *reason = kind == SESSION_MALFORMED ? HNV_DROP_EXTERNAL_MALFORMED : HNV_DROP_EXTERNAL_PROTOCOL;
    if (kind == SESSION_ERROR) {
        *reason = HNV_DROP_EXTERNAL_QUOTE;
        kind = read_session(skb, session->quote, session->end, &quoted);
        outwards = !outwards;
        about = &quoted;
        if (!same_address(outwards ? quoted.source : quoted.destination, address))
            return NULL;
    }
    ipsec = is_ipsec(about, kind, outwards);
    if (ipsec) {
        peer = peer_of(address, outwards ? about->destination : about->source);
        if (peer)
            return peer;
        *reason = HNV_DROP_EXTERNAL_PEER;
    }
    if (!own_port(about, kind, outwards, &port))
        return NULL;
    range = block_of(address, port);
    if (range)
        return &range->owner;
    if (!ipsec)
        *reason = HNV_DROP_EXTERNAL_PORT;
    return NULL;
}

/* Hands the packet to the context, addressed to the context's own MAC. */
static __always_inline int deliver(struct __sk_buff *skb, const struct hnv_external *external) {
    __u32 ifindex = external->ifindex;
    struct {
        __u8 destination[HNV_MAC_SIZE];
        __u8 source[HNV_MAC_SIZE];
    } macs;

    let_in_plain(skb, external->domain);
    __builtin_memcpy(macs.destination, external->mac, HNV_MAC_SIZE);
    __builtin_memcpy(macs.source, router_mac, HNV_MAC_SIZE);
    if (bpf_skb_store_bytes(skb, 0, &macs, sizeof(macs), 0) || bpf_skb_change_type(skb, PACKET_HOST))
        return TC_ACT_SHOT;
    skb->mark = 0;
    return bpf_redirect_peer(ifindex, 0);
}

/* Gives a packet the inside form of its destination, which is in the prefix; false when there is none. */
static __always_inline bool translate_inwards(struct __sk_buff *skb, const struct session *session, int kind,
                                              struct hnv_range *prefix) {
    __u32 quoted = session->quote + SOURCE_OFFSET;
    union v6_address sender;
    struct hnv_range *from;

    if (!translate(skb, ETH_HLEN + DESTINATION_OFFSET, &prefix->inward))
        return false;
    if (kind != SESSION_ERROR || !load(skb, quoted, session->end, &sender, sizeof(sender)))
        return true;
    from = prefix_of(sender.bytes);
    return !from || from->owner.domain != prefix->owner.domain || !from->inward.length ||
           translate(skb, quoted, &from->inward);
}

/* Gives a packet the outside form of its source; false when there is none. */
static __always_inline bool translate_outwards(struct __sk_buff *skb, const struct session *session, int kind,
                                               __u32 domain, struct hnv_translation *to) {
    __u32 quoted = session->quote + DESTINATION_OFFSET;
    union v6_address receiver;

    if (!translate(skb, ETH_HLEN + SOURCE_OFFSET, to))
        return false;
    if (kind != SESSION_ERROR || !load(skb, quoted, session->end, &receiver, sizeof(receiver)))
        return true;
    to = translation_of(domain, receiver.bytes);
    return !to || translate(skb, quoted, to);
}

/* The domain has a block of the address, by the link of its context. */
static __always_inline bool has_block(__u32 ifindex, const __u8 *address) {
    struct hnv_port_address_key key = {.ifindex = ifindex};

    __builtin_memcpy(key.address, address, HNV_ADDRESS_SIZE);
    return bpf_map_lookup_elem(&port_addresses, &key);
}

/*
 * Whether the domain may send a packet whose source is none of its whole addresses; it has its outside form
 * then. 0, or the reason why not. Later fragments have no ports: the context's kernel makes them, of packets
 * whose ports it has chosen.
 */
__noinline int leave(struct __sk_buff *skb, struct hnv_external_port *port) {
    struct session session = {};
    struct hnv_external *holder;
    struct hnv_translation *to;
    struct hnv_range *range;
    int kind, reason;

    if (!port)
        return HNV_DROP_UNTRANSLATED;
    kind = read_session(skb, ETH_HLEN, skb->len, &session);
    if (is_shared(session.source)) {
        if (kind == SESSION_LATER)
            return has_block(skb->ifindex, session.source) ? 0 : HNV_DROP_UNTRANSLATED;
        holder = holder_of(skb, &session, kind, true, &reason);
        return holder && holder->domain == port->domain ? 0 : HNV_DROP_UNTRANSLATED;
    }
    if (!is_v6_frame(skb))
        return HNV_DROP_UNTRANSLATED;
    to = translation_of(port->domain, session.source);
    if (to)
        return translate_outwards(skb, &session, kind, port->domain, to) ? 0 : HNV_DROP_PREFIX_TRANSLATION;
    range = prefix_of(session.source);
    return range && range->owner.domain == port->domain && !range->inward.length ? 0 : HNV_DROP_UNTRANSLATED;
}

#endif
