/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* From the provider network: NVGRE checks, admission by policy, decapsulation, delivery to ports. */
#ifndef HNV_PROVIDER_H
#define HNV_PROVIDER_H

#include "admission.h"
#include "fast.h"
#include "outer.h"
#include "port.h"
#include "vlan.h"

/* RFC 6040 section 4.2: congestion seen by the fabric goes on to the flow; false when the flow does not know
 * it. */
static __always_inline bool pass_congestion(struct __sk_buff *skb, const __u32 offset,
                                            const struct packet *packet) {
    struct ipv6hdr *ip6;
    struct iphdr *ip;

    if (!(packet->tos & ECN_MASK))
        return false;
    if (packet->v6) {
        ip6 = head(skb, offset + sizeof(*ip6));
        if (ip6)
            set_ce6((void *)ip6 + offset);
        return ip6;
    }
    ip = head(skb, offset + sizeof(*ip));
    if (ip)
        set_ce((void *)ip + offset);
    return ip;
}

/* Takes the tunnel off: what is left is the inner frame. */
static __always_inline long decapsulate(struct __sk_buff *skb, __u32 domain, const __u32 length,
                                        const struct ethhdr *inner, bool inner_v6) {
    __u32 packets = packets_in(skb);
    struct hnv_traffic *count;

    if (strip_tunnel(skb, length, inner_v6) || bpf_skb_store_bytes(skb, 0, inner, sizeof(*inner), 0))
        return -1;
    count = traffic_of(domain);
    if (count) {
        count->decap_packets += packets;
        count->decap_bytes += skb->len - ETH_HLEN;
    }
    return 0;
}

/*
 * The packet, still in its tunnel, is too big for the port: its sender hears so from the `.1` of its own
 * subnet, by the tunnel that it came through. Also of IPv4 that may be fragmented, which is not done here:
 * its sender does it when it has heard.
 */
static __always_inline int refuse_tunnelled(struct __sk_buff *skb, struct hnv_port *port,
                                            struct packet *packet, const __u32 length, struct outer *outer,
                                            struct ethhdr *inner) {
    struct hnv_record *record = record_of(port->domain, packet->source);
    struct hnv_subnet_key key = {};
    struct hnv_subnet *subnet;

    drop(skb, port->domain, HNV_DROP_INNER_TOO_BIG);
    key.vsid = record ? record->vsid : port->vsid;
    subnet = bpf_map_lookup_elem(&subnets, &key);
    if (is_v4(outer->source) != is_v4(port->provider_address) || !subnet ||
        is_unspecified(packet->v6 ? subnet->router6 : subnet->router) ||
        strip_tunnel(skb, length, packet->v6) || bpf_skb_store_bytes(skb, 0, inner, sizeof(*inner), 0) ||
        !may_complain(skb, packet) || !may_send_error(port->domain) ||
        make_error(skb, packet, subnet, ERROR_TOO_BIG | port->mtu << 8))
        return TC_ACT_SHOT;
    if (record)
        __builtin_memcpy(inner->h_source, record->mac, HNV_MAC_SIZE);
    turn_round(inner);
    return send_to(skb, port, outer->source, key.vsid, packet, inner);
}

/* To all ports of the virtual subnet that live at the provider address which it came to. Nothing goes out
 * again. */
static __always_inline int spread(struct __sk_buff *skb, __u32 domain, __u32 vsid, const __u32 length,
                                  const struct outer *outer, const struct ethhdr *inner,
                                  const struct packet *packet) {
    struct copying copying = {
        .skb = skb, .members = members_of(vsid), .count = traffic_of(domain), .failed = drops_of(domain)};
    __u64 before;

    if (!copying.members || !copying.count || !copying.failed)
        return drop(skb, domain, HNV_DROP_NO_MEMBERS);
    watch_dhcp(skb, domain, vsid, ETH_HLEN + length, packet);
    if (decapsulate(skb, domain, length, inner, packet->v6))
        return drop(skb, domain, HNV_DROP_DECAP_FAILED);
    if (!is_group(outer->destination))
        __builtin_memcpy(copying.at, outer->destination, HNV_ADDRESS_SIZE);
    skb->mark = 0;
    before = copies_made(&copying);
    bpf_loop(HNV_MEMBERS, copy_to_local, &copying, 0);
    return copies_made(&copying) == before ? drop(skb, domain, HNV_DROP_NO_MEMBERS) : TC_ACT_SHOT;
}

/* What came to a provider address of ours, with a tunnel header of `length` bytes. */
static __always_inline int admit(struct __sk_buff *skb, const __u32 length, struct outer *outer) {
    const __u32 inner_at = ETH_HLEN + length, gre_at = inner_at - NVGRE_LENGTH;
    struct hnv_source_key source = {};
    struct hnv_subnet_key vsid = {};
    struct hnv_subnet *subnet;
    struct packet packet = {};
    struct nvgre_header *nvgre;
    struct gre_header *gre;
    struct hnv_port *port;
    struct ethhdr inner;
    int reason;
    bool v6;

    /* The packet's end counts, not the frame's, which may be padded. */
    if (outer->room > skb->len - ETH_HLEN || outer->room < length - ETH_HLEN)
        return drop(skb, 0, HNV_DROP_OUTER_TRUNCATED);
    gre = head(skb, gre_at + sizeof(*gre));
    if (!gre)
        return drop(skb, 0, HNV_DROP_OUTER_TRUNCATED);
    gre = (void *)gre + gre_at;
    reason = check_gre(gre);
    if (reason)
        return drop(skb, 0, reason);
    vsid.vsid = bpf_ntohl(gre->key) >> 8;
    subnet = bpf_map_lookup_elem(&subnets, &vsid);
    if (!subnet)
        return drop(skb, 0, HNV_DROP_VSID_UNKNOWN);
    source.domain = subnet->domain;
    __builtin_memcpy(source.address, outer->source, HNV_ADDRESS_SIZE);
    if (!bpf_map_lookup_elem(&sources, &source))
        return drop(skb, source.domain, HNV_DROP_SOURCE_PROVIDER_ADDRESS);

    nvgre = head(skb, inner_at);
    if (!nvgre || outer->room < length)
        return drop(skb, source.domain, HNV_DROP_INNER_TRUNCATED);
    nvgre = (void *)nvgre + gre_at;
    inner = nvgre->inner;
    if (inner.h_proto == bpf_htons(ETH_P_8021Q) || inner.h_proto == bpf_htons(ETH_P_8021AD))
        return drop(skb, source.domain, HNV_DROP_INNER_VLAN);
    v6 = inner.h_proto == bpf_htons(ETH_P_IPV6);
    if (!v6 && inner.h_proto != bpf_htons(ETH_P_IP))
        return drop(skb, source.domain, HNV_DROP_INNER_ETHERTYPE);
    if (skb->len < inner_at + (v6 ? sizeof(struct ipv6hdr) : sizeof(struct iphdr)))
        return drop(skb, source.domain, HNV_DROP_INNER_TRUNCATED);
    if (!read_packet(skb, inner_at, outer->room - length, v6, &packet))
        return drop(skb, source.domain, HNV_DROP_INNER_MALFORMED);

    if (is_group_mac(inner.h_dest)) {
        reason = check_source(source.domain, vsid.vsid, outer, &inner, &packet);
        if (reason)
            return drop(skb, source.domain, reason);
        if (outer->congested && !pass_congestion(skb, inner_at, &packet))
            return drop(skb, source.domain, HNV_DROP_ECN);
        return spread(skb, source.domain, vsid.vsid, length, outer, &inner, &packet);
    }
    port = find_port(source.domain, vsid.vsid, inner.h_dest);
    if (!port)
        return drop(skb, source.domain, unknown_destination(inner.h_dest));
    reason = check_source(source.domain, vsid.vsid, outer, &inner, &packet);
    if (reason)
        return drop(skb, source.domain, reason);
    if (size_on_wire(skb, inner_at, &packet, packet.length) > port->mtu)
        return refuse_tunnelled(skb, port, &packet, length, outer, &inner);
    if (outer->congested && !pass_congestion(skb, inner_at, &packet))
        return drop(skb, source.domain, HNV_DROP_ECN);
    if (port->flags & HNV_PORT_LEARN)
        watch_dhcp(skb, source.domain, port->vsid, inner_at, &packet);
    if (port->flags & HNV_PORT_CONTEXT)
        let_in_tunnelled(skb, source.domain, port->mtu, outer, &inner);
    if (decapsulate(skb, source.domain, length, &inner, v6))
        return drop(skb, source.domain, HNV_DROP_DECAP_FAILED);
    return to_port(skb, port);
}

/* What is not NVGRE to one of our provider addresses is none of our business: the kernel has it. */
static __always_inline int from_provider_v4(struct __sk_buff *skb) {
    struct iphdr *ip = head(skb, ETH_HLEN + sizeof(*ip));
    struct hnv_provider *provider;
    struct outer outer = {};
    int reason;

    if (!ip)
        return drop(skb, 0, HNV_DROP_OUTER_TRUNCATED);
    ip = (void *)ip + ETH_HLEN;
    if (ip->protocol != IPPROTO_GRE)
        return TC_ACT_OK;
    map_v4(outer.source, ip->saddr);
    map_v4(outer.destination, ip->daddr);
    provider = find_provider(skb, outer.destination);
    if (!provider)
        return TC_ACT_OK;
    if (is_astray(skb, provider))
        return refuse_astray(skb, outer.destination);
    reason = read_outer_v4(skb, &outer);
    if (reason)
        return drop(skb, 0, reason);
    return admit(skb, TUNNEL_LENGTH, &outer);
}

static __always_inline int from_provider_v6(struct __sk_buff *skb) {
    struct ipv6hdr *ip6 = head(skb, ETH_HLEN + sizeof(*ip6));
    struct hnv_provider *provider;
    struct outer outer = {};
    __u8 after = 0;
    int reason;

    if (!ip6)
        return drop(skb, 0, HNV_DROP_OUTER_TRUNCATED);
    ip6 = (void *)ip6 + ETH_HLEN;
    if (is_extension(ip6->nexthdr))
        bpf_skb_load_bytes(skb, ETH_HLEN + sizeof(*ip6), &after, sizeof(after));
    if (ip6->nexthdr != IPPROTO_GRE && after != IPPROTO_GRE)
        return TC_ACT_OK;
    __builtin_memcpy(outer.source, &ip6->saddr, HNV_ADDRESS_SIZE);
    __builtin_memcpy(outer.destination, &ip6->daddr, HNV_ADDRESS_SIZE);
    /* The v4-mapped form would pass for the IPv4 address. */
    if (is_v4(outer.destination))
        return TC_ACT_OK;
    provider = find_provider(skb, outer.destination);
    if (!provider)
        return TC_ACT_OK;
    if (is_astray(skb, provider))
        return refuse_astray(skb, outer.destination);
    if (is_v4(outer.source))
        return drop(skb, 0, HNV_DROP_SOURCE_PROVIDER_ADDRESS);
    reason = read_outer_v6(skb, &outer);
    if (reason)
        return drop(skb, 0, reason);
    return admit(skb, TUNNEL6_LENGTH, &outer);
}

/* What has no tag, or came with it to the link that stands for it. */
static __always_inline int from_untagged(struct __sk_buff *skb) {
    if (skb->protocol == bpf_htons(ETH_P_IP))
        return from_provider_v4(skb);
    if (skb->protocol == bpf_htons(ETH_P_IPV6))
        return from_provider_v6(skb);
    return TC_ACT_OK;
}

static __always_inline bool is_for_us(const struct __sk_buff *skb) {
    return skb->pkt_type == PACKET_HOST || skb->pkt_type == PACKET_MULTICAST;
}

static __always_inline int from_provider(struct __sk_buff *skb) {
    int action;

    if (skb->vlan_present)
        return from_vlan(skb);
    if (!is_for_us(skb))
        return TC_ACT_OK;
    action = skb_from_provider(skb);
    return action == NOT_FAST ? from_untagged(skb) : action;
}

/* From a link that stands for a VLAN: only what came with its tag. */
static __always_inline int from_vlan_link(struct __sk_buff *skb) {
    struct hnv_vlan_key key = {.ifindex = skb->ifindex};
    struct hnv_vlan *vlan = bpf_map_lookup_elem(&vlans, &key);

    if (!vlan || skb->mark != (MARK_VLAN | vlan->vlan))
        return drop(skb, 0, HNV_DROP_PROVIDER_VLAN);
    skb->mark = 0;
    if (skb->vlan_present)
        return from_vlan(skb);
    return is_for_us(skb) ? from_untagged(skb) : TC_ACT_OK;
}

#endif
