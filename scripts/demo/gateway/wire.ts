/** The tunnels as an independent decoder sees them: NVGRE between hosts and gateway, read by tshark. */
import { type Capture, keyParts } from '../../../test/lab/capture.ts';
import { GATEWAY_ADDRESS } from '../../../test/lab/topology.ts';
import { columns, type Row } from '../table.ts';
import type { DemoTenant } from './stage.ts';

/** RFC 7637 section 3.2: key present, nothing else, version 0; transparent Ethernet bridging. */
const GRE_FLAGS = '0x2000';
const GRE_PROTOCOL = '0x6558';

const FIELDS = [
  'ip.src',
  'ip.dst',
  'eth.src',
  'eth.dst',
  'gre.flags_and_version',
  'gre.proto',
  'gre.key',
  'tcp.srcport',
  'tcp.dstport',
] as const;

/** One frame between a host and the gateway. */
interface TunnelFrame {
  outer: string;
  inner: string;
  gre: string;
  vsid: number;
  flowId: number;
  fromGateway: boolean;
  /** By the inner MACs, which no two VMs share; not by the VSID, which is what is to be checked. */
  tenant: DemoTenant | undefined;
}

export interface WireReport {
  /** One decoded frame of each direction and tenant, as a table. */
  lines: string[];
  rows: Row[];
}

/** Decodes what the hosts recorded at their provider NICs, and checks every frame of it. */
export async function decodeTunnels(
  captures: readonly Capture[],
  tenants: readonly DemoTenant[],
): Promise<WireReport> {
  const decoded = await Promise.all(
    captures.map((capture) => capture.decode(`gre && ip.addr == ${GATEWAY_ADDRESS}`, FIELDS)),
  );
  const frames = decoded.flat().map((values) => readFrame(values, tenants));
  const rows: Row[] = [];
  const examples: string[][] = [];
  for (const tenant of tenants) {
    for (const fromGateway of [false, true]) {
      const direction = fromGateway ? 'from gateway' : 'to gateway';
      const vsid = fromGateway ? tenant.vsid : tenant.gatewayVsid;
      const found = frames.filter((frame) => frame.tenant === tenant && frame.fromGateway === fromGateway);
      const right = found.filter(
        (frame) => frame.vsid === vsid && frame.gre === `${GRE_FLAGS} ${GRE_PROTOCOL}`,
      );
      const [example] = found;
      if (example) examples.push([tenant.title, direction, ...describe(example)]);
      rows.push({
        what: `${tenant.title} ${direction}: NVGRE, VSID ${vsid}`,
        seen: `${right.length} of ${found.length} frames are`,
        ok: found.length > 0 && right.length === found.length,
      });
    }
  }
  rows.push(flowIdRow(frames));
  const heads = ['tenant', 'direction', 'outer addresses', 'GRE', 'VSID', 'FlowID', 'inner addresses'];
  return { lines: columns(heads, examples), rows };
}

/** Switches spread load by the key: a flow that changed its FlowID would be reordered. */
function flowIdRow(frames: readonly TunnelFrame[]): Row {
  const flows = new Map<string, Set<number>>();
  for (const frame of frames.filter(({ fromGateway }) => fromGateway)) {
    const flow = `${frame.vsid} ${frame.inner}`;
    flows.set(flow, (flows.get(flow) ?? new Set()).add(frame.flowId));
  }
  const steady = [...flows.values()].filter((ids) => ids.size === 1).length;
  const ids = new Set([...flows.values()].flatMap((flow) => [...flow]));
  return {
    what: 'A flow keeps its FlowID',
    seen: `${steady} of ${flows.size} flows do; they have ${ids.size} different ones`,
    ok: flows.size > 0 && steady === flows.size && ids.size > 1,
  };
}

function describe(frame: TunnelFrame): string[] {
  return [frame.outer, frame.gre, `${frame.vsid}`, `${frame.flowId}`, frame.inner];
}

function readFrame(values: readonly string[], tenants: readonly DemoTenant[]): TunnelFrame {
  // A field that is there outside and inside has two values, the outer one first.
  const pairs = values.map((value) => value.split(','));
  const [sources = [], targets = [], fromMacs = [], toMacs = [], flags = [], protocols = [], keys = []] =
    pairs;
  const [sourcePort, targetPort] = pairs.slice(7).map(([port]) => (port ? `:${port}` : ''));
  const fromGateway = sources[0] === GATEWAY_ADDRESS;
  const vmMac = fromGateway ? toMacs[1] : fromMacs[1];
  return {
    outer: `${sources[0]} > ${targets[0]}`,
    inner: `${sources[1]}${sourcePort} > ${targets[1]}${targetPort}`,
    gre: `${Number(flags[0]) === Number(GRE_FLAGS) ? GRE_FLAGS : flags[0]} ${protocols[0]}`,
    ...keyParts(keys[0] ?? ''),
    fromGateway,
    tenant: tenants.find(({ vms }) => vms.some(({ mac }) => mac === vmMac)),
  };
}
