/** Looks into the pinned maps of a running node, without the node: when is a record in the kernel, and how many are. */
import { readdirSync } from 'node:fs';
import {
  decodeRecord,
  decodeSubnet,
  encodeRecordKey,
  encodeSubnetKey,
} from '../src/encap/layout.generated.ts';
import { BpfMap } from '../src/linux/bpf-map.ts';
import { addressBytes, macBytes } from '../src/policy/address.ts';
import { pinDirectory } from '../test/lab/gateway-remains.ts';
import { type BenchDomain, vmAddress } from './control-plane-policy.ts';

/** Milliseconds between two looks: what a time is too long by at most. */
const PAUSE_MS = 0.2;
const TIMEOUT_MS = 30_000;

export class KernelRecords {
  readonly #records: BpfMap;
  readonly #subnets: BpfMap;
  readonly #pause = new Int32Array(new SharedArrayBuffer(4));

  constructor(instance: string) {
    const [generation] = readdirSync(pinDirectory(instance));
    const open = (name: string): BpfMap => {
      const map = BpfMap.openPinned(`${pinDirectory(instance)}/${generation}/maps/${name}`);
      if (map === undefined) throw new Error(`there is no map ${name}`);
      return map;
    };
    this.#records = open('records');
    this.#subnets = open('subnets');
  }

  /** How many records there are, of all domains. */
  count(): number {
    return this.#records.entries().length;
  }

  /** The key of a domain's record. The number of the domain is found by its VSID. */
  key(domain: BenchDomain, record: number): Uint8Array {
    const subnet = this.#subnets.lookup(encodeSubnetKey({ vsid: domain.vsid }));
    if (subnet === undefined) throw new Error(`the kernel does not know VSID ${domain.vsid}`);
    return encodeRecordKey({ domain: decodeSubnet(subnet).domain, address: addressBytes(vmAddress(record)) });
  }

  /** Resolves with the time (performance.now()) at which the record had that MAC address. */
  async has(key: Uint8Array, mac: string): Promise<number> {
    const want = Buffer.from(macBytes(mac));
    const end = performance.now() + TIMEOUT_MS;
    for (;;) {
      const value = this.#records.lookup(key);
      const now = performance.now();
      if (value !== undefined && want.equals(decodeRecord(value).mac)) return now;
      if (now > end) throw new Error(`the record did not get ${mac} in ${TIMEOUT_MS} ms`);
      // Lets our own sockets work, and then leaves the core to others for a moment.
      await new Promise(setImmediate);
      Atomics.wait(this.#pause, 0, 0, PAUSE_MS);
    }
  }

  close(): void {
    this.#records.close();
    this.#subnets.close();
  }
}
