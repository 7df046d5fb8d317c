/**
 * How much of conversations took the fast path. Connection tracking has not seen these packets, and does not count them: the table
 * of flows does, each direction under what its packets have in their headers when they come in.
 */
import type { BpfMap } from '../linux/bpf-map.ts';
import { addressBytes, contains } from '../policy/address.ts';
import {
  decodeFlow,
  decodeRecord,
  encodeFlow4Key,
  encodeFlow6Key,
  encodeRecordKey,
} from './layout.generated.ts';
import { translated, translation } from './nptv6.ts';

/** enum hnv_flow_side. */
const FROM = { provider: 1, uplink: 2 } as const;
/** Of `recent`: HNV_RECENT_SHIFT. */
const BYTES_BITS = 36n;
const BYTES_MASK = (1n << BYTES_BITS) - 1n;
const IPV4_IN_BYTES = 12;
/** Of the protocols, those that may be fast: TCP and UDP. */
const FAST: ReadonlySet<number> = new Set([6, 17]);

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

/** The key of a flow, of `flows4` when its addresses are IPv4's, else of `flows6`. */
export function flowKey(
  { source, destination, ...ports }: FlowTuple,
  protocol: number,
  from: keyof typeof FROM,
  place: number,
): { map: 'flows4' | 'flows6'; key: Uint8Array } {
  const rest = { ...ports, protocol, place, vlan: 0, side: FROM[from], pad: 0 };
  const [sourceBytes, destinationBytes] = [addressBytes(source), addressBytes(destination)];
  if (source.includes(':'))
    return {
      map: 'flows6',
      key: encodeFlow6Key({ ...rest, source: sourceBytes, destination: destinationBytes }),
    };
  const number = (bytes: Uint8Array): number => Buffer.from(bytes).readUInt32BE(IPV4_IN_BYTES);
  return {
    map: 'flows4',
    key: encodeFlow4Key({ ...rest, source: number(sourceBytes), destination: number(destinationBytes) }),
  };
}

export class FlowAmounts {
  readonly #map: (name: 'flows4' | 'flows6' | 'records') => BpfMap;
  readonly #place: FlowPlace;

  constructor(map: (name: string) => BpfMap, place: FlowPlace) {
    this.#map = map;
    this.#place = place;
  }

  /**
   * Of one direction of a conversation, which comes in from a tunnel or from the uplink; `started` is connection tracking's, in
   * milliseconds since 1970. Nothing of a conversation that had the same addresses before. At most three system calls.
   */
  of(tuple: FlowTuple, protocol: number, started: number, isFromInside: boolean): FlowAmount {
    const sum = { packets: 0, bytes: 0 };
    if (!FAST.has(protocol)) return sum;
    const places = isFromInside
      ? this.#vsids(tuple.source).map((vsid) => flowKey(tuple, protocol, 'provider', vsid))
      : [flowKey(this.#onUplink(tuple), protocol, 'uplink', this.#place.uplinkIfindex)];
    for (const { map, key } of places) {
      const value = this.#map(map).lookup(key);
      if (value === undefined) continue;
      const flow = decodeFlow(value);
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
    const record = this.#map('records').lookup(encodeRecordKey({ domain, address: addressBytes(source) }));
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
