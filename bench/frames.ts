/**
 * Template frames for the generator, built from the RFCs without the product's code: one inner frame of 60 bytes
 * (Ethernet, IPv4, UDP, 18 bytes), alone as a VM sends it, in NVGRE (RFC 7637) and in VXLAN (RFC 7348). The inner UDP
 * checksum is that of source port 0; kernel/generator.bpf.c completes it for each flow.
 */
import { checksum } from '../test/lab/nvgre-frame.ts';
import {
  FLOWS,
  GATEWAY,
  GATEWAY_PROVIDER_ADDRESS,
  HOST_PROVIDER_ADDRESS,
  INTERNET_ADDRESS,
  VM,
} from './bench-tenant.ts';

export type Tunnel = 'nvgre' | 'vxlan';

/** From whom an inner frame is, and for whom. */
export interface Inner {
  source: { mac: string; address: string };
  destination: { mac: string; address: string };
}

/** VNI of the comparison's VXLAN. */
export const VNI = VM.vsid;
export const VXLAN_PORT = 4789;

const PAYLOAD = 18;
/** RFC 863. */
const DISCARD_PORT = 9;
const PROTOCOL = { udp: 17, gre: 47 } as const;
const DONT_FRAGMENT = 0x4000;
/** struct bench_template of kernel/generator.bpf.c. */
const TEMPLATE_SIZE = 132;
const TEMPLATE_FRAME = 4;
/** struct xdp_md of Linux: six words; the program's `data_end` and `ingress_ifindex` are the second and the fourth. */
const XDP_MD_SIZE = 24;
const XDP_MD_DATA_END = 4;
const XDP_MD_INGRESS_IFINDEX = 12;

const bytesOfMac = (mac: string): Buffer => Buffer.from(mac.replaceAll(':', ''), 'hex');
const bytesOfAddress = (address: string): Buffer => Buffer.from(address.split('.').map(Number));
const words = (...values: number[]): Buffer => {
  const bytes = Buffer.alloc(values.length * 2);
  values.forEach((value, index) => {
    bytes.writeUInt16BE(value, index * 2);
  });
  return bytes;
};

function ethernet(destination: string, source: string, payload: Buffer): Buffer {
  return Buffer.concat([bytesOfMac(destination), bytesOfMac(source), words(0x0800), payload]);
}

function ipv4(source: string, destination: string, protocol: number, payload: Buffer): Buffer {
  const header = Buffer.concat([
    words(0x4500, 20 + payload.length, 0, DONT_FRAGMENT, (64 << 8) | protocol, 0),
    bytesOfAddress(source),
    bytesOfAddress(destination),
  ]);
  header.writeUInt16BE(checksum(header), 10);
  return Buffer.concat([header, payload]);
}

/** The frame without a tunnel, as it comes in at a VM's port. */
export function plainFrame({ source, destination }: Inner): Buffer {
  const length = 8 + PAYLOAD;
  const pseudoHeader = Buffer.concat([
    bytesOfAddress(source.address),
    bytesOfAddress(destination.address),
    words(PROTOCOL.udp, length),
  ]);
  const udp = Buffer.concat([words(0, DISCARD_PORT, length, 0), Buffer.alloc(PAYLOAD, 0x2e)]);
  udp.writeUInt16BE(checksum(Buffer.concat([pseudoHeader, udp])), 6);
  const packet = ipv4(source.address, destination.address, PROTOCOL.udp, udp);
  return ethernet(destination.mac, source.mac, packet);
}

/**
 * A frame from the tenant's VM to the internet as it arrives at the gateway's provider NIC; MACs are those of the NIC
 * and of the inner destination.
 */
export function tunnelFrame(tunnel: Tunnel, macs: { nic: string; inner: string }): Buffer {
  const inner = plainFrame({ source: VM, destination: { mac: macs.inner, address: INTERNET_ADDRESS } });
  const tunnelled =
    tunnel === 'nvgre'
      ? Buffer.concat([words(0x2000, 0x6558, GATEWAY.vsid >> 8, (GATEWAY.vsid & 0xff) << 8), inner])
      : Buffer.concat([
          words(0, VXLAN_PORT, 8 + 8 + inner.length, 0), // RFC 7348 section 5: the checksum should be zero
          words(0x0800, 0, VNI >> 8, (VNI & 0xff) << 8),
          inner,
        ]);
  const protocol = tunnel === 'nvgre' ? PROTOCOL.gre : PROTOCOL.udp;
  const outer = ipv4(HOST_PROVIDER_ADDRESS, GATEWAY_PROVIDER_ADDRESS, protocol, tunnelled);
  return ethernet(macs.nic, '02:00:c0:a8:01:0a', outer);
}

/** The value of the generator's map `template`. */
export function encodeTemplate(frame: Uint8Array): Uint8Array {
  const bytes = Buffer.alloc(TEMPLATE_SIZE);
  bytes.writeUInt32LE(FLOWS);
  bytes.set(frame, TEMPLATE_FRAME);
  return bytes;
}

/** The context of a test run whose packets come in on an interface of the calling thread's namespace. */
export function encodeXdpContext(frameLength: number, ingressIfindex: number): Uint8Array {
  const bytes = Buffer.alloc(XDP_MD_SIZE);
  bytes.writeUInt32LE(frameLength, XDP_MD_DATA_END);
  bytes.writeUInt32LE(ingressIfindex, XDP_MD_INGRESS_IFINDEX);
  return bytes;
}
