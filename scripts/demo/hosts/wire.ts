/** The tunnels between the hosts, decoded by tshark: each frame is checked against where the VMs really are. */
import type { Capture } from '../../../test/lab/capture.ts';
import type { TunnelFrame } from '../../../test/lab/tunnel-frame.ts';
import { columns, type Row } from '../table.ts';
import { expectedTtl, isRight, type PairPing } from './pairs.ts';
import type { PlacedVm } from './stage.ts';

/** RFC 7637 section 3.2: key present, nothing else, version 0; transparent Ethernet bridging. */
const GRE_FLAGS = 0x2000;
const GRE_PROTOCOL = 0x6558;

/** ARP; router and neighbour solicitations and advertisements, redirects. */
const RESOLUTION = 'arp || (icmpv6.type >= 133 && icmpv6.type <= 137)';

const EXAMPLE_HEADS = ['inner in outer', 'outer addresses', 'GRE', 'VSID', 'FlowID', 'inner addresses'];

/** A frame as its sender put it on the wire, and the VMs that its inner addresses are of. */
interface SentFrame {
  frame: TunnelFrame;
  from: PlacedVm | undefined;
  to: PlacedVm | undefined;
}

export interface TunnelReport {
  frames: SentFrame[];
  /** Messages of ARP and neighbour discovery in tunnels. */
  resolutions: number;
}

/**
 * Reads what captureTunnels recorded: each frame once, at the host that sent it. What VMs say to groups (multicast listener
 * reports) is left out.
 */
export async function readTunnels(
  captures: readonly Capture[],
  providerAddresses: readonly string[],
  vms: readonly PlacedVm[],
): Promise<TunnelReport> {
  const report: TunnelReport = { frames: [], resolutions: 0 };
  const owner = (address: string | undefined) =>
    vms.find(({ vm }) => address !== undefined && vm.addresses.includes(address));
  for (const [index, capture] of captures.entries()) {
    await capture.stop();
    const sent = (await capture.tunnels()).filter(
      ({ outer, inner }) => outer.source === providerAddresses[index] && !isGroup(inner.destinationMac),
    );
    for (const frame of sent)
      report.frames.push({ frame, from: owner(frame.inner.source), to: owner(frame.inner.destination) });
    report.resolutions += (await capture.tunnels(RESOLUTION)).length;
  }
  return report;
}

/** What must be so of the frames of pings between all pairs. */
export function wireRows({ frames, resolutions }: TunnelReport, providerAddresses: readonly string[]): Row[] {
  const row = (what: string, found: readonly SentFrame[], isSo: (sent: SentFrame) => boolean): Row => {
    const right = found.filter(isSo).length;
    const seen = `${right} of ${found.length} frames`;
    return { what, seen, ok: found.length > 0 && right === found.length };
  };
  const between = (isSame: boolean) =>
    frames.filter(({ from, to }) => (from?.subnet === to?.subnet) === isSame);
  const hasTtl = ({ frame, from, to }: SentFrame) =>
    from !== undefined && to !== undefined && frame.inner.ttl === expectedTtl({ from, to });
  const isForVm = ({ frame, to }: SentFrame) => frame.inner.destinationMac === to?.vm.spec.mac;
  return [
    row('On the wire: NVGRE (GRE 0x2000, 0x6558)', frames, isNvgre),
    row("On the wire: VSID is the destination's", frames, hasVsid),
    row('On the wire: straight to the right host', frames, ({ frame, from, to }) => {
      const [source, destination] = [from, to].map((vm) => providerAddresses[(vm?.host ?? 0) - 1]);
      return frame.outer.source === source && frame.outer.destination === destination;
    }),
    row('Same subnet: MACs and TTL untouched', between(true), (sent) => {
      return hasTtl(sent) && isForVm(sent) && sent.frame.inner.sourceMac === sent.from?.vm.spec.mac;
    }),
    row("Between subnets: TTL one less, the destination's MAC", between(false), (sent) => {
      return hasTtl(sent) && isForVm(sent);
    }),
    {
      what: 'No ARP, no neighbour discovery in a tunnel',
      seen: `${resolutions} messages`,
      ok: resolutions === 0,
    },
  ];
}

/** For each inner family: pairs that reached each other, and their frames. */
export function familyRows(outer: 4 | 6, pings: readonly PairPing[], report: TunnelReport): Row[] {
  return ([4, 6] as const).map((inner) => {
    const tried = pings.filter(({ family, from, to }) => family === inner && from.host !== to.host);
    const answered = tried.filter(isRight).length;
    const found = ofFamilies(report, inner, outer);
    const right = found.filter((sent) => isNvgre(sent) && hasVsid(sent)).length;
    return {
      what: `IPv${inner} in IPv${outer}`,
      seen: `${answered} of ${tried.length} pairs of VMs, ${right} of ${found.length} frames right`,
      ok: answered === tried.length && found.length >= 2 * answered && right === found.length,
    };
  });
}

/** One frame of each inner family that came from an hnvgw node, for a table with EXAMPLE_HEADS. */
export function examples(outer: 4 | 6, report: TunnelReport): string[][] {
  return ([4, 6] as const).flatMap((inner) => {
    const found = ofFamilies(report, inner, outer).find(({ from, to }) => from?.host === 1 && to?.host !== 1);
    if (found === undefined) return [];
    const { frame } = found;
    return [
      [
        `IPv${inner} in IPv${outer}`,
        `${frame.outer.source} > ${frame.outer.destination}`,
        `0x${frame.flags.toString(16)} 0x${frame.protocol.toString(16)}`,
        `${frame.vsid}`,
        `${frame.flowId}`,
        `${frame.inner.source} > ${frame.inner.destination}`,
      ],
    ];
  });
}

export function exampleTable(lines: readonly string[][]): string[] {
  return columns(EXAMPLE_HEADS, lines);
}

function isGroup(mac: string): boolean {
  return (Number.parseInt(mac.slice(0, 2), 16) & 1) === 1;
}

function ofFamilies({ frames }: TunnelReport, inner: 4 | 6, outer: 4 | 6): SentFrame[] {
  return frames.filter(({ frame }) => frame.inner.family === inner && frame.outer.family === outer);
}

function isNvgre({ frame }: SentFrame): boolean {
  return frame.flags === GRE_FLAGS && frame.protocol === GRE_PROTOCOL;
}

function hasVsid({ frame, to }: SentFrame): boolean {
  return frame.vsid === to?.vm.spec.vsid;
}
