/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Fragments to shared addresses: only the first one has ports, and they come in any order (RFC 4787 REQ-14).
 * A small namespace (src/gateway/fragment-sorter.ts) puts them in order: its kernel reassembles them, and
 * makes fragments again, which come back first one first and with nothing of another packet between.
 */
#ifndef HNV_SORTER_H
#define HNV_SORTER_H

#include "error.h"
#include "external.h"

/* The sorter is a hop of its own, which no sender should notice. */
static __always_inline bool add_hop(struct __sk_buff *skb) {
    struct ipv6hdr *ip6;
    struct iphdr *ip;

    if (is_v6_frame(skb)) {
        ip6 = head(skb, ETH_HLEN + sizeof(*ip6));
        if (!ip6)
            return false;
        ip6 = (void *)ip6 + ETH_HLEN;
        if (ip6->hop_limit < 255)
            ip6->hop_limit++;
        return true;
    }
    ip = head(skb, ETH_HLEN + sizeof(*ip));
    if (!ip)
        return false;
    ip = (void *)ip + ETH_HLEN;
    if (ip->ttl < 255) {
        ip->check = ~fold((__u64)(__u16)~ip->check + bpf_htons(0x0100));
        ip->ttl++;
    }
    return true;
}

static __always_inline int sort(struct __sk_buff *skb, __u32 charged) {
    __u32 key = 0;
    struct hnv_sorter *to = bpf_map_lookup_elem(&sorter, &key);

    if (!to || !to->ifindex)
        return drop(skb, charged, HNV_DROP_EXTERNAL_FRAGMENT);
    if (!add_hop(skb) || bpf_skb_change_type(skb, PACKET_HOST))
        return TC_ACT_SHOT;
    skb->mark = 0;
    return bpf_redirect_peer(to->ifindex, 0);
}

/* From the sorter: whose the first fragment is, is noted for the others. */
static __always_inline int from_sorter(struct __sk_buff *skb) {
    struct hnv_fragmented_key key = {};
    struct hnv_external *noted, *holder, owner;
    struct session session = {};
    int kind, reason;

    kind = is_ip(skb) ? read_session(skb, ETH_HLEN, skb->len, &session) : SESSION_MALFORMED;
    if (!is_shared(session.destination))
        return drop(skb, 0, HNV_DROP_EXTERNAL_FRAGMENT);
    __builtin_memcpy(key.source, session.source, HNV_ADDRESS_SIZE);
    __builtin_memcpy(key.destination, session.destination, HNV_ADDRESS_SIZE);
    key.id = session.fragment_id;
    key.protocol = session.protocol;
    if (kind == SESSION_LATER) {
        noted = bpf_map_lookup_elem(&fragmented, &key);
        if (!noted)
            return drop(skb, 0, HNV_DROP_EXTERNAL_FRAGMENT);
        owner = *noted;
        if (!session.more)
            bpf_map_delete_elem(&fragmented, &key);
        return deliver(skb, &owner);
    }
    holder = holder_of(skb, &session, kind, false, &reason);
    if (!holder) {
        /* The identifier may have been another packet's, whose end is lost. */
        bpf_map_delete_elem(&fragmented, &key);
        return drop(skb, 0, reason);
    }
    if (session.fragment)
        bpf_map_update_elem(&fragmented, &key, holder, BPF_ANY);
    return deliver(skb, holder);
}

#endif
