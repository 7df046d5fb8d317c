/**
 * How much of conversations took the fast path. Connection tracking has not seen these packets, and does not count them: the table
 * of flows does, each direction under what its packets have in their headers when they come in.
 */
import type { BpfMap } from '../linux/bpf-map.ts';
import { addressBytes, contains } from '../policy/address.ts';
import { decodeRecord, encodeFlowKey, encodeRecordKey, type Flow } from './layout.generated.ts';
import { translated, translation } from './nptv6.ts';

/** enum hnv_flow_side. */
const FROM = { provider: 1, uplink: 2 } as const;
/** Of `recent`: HNV_RECENT_SHIFT. */
const BYTES_BITS = 36n;
const BYTES_MASK = (1n << BYTES_BITS) - 1n;
const IPV4_IN_BYTES = 12;
const ADDRESS_BYTES = 16;
/** TCP and UDP: of what else is fast, flows do not know which conversation they are of. */
const COUNTED: ReadonlySet<number> = new Set([6, 17]);

/** What packets of one direction have in their headers. */
export interface FlowTuple {
  source: string;
  destination: string;
  sourcePort: number;
  destinationPort: number;
}

export interface FlowAmount {
  packets: number;
  /** From the IP header on. */
  bytes: number;
}

/** A routing domain, and where its packets come in. */
export interface FlowPlace {
  /** Handle of the domain. */
  domain: number;
  gatewayVsid: number;
  uplinkIfindex: number;
  /** Prefixes that have another one outside are translated in front of connection tracking. */
  prefixes: readonly { external: string; internal: string }[];
}

/** The key of a flow (struct hnv_flow_key). */
export function flowKey(
  { source, destination, ...ports }: FlowTuple,
  protocol: number,
  from: keyof typeof FROM,
  place: number,
): Uint8Array {
  const isV6 = source.includes(':');
  const bytes = (address: string): Uint8Array => addressBytes(address).subarray(isV6 ? 0 : IPV4_IN_BYTES);
  const addresses = Buffer.alloc(2 * ADDRESS_BYTES);
  addresses.set(Buffer.concat([bytes(source), bytes(destination)]));
  return encodeFlowKey({
    ...{ ...ports, protocol, place, vlan: 0, side: FROM[from], version: isV6 ? 6 : 4 },
    source: addresses.subarray(0, 4),
    destination: addresses.subarray(4, 8),
    moreAddresses: addresses.subarray(8),
  });
}

export interface FlowSources {
  /** What flows have the key (flow-table.ts). */
  flows: (key: Uint8Array) => readonly Flow[];
  /** The map `records`. */
  records: Pick<BpfMap, 'lookup'>;
}

export class FlowAmounts {
  readonly #sources: FlowSources;
  readonly #place: FlowPlace;

  constructor(sources: FlowSources, place: FlowPlace) {
    this.#sources = sources;
    this.#place = place;
  }

  /**
   * Of one direction of a conversation, which comes in from a tunnel or from the uplink; `started` is connection tracking's, in
   * milliseconds since 1970. Nothing of a conversation that had the same addresses before.
   */
  of(tuple: FlowTuple, protocol: number, started: number, isFromInside: boolean): FlowAmount {
    const sum = { packets: 0, bytes: 0 };
    if (!COUNTED.has(protocol)) return sum;
    const places = isFromInside
      ? this.#vsids(tuple.source).map((vsid) => flowKey(tuple, protocol, 'provider', vsid))
      : [flowKey(this.#onUplink(tuple), protocol, 'uplink', this.#place.uplinkIfindex)];
    for (const flow of places.flatMap((key) => this.#sources.flows(key))) {
      // As readSession() makes milliseconds of it.
      if (Number(flow.started) / 1e6 !== started) continue;
      sum.packets += Number(flow.packets + (flow.recent >> BYTES_BITS));
      sum.bytes += Number(flow.bytes + (flow.recent & BYTES_MASK));
    }
    return sum;
  }

  /** What a host may write into its frames: the VSID of the gateway, where they go, or its VM's. */
  #vsids(source: string): number[] {
    const { domain, gatewayVsid } = this.#place;
    const record = this.#sources.records.lookup(encodeRecordKey({ domain, address: addressBytes(source) }));
    const vsids = new Set([gatewayVsid]);
    if (record !== undefined) vsids.add(decodeRecord(record).vsid);
    return [...vsids];
  }

  /** The destination as it was outside. */
  #onUplink(tuple: FlowTuple): FlowTuple {
    const { destination } = tuple;
    const prefix = this.#place.prefixes.find(({ internal }) => contains(internal, destination));
    if (prefix === undefined || prefix.internal === prefix.external) return tuple;
    return { ...tuple, destination: translated(destination, translation(prefix.internal, prefix.external)) };
  }
}
