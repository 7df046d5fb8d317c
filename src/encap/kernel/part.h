/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* One frame that becomes several, through the port's own ingress. */
#ifndef HNV_PART_H
#define HNV_PART_H

#include "deliver.h"

/*
 * What one frame becomes several of comes back to the port's ingress as clones of it, each with its part in
 * the mark. A mark cannot come in with a frame: it does not survive the way out of another namespace, and a
 * tap has none.
 */
#define PART_MASK 0xffff0000
#define PART_COPY 0x484e0000     /* for the provider address of that number among the subnet's members */
#define PART_FRAGMENT 0x484f0000 /* the fragment of that number */
#define PART_GROUP 0xffff        /* the copy to the provider multicast address */

static long come_back(struct copying *copying, __u32 part) {
    copying->skb->mark = part;
    return count_copy(copying, bpf_clone_redirect(copying->skb, copying->ifindex, BPF_F_INGRESS));
}

#endif
