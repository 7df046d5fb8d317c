/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* What ports that learn show of themselves, told to user space, which decides (src/host/learning.ts). */
#ifndef HNV_LEARN_H
#define HNV_LEARN_H

#include "directory.h"

#define SIGHTING_INTERVAL_NS 100000000ULL
#define DHCP_ACK 5
#define DHCP_MESSAGE_TYPE 53
#define DHCP_OPTIONS 16 /* most that are looked through for the message type */

struct dhcp_message {
    __u8 op, hardware, hardware_length, hops;
    __be32 id;
    __be16 seconds, flags;
    __be32 client, yours, server, relay;
    __u8 mac[16];
};
#define DHCP_COOKIE_OFFSET 236
#define DHCP_COOKIE 0x63825363

static __always_inline void learn(__u32 domain, __u32 vsid, __u32 ifindex, const __u8 *address,
                                  const __u8 *mac, enum hnv_evidence evidence) {
    __u32 key = 0;
    struct hnv_learned *event = bpf_map_lookup_elem(&learned_scratch, &key);

    if (!event)
        return;
    event->time_ns = bpf_ktime_get_ns();
    event->domain = domain;
    event->vsid = vsid;
    event->ifindex = ifindex;
    event->evidence = evidence;
    __builtin_memcpy(event->address, address, HNV_ADDRESS_SIZE);
    __builtin_memcpy(event->mac, mac, HNV_MAC_SIZE);
    bpf_ringbuf_output(&learned, event, sizeof(*event), 0);
}

/* Notes ten times a second at most that an address is in use, which keeps a learned one from ageing. */
static __always_inline void note_sighting(__u32 domain, __u32 ifindex, const __u8 *address) {
    struct hnv_sighting_key key = {.domain = domain};
    struct hnv_sighting fresh = {.ifindex = ifindex, .time_ns = bpf_ktime_get_ns()};
    struct hnv_sighting *seen;

    __builtin_memcpy(key.address, address, HNV_ADDRESS_SIZE);
    seen = bpf_map_lookup_elem(&sightings, &key);
    if (!seen || seen->ifindex != ifindex || fresh.time_ns - seen->time_ns > SIGHTING_INTERVAL_NS)
        bpf_map_update_elem(&sightings, &key, &fresh, BPF_ANY);
}

/* Whether the record says of the port what it shows: the address with that MAC, which is here. */
static __always_inline bool is_known_at(const struct hnv_port *port, const struct hnv_record *record,
                                        const __u8 *mac) {
    struct hnv_port *at;

    if (!(record->flags & HNV_RECORD_LOCAL) || record->vsid != port->vsid || !same_mac(record->mac, mac))
        return false;
    at = port_at(port->domain, port->vsid, mac);
    return at && at->ifindex == port->ifindex;
}

/*
 * An address that ARP or ND shows at a port: told when no record says so already. A record that policy wrote
 * is not up for learning.
 */
static __always_inline void learn_neighbour(const struct hnv_port *port, const __u8 *address, const __u8 *mac,
                                            enum hnv_evidence evidence) {
    struct hnv_record *record = record_of(port->domain, address);

    note_sighting(port->domain, port->ifindex, address);
    if (record && (!(record->flags & HNV_RECORD_DYNAMIC) || is_known_at(port, record, mac)))
        return;
    learn(port->domain, port->vsid, port->ifindex, address, mac, evidence);
}

/*
 * A DHCP server's acknowledgement (RFC 2131) in a virtual subnet, whose UDP header is at `offset`: the
 * client's MAC tells user space which port it is for.
 */
__noinline int learn_dhcp(struct __sk_buff *skb, __u32 domain, __u32 vsid, __u32 offset) {
    struct dhcp_message message;
    __u8 address[HNV_ADDRESS_SIZE] = {}, option[3];
    __be32 cookie;
    __u32 at = offset + 8;

    if (bpf_skb_load_bytes(skb, at, &message, sizeof(message)) ||
        bpf_skb_load_bytes(skb, at + DHCP_COOKIE_OFFSET, &cookie, sizeof(cookie)) || message.op != 2 ||
        message.hardware != 1 || message.hardware_length != HNV_MAC_SIZE || !message.yours ||
        cookie != bpf_htonl(DHCP_COOKIE))
        return 0;
    at += DHCP_COOKIE_OFFSET + sizeof(cookie);
    for (int i = 0; i < DHCP_OPTIONS; i++) {
        if (bpf_skb_load_bytes(skb, at, option, sizeof(option)))
            return 0;
        if (option[0] == DHCP_MESSAGE_TYPE) {
            if (option[2] == DHCP_ACK) {
                map_v4(address, message.yours);
                learn(domain, vsid, 0, address, message.mac, HNV_EVIDENCE_DHCP);
            }
            return 0;
        }
        at += option[0] ? 2 + option[1] : 1;
    }
    return 0;
}

/* Looks at what is on its way to a port that may learn from it. */
static __always_inline void watch_dhcp(struct __sk_buff *skb, __u32 domain, __u32 vsid, const __u32 offset,
                                       const struct packet *packet) {
    __be16 ports[2];

    if (packet->v6 || packet->protocol != IPPROTO_UDP || packet->later ||
        bpf_skb_load_bytes(skb, offset + packet->header, ports, sizeof(ports)) || ports[0] != bpf_htons(67) ||
        ports[1] != bpf_htons(68))
        return;
    learn_dhcp(skb, domain, vsid, offset + packet->header);
}

#endif
