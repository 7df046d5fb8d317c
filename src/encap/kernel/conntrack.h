/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * The kernel's connection tracking, which alone knows what conversations there are and how they are
 * translated. Asking it costs a packet 100 ns; of a conversation that was found once, what may change is read
 * where it stands in the kernel's memory. That memory may have become another conversation's: who reads there
 * asks anew from time to time.
 */
#ifndef HNV_CONNTRACK_H
#define HNV_CONNTRACK_H

#include <bpf/bpf_core_read.h>

#include "packet.h"

/* Of enum ip_conntrack_status and enum tcp_conntrack. */
#define IPS_CONFIRMED (1 << 3)
#define IPS_SEQ_ADJUST (1 << 6)
#define IPS_DYING (1 << 9)
#define IPS_HELPER (1 << 13)
#define TCP_CONNTRACK_ESTABLISHED 3

/* Both begin with the members that they had in Linux 6.1. */
struct bpf_ct_opts___hnv {
    __s32 netns_id;
    __s32 error;
    __u8 l4proto;
    __u8 dir; /* is set: of the conversation's packets that the tuple is of */
    __u8 reserved[2];
};

/* struct nf_conntrack_tuple. */
struct tuple {
    __u8 source[HNV_ADDRESS_SIZE]; /* of IPv4 the first four bytes */
    __be16 source_port;
    __u16 family;
    __u8 destination[HNV_ADDRESS_SIZE];
    __be16 destination_port;
    __u8 protocol;
    __u8 direction;
};

/* What is used of the kernel's; members are found by name when the program is loaded. */
struct nf_conntrack_tuple {
} __attribute__((preserve_access_index));
struct nf_conntrack_tuple_hash {
    struct nf_conntrack_tuple tuple;
} __attribute__((preserve_access_index));
struct ip_ct_tcp {
    __u8 state;
} __attribute__((preserve_access_index));
union nf_conntrack_proto {
    struct ip_ct_tcp tcp;
} __attribute__((preserve_access_index));
struct nf_ct_ext {
    __u8 offset[1];
} __attribute__((preserve_access_index));
struct nf_conn {
    struct nf_conntrack_tuple_hash tuplehash[2];
    unsigned long status;
    struct nf_ct_ext *ext;
    union nf_conntrack_proto proto;
} __attribute__((preserve_access_index));
enum nf_ct_ext_id {
    NF_CT_EXT_TSTAMP = 6,
};

extern struct nf_conn *bpf_skb_ct_lookup(struct __sk_buff *skb, struct bpf_sock_tuple *tuple, __u32 size,
                                         struct bpf_ct_opts___hnv *options, __u32 options_size) __ksym;
extern struct nf_conn *bpf_xdp_ct_lookup(struct xdp_md *frame, struct bpf_sock_tuple *tuple, __u32 size,
                                         struct bpf_ct_opts___hnv *options, __u32 options_size) __ksym;
extern int bpf_ct_change_timeout(struct nf_conn *connection, __u32 ms) __ksym;
extern void bpf_ct_release(struct nf_conn *connection) __ksym;

/* Nobody has begun to end the TCP connection; whose it is, is not looked at. */
static __always_inline bool is_tcp_established(__u64 connection) {
    const struct nf_conn *of = (void *)connection;
    __u8 state;

    return !bpf_probe_read_kernel(&state, sizeof(state), &of->proto.tcp.state) &&
           state == TCP_CONNTRACK_ESTABLISHED;
}

/* What the packets of one direction have in their headers. */
static __always_inline bool read_tuple(const struct nf_conn *of, bool reply, struct tuple *tuple) {
    return !bpf_probe_read_kernel(tuple, sizeof(*tuple),
                                  reply ? &of->tuplehash[1].tuple : &of->tuplehash[0].tuple);
}

/* When the conversation began, ns since 1970; 0 when that was not noted. */
static __always_inline __u64 start_of(const struct nf_conn *of) {
    struct nf_ct_ext *ext = NULL;
    __u64 start = 0;
    __u8 at = 0;

    if (!bpf_core_enum_value_exists(enum nf_ct_ext_id, NF_CT_EXT_TSTAMP) ||
        bpf_probe_read_kernel(&ext, sizeof(ext), &of->ext) || !ext ||
        bpf_probe_read_kernel(&at, sizeof(at),
                              &ext->offset[0] + bpf_core_enum_value(enum nf_ct_ext_id, NF_CT_EXT_TSTAMP)) ||
        !at || bpf_probe_read_kernel(&start, sizeof(start), (void *)ext + at))
        return 0;
    return start;
}

#endif
