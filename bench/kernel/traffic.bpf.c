/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * One end of a packet-rate path: the machine at the far side of a cable.
 *
 * It sends: run by BPF_PROG_TEST_RUN on live frames, bench_nvgre, bench_vxlan and bench_plain make the next frame of
 * a round of flows and send it out by the end's NIC, so that it arrives at the other side of the cable in NAPI, where a
 * driver has its XDP hook. Pages come back as the path left them, so every header is written anew from a template. Flows
 * differ in a port and in the low word of an address, of the sender or of the receiver; a tunnel header shows the flow as
 * a real encapsulator's does, NVGRE in its FlowID (RFC 7637), VXLAN in its outer source port (RFC 7348).
 *
 * It receives: bench_sink counts and drops the datagrams that arrive with the expected address at the expected place,
 * and counts apart those that do not. On demand it keeps whole frames to be looked at. Everything else passes.
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/ip.h>
#include <linux/pkt_cls.h>
#include <linux/udp.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#define ETHERNET_IP_UDP (14 + 20 + 8)
#define NVGRE_HEADERS (14 + 20 + 8)
#define NVGRE_FLOW_ID (NVGRE_HEADERS - 1)
#define VXLAN_HEADERS (14 + 20 + 8 + 8)
#define VXLAN_OUTER_PORT (14 + 20)
#define EPHEMERAL_PORTS 49152
#define FIRST_PORT 1024
#define PORTS_BITS 15

#define SIZES 3
#define SEQUENCE 12
#define HEADERS 96
#define CAPTURED 64
#define CAPTURED_BYTES 2048 /* a power of two */

/* bench/traffic-end.ts writes these. */
struct bench_sending {
    __u32 ifindex;
    __u32 flows;
    __u32 from_outside;          /* 1: flows differ on the receiver's side */
    __u32 is_mixed;              /* 0: all frames are of the first size */
    __u32 spare_headroom;        /* bytes that frames begin behind the usual place */
    __u8 sequence[SEQUENCE + 4]; /* of sizes */
    __u32 cut[SIZES];            /* bytes that a frame of the size is shorter than the longest one */
    __u8 headers[SIZES][HEADERS];
};
struct bench_receiving {
    __u32 protocol; /* of the (outer) IP header */
    __u32 offset;   /* of the address in the frame */
    __be32 address;
    __u32 captures; /* how many frames are to be kept still */
};
struct bench_count {
    __u64 expected;
    __u64 other;
};
struct bench_frame {
    __u32 length;
    __u8 bytes[CAPTURED_BYTES];
};

#define BENCH_ARRAY(name_, type_, size_, value_)                                                             \
    struct {                                                                                                 \
        __uint(type, type_);                                                                                 \
        __uint(max_entries, size_);                                                                          \
        __type(key, __u32);                                                                                  \
        __type(value, struct value_);                                                                        \
    } name_ SEC(".maps")

BENCH_ARRAY(sending, BPF_MAP_TYPE_ARRAY, 1, bench_sending);
BENCH_ARRAY(receiving, BPF_MAP_TYPE_ARRAY, 1, bench_receiving);
BENCH_ARRAY(counts, BPF_MAP_TYPE_PERCPU_ARRAY, 1, bench_count);
BENCH_ARRAY(captured, BPF_MAP_TYPE_ARRAY, CAPTURED, bench_frame);

static __u32 next_flow = 0;
static __u32 next_size = 0;

/* One's complement sum, RFC 1624 equation 3: the template's checksum is that of 0 in what is added. */
static __always_inline __sum16 checksum_with(__sum16 check, __u32 added) {
    __u32 sum = (__u16)~check + added;

    sum = (sum & 0xffff) + (sum >> 16);
    sum = (sum & 0xffff) + (sum >> 16);
    return ~sum;
}

/* Writes the next frame, which has `outer` bytes of a tunnel's headers, and sends it. */
static __always_inline int send_frame(struct xdp_md *ctx, const __u32 outer) {
    __u32 key = 0, size = 0, flow, port, host;
    struct bench_sending *from;
    struct iphdr *ip;
    struct udphdr *udp;
    __u8 *data;

    from = bpf_map_lookup_elem(&sending, &key);
    if (!from)
        return XDP_ABORTED;
    if (from->spare_headroom && bpf_xdp_adjust_head(ctx, from->spare_headroom))
        return XDP_ABORTED;
    if (from->is_mixed) {
        size = next_size + 1 < SEQUENCE ? next_size + 1 : 0;
        next_size = size;
        size = from->sequence[size & 15];
        if (size >= SIZES || bpf_xdp_adjust_tail(ctx, -(int)from->cut[size]))
            return XDP_ABORTED;
    }
    data = (void *)(long)ctx->data;
    if (data + outer + ETHERNET_IP_UDP > (__u8 *)(long)ctx->data_end)
        return XDP_ABORTED;
    flow = next_flow + 1 < from->flows ? next_flow + 1 : 0;
    next_flow = flow;

    __builtin_memcpy(data, from->headers[size], outer + ETHERNET_IP_UDP);
    ip = (void *)(data + outer + sizeof(struct ethhdr));
    udp = (void *)(ip + 1);
    port = bpf_htons(FIRST_PORT + (flow & ((1 << PORTS_BITS) - 1)));
    host = bpf_htons(flow >> PORTS_BITS);
    if (from->from_outside) {
        udp->dest = port;
        *((__be16 *)&ip->saddr + 1) += host;
    } else {
        udp->source = port;
        *((__be16 *)&ip->daddr + 1) += host;
    }
    ip->check = checksum_with(ip->check, host);
    udp->check = checksum_with(udp->check, host + port);
    if (outer == NVGRE_HEADERS)
        data[NVGRE_FLOW_ID] = flow;
    if (outer == VXLAN_HEADERS)
        *(__be16 *)(data + VXLAN_OUTER_PORT) = bpf_htons(EPHEMERAL_PORTS + (flow & 0x3fff));
    return bpf_redirect(from->ifindex, 0);
}

SEC("xdp")
int bench_nvgre(struct xdp_md *ctx) {
    return send_frame(ctx, NVGRE_HEADERS);
}

SEC("xdp")
int bench_vxlan(struct xdp_md *ctx) {
    return send_frame(ctx, VXLAN_HEADERS);
}

SEC("xdp")
int bench_plain(struct xdp_md *ctx) {
    return send_frame(ctx, 0);
}

/* Counts a frame; what is expected, or NULL when the frame is none of the bench's. */
static __always_inline struct bench_receiving *count_frame(__u8 *data, __u8 *end) {
    struct ethhdr *eth = (void *)data;
    struct iphdr *ip = (void *)(eth + 1);
    struct bench_receiving *wanted;
    struct bench_count *count;
    __u32 key = 0, offset;

    wanted = bpf_map_lookup_elem(&receiving, &key);
    count = bpf_map_lookup_elem(&counts, &key);
    if (!wanted || !count || (void *)(ip + 1) > (void *)end)
        return 0;
    if (eth->h_proto != bpf_htons(ETH_P_IP) || ip->protocol != wanted->protocol)
        return 0;
    offset = wanted->offset & 0x7f;
    if (data + offset + 4 <= end && *(__be32 *)(data + offset) == wanted->address)
        count->expected++;
    else
        count->other++;
    return wanted;
}

/* Where the next frame that is to be kept goes. */
static __always_inline struct bench_frame *next_captured(struct bench_receiving *wanted, __u32 length) {
    __u32 slot = --wanted->captures;
    struct bench_frame *frame = bpf_map_lookup_elem(&captured, &slot);

    if (frame)
        frame->length = length;
    return frame;
}

/* The same number, by a bound that every verifier follows: frames are no longer. */
static __always_inline __u32 bounded(__u32 length) {
    asm volatile("" : "+r"(length));
    length &= CAPTURED_BYTES - 1;
    return length ? length : 1;
}

SEC("xdp")
int bench_sink(struct xdp_md *ctx) {
    struct bench_receiving *wanted = count_frame((void *)(long)ctx->data, (void *)(long)ctx->data_end);
    const __u32 length = ctx->data_end - ctx->data;
    struct bench_frame *frame;

    if (!wanted)
        return XDP_PASS;
    if (wanted->captures && (frame = next_captured(wanted, length)))
        bpf_xdp_load_bytes(ctx, 0, frame->bytes, bounded(length));
    return XDP_DROP;
}

/* At a VM's NIC, where frames may come in behind the driver (bpf_redirect_peer). */
SEC("tc")
int bench_tc_sink(struct __sk_buff *skb) {
    struct bench_receiving *wanted = count_frame((void *)(long)skb->data, (void *)(long)skb->data_end);
    __u32 length = skb->len;
    struct bench_frame *frame;

    if (!wanted)
        return TC_ACT_OK;
    if (wanted->captures && (frame = next_captured(wanted, length)))
        bpf_skb_load_bytes(skb, 0, frame->bytes, bounded(length));
    return TC_ACT_SHOT;
}

/* The contender that does nothing. */
struct {
    __uint(type, BPF_MAP_TYPE_DEVMAP);
    __uint(max_entries, 1);
    __uint(key_size, 4);
    __uint(value_size, 4);
} towards SEC(".maps");

SEC("xdp")
int bench_bare(struct xdp_md *ctx) {
    (void)ctx;
    return bpf_redirect_map(&towards, 0, 0);
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
