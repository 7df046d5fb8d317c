/** Which addresses the data plane has seen at ports that learn: events as they come, and when an address was last heard of. */
import type { BpfMap } from '../linux/bpf-map.ts';
import { RingBufferReader } from '../linux/ring-buffer.ts';
import { addressBytes, addressFromBytes } from '../policy/address.ts';
import { decodeLearned, decodeSighting, encodeSightingKey } from './layout.generated.ts';

/** Which protocol showed it; numbers as enum hnv_evidence has them. */
const evidences = new Map<number, Evidence>([
  [1, 'arp'],
  [2, 'nd'],
  [3, 'dhcp'],
]);
export type Evidence = 'arp' | 'nd' | 'dhcp';

/** A VM has shown that an address is at its port. */
export interface LearnedAddress {
  /** Domain handle. */
  domain: number;
  vsid: number;
  /** Of the port; 0 in one of DHCP, which is seen where the server is and tells the client's MAC. */
  ifindex: number;
  evidence: Evidence;
  address: string;
  mac: string;
}

const macText = (bytes: Uint8Array): string =>
  Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join(':');

export class LearnedAddresses {
  readonly #reader: RingBufferReader;
  readonly #sightings: BpfMap;

  /** Begins to follow the ring buffer `learned`; `onLearned` gets what it has, in order. */
  constructor(ring: BpfMap, sightings: BpfMap, onLearned: (events: LearnedAddress[]) => void) {
    this.#sightings = sightings;
    this.#reader = new RingBufferReader(ring, (records) => {
      onLearned(records.flatMap(readEvent));
    });
  }

  /** When the domain's address was last heard of at a port of this node, CLOCK_MONOTONIC in nanoseconds. */
  lastSeen(domain: number, address: string): bigint | undefined {
    const value = this.#sightings.lookup(encodeSightingKey({ domain, address: addressBytes(address) }));
    return value === undefined ? undefined : decodeSighting(value).timeNs;
  }

  close(): Promise<void> {
    return this.#reader.close();
  }
}

function readEvent(record: Uint8Array): LearnedAddress[] {
  const { domain, vsid, ifindex, evidence: number, address, mac } = decodeLearned(record);
  const evidence = evidences.get(number);
  if (evidence === undefined) return [];
  return [{ domain, vsid, ifindex, evidence, address: addressFromBytes(address), mac: macText(mac) }];
}
