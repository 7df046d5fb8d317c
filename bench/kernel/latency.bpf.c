/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Latency under a load that does not wait for its answers: packets have times at which they are due, at random
 * as independent senders have them, and what a packet's way takes counts from the time that it was due, however late
 * it could be sent because the ones before it were still under way.
 *
 * Run by BPF_PROG_TEST_RUN on live frames, latency_nvgre, latency_vxlan and latency_plain send the next packets of a round
 * of flows: for the first of a batch of frames they wait until it is due, and of the others they send those that are due too,
 * for a batch goes on its way when it is complete. The time is in the packet; bench_sink, which is called as the sink that
 * it replaces (traffic.bpf.c), takes it out at the far end and notes how long ago that was. Both ends read one clock.
 */
#include <stdbool.h>
#include <linux/bpf.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#define FRAME 60           /* Ethernet, IPv4, UDP, 18 bytes of payload */
#define IP_IN_FRAME 14
#define UDP_IN_FRAME 34
#define STAMP_IN_FRAME 42
#define NVGRE_HEADERS 42
#define NVGRE_KEY (NVGRE_HEADERS - 4)
#define VXLAN_HEADERS 50
#define VXLAN_OUTER_PORT 34
#define EPHEMERAL_PORTS 49152
#define FIRST_PORT 1024
#define PORTS_BITS 15
#define VSIDS_OF_TENANT 2
#define MAGIC 0x686e764c
#define GAPS 1024
#define PATIENCE 1024 /* looks at the clock, some 20 us */

#define SAMPLES (1 << 18)

/* bench/latency-end.ts writes these. */
struct latency_sending {
    __u32 ifindex;
    __u32 flows;
    __u32 tenants;      /* flows take turns with them: VSIDs and public addresses count up */
    __u32 from_outside; /* 1: flows differ in the receiver's port and the sender's address */
    __u32 batch;        /* frames that are sent together */
    __u32 unmeasured;   /* frames that come first, and count for nothing */
    __u32 frames;       /* so far */
    __u32 headroom;     /* bytes that frames begin behind the usual place (bench/frames.ts) */
    __u32 uncounted;    /* packets sent that count for nothing */
    __u64 began;        /* when the first one was due that counts */
    __u64 ended;        /* when the last frame was made */
    __u64 sent;         /* packets that count */
    __u8 frame[VXLAN_HEADERS + FRAME + 2];
    __u32 gaps[GAPS]; /* nanoseconds, one as likely as the other */
};
struct latency_receiving {
    __u32 stamp; /* its place in the frame */
};
struct latency_found {
    __u64 arrived;       /* packets that count */
    __u32 took[SAMPLES]; /* nanoseconds, as they came */
};
struct latency_stamp {
    __be16 due[4]; /* nanoseconds, highest word first; 0: does not count */
    __be32 magic;
} __attribute__((packed));

#define LATENCY_ARRAY(name_, size_, value_)                                                                  \
    struct {                                                                                                 \
        __uint(type, BPF_MAP_TYPE_ARRAY);                                                                    \
        __uint(max_entries, size_);                                                                          \
        __type(key, __u32);                                                                                  \
        __type(value, value_);                                                                               \
    } name_ SEC(".maps")

LATENCY_ARRAY(sending, 1, struct latency_sending);
LATENCY_ARRAY(receiving, 1, struct latency_receiving);
LATENCY_ARRAY(found, 1, struct latency_found);

static __u64 due = 0;
static __u32 next_flow = 0;

/* Now, or when a packet that is not yet due is, if that is soon. */
static __always_inline __u64 wait(__u64 now) {
    for (int look = 0; look < PATIENCE && due > now; look++)
        now = bpf_ktime_get_ns();
    return now;
}

/* One's complement sum, RFC 1624 equation 3: the template's checksum is that of 0 in what is added. */
static __always_inline __u16 checksum_with(__u16 check, __u32 added) {
    __u32 sum = (__u16)~check + added;

    sum = (sum & 0xffff) + (sum >> 16);
    sum = (sum & 0xffff) + (sum >> 16);
    return ~sum;
}

static __always_inline int send_frame(struct xdp_md *ctx, const __u32 outer) {
    __u32 key = 0, flow, tenant, sum, counts_from;
    struct latency_sending *from;
    struct latency_stamp *stamp;
    __be16 *ip, *udp, port, host, owner;
    bool is_measured;
    __u64 now, then;
    __u8 *data;

    from = bpf_map_lookup_elem(&sending, &key);
    if (!from || (from->headroom && bpf_xdp_adjust_head(ctx, from->headroom)))
        return XDP_ABORTED;
    data = (void *)(long)ctx->data;
    if (data + outer + FRAME > (__u8 *)(long)ctx->data_end)
        return XDP_ABORTED;
    now = bpf_ktime_get_ns();
    counts_from = from->unmeasured;
    if (from->frames == 0 || from->frames == counts_from) {
        due = now;
        from->began = now;
    }
    if (from->frames % from->batch == 0)
        now = wait(now);
    from->ended = now;
    is_measured = from->frames++ >= counts_from;
    if (due > now)
        return XDP_DROP;
    if (is_measured)
        from->sent++;
    else
        from->uncounted++;
    then = is_measured ? due : 0;
    flow = next_flow + 1 < from->flows ? next_flow + 1 : 0;
    next_flow = flow;
    tenant = flow % from->tenants;
    port = bpf_htons(FIRST_PORT + (flow & ((1 << PORTS_BITS) - 1)));
    host = bpf_htons(flow >> PORTS_BITS);
    owner = from->from_outside ? bpf_htons(tenant) : 0;

    __builtin_memcpy(data, from->frame, outer + FRAME);
    stamp = (void *)(data + outer + STAMP_IN_FRAME);
    stamp->due[0] = bpf_htons(then >> 48);
    stamp->due[1] = bpf_htons(then >> 32);
    stamp->due[2] = bpf_htons(then >> 16);
    stamp->due[3] = bpf_htons(then);
    ip = (void *)(data + outer + IP_IN_FRAME);
    udp = (void *)(data + outer + UDP_IN_FRAME);
    udp[from->from_outside ? 1 : 0] = port;
    /* The low words of source and destination. */
    ip[from->from_outside ? 7 : 9] += host;
    ip[9] += owner;
    ip[5] = checksum_with(ip[5], (__u32)host + owner);
    sum = stamp->due[0] + stamp->due[1] + stamp->due[2] + stamp->due[3];
    udp[3] = checksum_with(udp[3], sum + port + host + owner);
    if (outer == NVGRE_HEADERS)
        *(__be32 *)(data + NVGRE_KEY) =
            bpf_htonl(bpf_ntohl(*(__be32 *)(data + NVGRE_KEY)) + ((tenant * VSIDS_OF_TENANT) << 8) + (flow & 0xff));
    if (outer == VXLAN_HEADERS)
        *(__be16 *)(data + VXLAN_OUTER_PORT) = bpf_htons(EPHEMERAL_PORTS + (flow & 0x3fff));
    due += from->gaps[bpf_get_prandom_u32() & (GAPS - 1)];
    return bpf_redirect(from->ifindex, 0);
}

SEC("xdp")
int latency_nvgre(struct xdp_md *ctx) {
    return send_frame(ctx, NVGRE_HEADERS);
}

SEC("xdp")
int latency_vxlan(struct xdp_md *ctx) {
    return send_frame(ctx, VXLAN_HEADERS);
}

SEC("xdp")
int latency_plain(struct xdp_md *ctx) {
    return send_frame(ctx, 0);
}

SEC("xdp")
int bench_sink(struct xdp_md *ctx) {
    __u8 *data = (void *)(long)ctx->data;
    struct latency_receiving *where;
    struct latency_stamp *stamp;
    struct latency_found *result;
    __u32 key = 0, offset;
    __u64 then, latency;

    where = bpf_map_lookup_elem(&receiving, &key);
    result = bpf_map_lookup_elem(&found, &key);
    if (!where || !result)
        return XDP_PASS;
    offset = where->stamp & 0x7f;
    stamp = (void *)(data + offset);
    if ((void *)(stamp + 1) > (void *)(long)ctx->data_end || stamp->magic != bpf_htonl(MAGIC))
        return XDP_PASS;
    then = (__u64)bpf_ntohs(stamp->due[0]) << 48 | (__u64)bpf_ntohs(stamp->due[1]) << 32 |
           (__u64)bpf_ntohs(stamp->due[2]) << 16 | bpf_ntohs(stamp->due[3]);
    if (!then)
        return XDP_DROP;
    latency = bpf_ktime_get_ns() - then;
    result->took[result->arrived++ & (SAMPLES - 1)] = latency < 0xffffffff ? latency : 0xffffffff;
    return XDP_DROP;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
