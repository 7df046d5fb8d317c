/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * The traffic generator: run by BPF_PROG_TEST_RUN on live frames, each run makes the next frame of a round of
 * flows and passes it to the stack, as if the NIC had received it. Pages come back as the stack left them, so
 * every frame is written anew from the template. Flows differ in the inner UDP source port; a tunnel header
 * shows the flow as a real encapsulator's does, NVGRE in its FlowID (RFC 7637), VXLAN in its outer source
 * port (RFC 7348). Plain frames are what a VM sends.
 */
#include <linux/bpf.h>
#include <linux/udp.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#define PLAIN_LENGTH 60 /* Ethernet, IPv4, UDP, 18 bytes */
#define PLAIN_UDP 34
#define NVGRE_LENGTH 102 /* Ethernet, IPv4, GRE with key: 42; inner frame: 60 */
#define NVGRE_FLOW_ID 41
#define NVGRE_INNER_UDP 76
#define VXLAN_LENGTH 110 /* Ethernet, IPv4, UDP, VXLAN: 50; inner frame: 60 */
#define VXLAN_OUTER_UDP 34
#define VXLAN_INNER_UDP 84
#define EPHEMERAL_PORTS 49152

struct bench_template {
    __u32 flows;
    __u8 frame[128];
};

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, struct bench_template);
} template SEC(".maps");

static __u32 frames = 0;

/* One's complement sum, RFC 1624 equation 3: the template's checksum is that of source port 0. */
static __always_inline __be16 checksum_with(__be16 check, __be16 port) {
    __u32 sum = (__u16)~check + port;

    sum = (sum & 0xffff) + (sum >> 16);
    return ~sum;
}

/* Writes the next frame of `length` bytes; its flow's number, or -1 when there is no room. */
static __always_inline int next_frame(struct xdp_md *ctx, const __u32 length, const __u32 inner_udp) {
    void *data = (void *)(long)ctx->data;
    struct bench_template *from;
    struct udphdr *udp;
    __u32 key = 0, flow;

    from = bpf_map_lookup_elem(&template, &key);
    if (!from || data + length > (void *)(long)ctx->data_end || !from->flows)
        return -1;
    flow = frames++ % from->flows;
    __builtin_memcpy(data, from->frame, length);
    udp = data + inner_udp;
    udp->source = bpf_htons(1024 + flow);
    udp->check = checksum_with(udp->check, udp->source);
    return flow;
}

SEC("xdp")
int bench_nvgre(struct xdp_md *ctx) {
    int flow = next_frame(ctx, NVGRE_LENGTH, NVGRE_INNER_UDP);
    __u8 *flow_id = (void *)(long)ctx->data + NVGRE_FLOW_ID;

    if (flow < 0 || (void *)(flow_id + 1) > (void *)(long)ctx->data_end)
        return XDP_ABORTED;
    *flow_id = flow;
    return XDP_PASS;
}

SEC("xdp")
int bench_vxlan(struct xdp_md *ctx) {
    int flow = next_frame(ctx, VXLAN_LENGTH, VXLAN_INNER_UDP);
    struct udphdr *outer = (void *)(long)ctx->data + VXLAN_OUTER_UDP;

    if (flow < 0 || (void *)(outer + 1) > (void *)(long)ctx->data_end)
        return XDP_ABORTED;
    outer->source = bpf_htons(EPHEMERAL_PORTS + flow);
    return XDP_PASS;
}

SEC("xdp")
int bench_plain(struct xdp_md *ctx) {
    return next_frame(ctx, PLAIN_LENGTH, PLAIN_UDP) < 0 ? XDP_ABORTED : XDP_PASS;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
