/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* Provider addresses in a VLAN: links of our own over a NIC, which gets and gives their frames with a tag. */
#ifndef HNV_VLAN_H
#define HNV_VLAN_H

#include "account.h"

/* On frames from the NIC to a link of our own that stands for one of its VLANs: with the VLAN in the lower
 * bits. */
#define MARK_VLAN 0x48560000

/* What is for a provider address of a VLAN comes in on its own link alone, and nothing else comes in there.
 */
static __always_inline bool is_astray(const struct __sk_buff *skb, const struct hnv_provider *provider) {
    struct hnv_vlan_key here = {.ifindex = skb->ifindex}, there = {.ifindex = provider->ifindex};

    return here.ifindex != there.ifindex &&
           (bpf_map_lookup_elem(&vlans, &there) || bpf_map_lookup_elem(&vlans, &here));
}

/* A group's frame is there on each of our links in the VLAN, and is taken on one of them. */
static __always_inline int refuse_astray(struct __sk_buff *skb, const __u8 *destination) {
    return is_group(destination) ? TC_ACT_OK : drop(skb, 0, HNV_DROP_PROVIDER_VLAN);
}

/*
 * A frame of a VLAN that a link of ours stands for goes up to that link without its tag. The NIC's own stack,
 * which must not take it for an untagged one, takes it for another station's.
 */
static __always_inline int from_vlan(struct __sk_buff *skb) {
    struct hnv_vlan_key key = {.ifindex = skb->ifindex, .vlan = skb->vlan_tci & 0xfff};

    if (!bpf_map_lookup_elem(&vlans, &key))
        return TC_ACT_OK;
    if (bpf_skb_vlan_pop(skb) || bpf_skb_change_type(skb, PACKET_OTHERHOST))
        return drop(skb, 0, HNV_DROP_PROVIDER_VLAN);
    skb->mark = MARK_VLAN | key.vlan;
    return TC_ACT_OK;
}

/* To the NIC below such a link: with the tag. */
static __always_inline int to_vlan_link(struct __sk_buff *skb) {
    struct hnv_vlan_key key = {.ifindex = skb->ifindex};
    struct hnv_vlan *vlan = bpf_map_lookup_elem(&vlans, &key);

    if (!vlan || bpf_skb_vlan_push(skb, bpf_htons(ETH_P_8021Q), vlan->vlan))
        return drop(skb, 0, HNV_DROP_PROVIDER_VLAN);
    return TC_ACT_OK;
}

#endif
