/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * The programs of the data plane, one for each kind of place that they are attached to (TC ingress of each):
 *
 *   hnv_provider   provider NIC                                 NVGRE in: check, admit, decapsulate, deliver
 *   hnv_port       root side of a port (context's `hnv` link)   route, resolve, encapsulate, send
 *   hnv_context    root side of a context's `ext` link          only translated packets to the uplink
 *   hnv_uplink     uplink NIC                                   public address to context, ARP
 */
#include <linux/bpf.h>
#include <linux/if_packet.h>
#include <bpf/bpf_helpers.h>

#include "provider.h"
#include "port.h"
#include "uplink.h"

SEC("tc")
int hnv_provider(struct __sk_buff *skb) {
    return from_provider(skb);
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

/* The kernel offers some helpers only to GPL-compatible programs; "Dual BSD/GPL" is the name that it knows.
 */
char LICENSE[] SEC("license") = "Dual BSD/GPL";
