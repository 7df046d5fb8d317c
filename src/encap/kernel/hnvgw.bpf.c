/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * The programs of the data plane, one for each kind of place that they are attached to (TC ingress, but for
 * hnv_tag):
 *
 *   hnv_provider   provider NIC                                 NVGRE in: check, admit, decapsulate, deliver
 *   hnv_vlan       own link that stands for a VLAN of a NIC     the same, for what came with the tag
 *   hnv_tag        egress of such a link                        puts the tag on
 *   hnv_port       root side of a port (VM, context's `hnv`)    guard, ARP and ND, route, encapsulate, send
 *   hnv_context    root side of a context's `ext` link          only translated packets to the uplink
 *   hnv_uplink     uplink NIC                                   public address to context, ARP and ND; frames
 *                                                               of networks without NAT to their contexts
 *   hnv_segment    root side of a context's `fwd` link          to such a network, from own addresses only
 *   hnv_sorter     root side of the fragment sorter's link      fragments, now in order, to their contexts
 *   hnv_fast       XDP of provider NIC and uplink NIC           packets of established flows
 *   hnv_spread     the same, to spread frames over CPUs         NVGRE to its flow's CPU, the rest as hnv_fast
 *   hnv_spread_cpu XDP of such a CPU (map spread_cpus)          packets of established flows
 *   hnv_send       nowhere: run by user space on a frame        sends the frame out of a port
 */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#include "provider.h"
#include "port.h"
#include "uplink.h"
#include "segment.h"
#ifndef HNV_SLOW
#include "spread.h"
#endif

SEC("tc")
int hnv_provider(struct __sk_buff *skb) {
    return from_provider(skb);
}

SEC("tc")
int hnv_vlan(struct __sk_buff *skb) {
    return from_vlan_link(skb);
}

SEC("tc")
int hnv_tag(struct __sk_buff *skb) {
    return to_vlan_link(skb);
}

SEC("tc")
int hnv_port(struct __sk_buff *skb) {
    return from_port(skb);
}

SEC("tc")
int hnv_context(struct __sk_buff *skb) {
    return from_context(skb);
}

SEC("tc")
int hnv_uplink(struct __sk_buff *skb) {
    return from_uplink(skb);
}

SEC("tc")
int hnv_segment(struct __sk_buff *skb) {
    return from_segment(skb);
}

SEC("tc")
int hnv_sorter(struct __sk_buff *skb) {
    return from_sorter(skb);
}

#ifndef HNV_SLOW
SEC("xdp")
int hnv_fast(struct xdp_md *frame) {
    return from_frame(frame);
}

SEC("xdp")
int hnv_spread(struct xdp_md *frame) {
    return spread_frame(frame);
}

SEC("xdp/cpumap")
int hnv_spread_cpu(struct xdp_md *frame) {
    return from_frame(frame);
}
#endif

/* cb[0]: the interface's index. */
SEC("tc")
int hnv_send(struct __sk_buff *skb) {
    return bpf_clone_redirect(skb, skb->cb[0], 0);
}

/* The kernel offers some helpers only to GPL-compatible programs; "Dual BSD/GPL" is the name that it knows.
 */
char LICENSE[] SEC("license") = "Dual BSD/GPL";
