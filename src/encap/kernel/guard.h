/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* What a port may send: the guard of source addresses. */
#ifndef HNV_GUARD_H
#define HNV_GUARD_H

#include "neighbour.h"

/*
 * May the port send from there? Other hosts know one MAC of an address, and let nothing in that is from it
 * with another one: what a VM with several of them sends with a wrong one (VRRP with a virtual MAC) goes on
 * with the right one.
 */
__noinline int guards(struct hnv_port *port, struct packet *packet, struct ethhdr *ethernet) {
    struct hnv_record *record;

    if (!port || !packet || !ethernet)
        return false;
    if (port->flags & HNV_PORT_CONTEXT)
        return true;
    if (owns(port, packet->source)) {
        __builtin_memcpy(ethernet->h_source, port->mac, HNV_MAC_SIZE);
        return true;
    }
    /* Who has no address yet speaks to all: DHCP (RFC 2131), DAD, MLD. */
    if (is_unspecified(packet->source))
        return is_group_mac(ethernet->h_dest);
    if (is_group(packet->source))
        return false;
    if (packet->v6 && is_link_local(packet->source))
        return is_group_mac(ethernet->h_dest) || is_link_local(packet->destination) ||
               packet->protocol == IPPROTO_ICMPV6;
    record = record_of(port->domain, packet->source);
    if (port->flags & HNV_PORT_LEARN) {
        if (record && record->flags & HNV_RECORD_DYNAMIC)
            note_sighting(port->domain, port->ifindex, packet->source);
        if (!record)
            return !router_of(port->domain, packet->source);
        if (!is_known_at(port, record, record->mac))
            return false;
        __builtin_memcpy(ethernet->h_source, record->mac, HNV_MAC_SIZE);
        return true;
    }
    if (record)
        return false;
    return port->flags & HNV_PORT_GATEWAY ||
           is_behind(port->domain, packet->source, port->provider_address, ethernet->h_source);
}

/* A learned address that is elsewhere speaks up at a port that learns: it has moved. */
static __always_inline bool takes_over(struct hnv_port *port, const struct packet *packet) {
    struct hnv_record *record = record_of(port->domain, packet->source);

    return port->flags & HNV_PORT_LEARN && record && record->flags & HNV_RECORD_DYNAMIC;
}

#endif
