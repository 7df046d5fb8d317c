/**
 * Learning: what ARP, neighbour discovery and DHCP show at ports that learn becomes lookup records of type `dynamic`, and
 * is forgotten when nothing is heard of it any more. The policy's own rules decide what may be written; a VM can make
 * this node write only so often and only so many records.
 */
import type { Logger } from 'pino';
import type { LearningCounts } from '../api/operations.ts';
import type { LearnedAddress } from '../encap/learned-addresses.ts';
import { HnvError } from '../errors.ts';
import { contains, firstUsable, isUnicastMac } from '../policy/address.ts';
import { learnedContext } from '../policy/compile/record-index.ts';
import type { LookupRecord } from '../policy/resources.ts';
import { routerMac } from '../policy/router.ts';
import { hostAddressProblem } from '../policy/rules/subnet-address.ts';
import type { DomainState } from '../policy/state.ts';
import type { Store } from '../store/store.ts';
import { probeFrame } from './neighbour-frames.ts';
import type { JoinedPort } from './ports.ts';
import { RateLimit } from './rate-limit.ts';

/** Changes a second that one port may cause, and how many at once. */
const CHANGES_PER_SECOND = 20;
const TICKS_PER_AGE = 4;
const SHORTEST_TICK_MS = 250;
/** How often a silent VM is asked before its address is forgotten. */
const PROBES = 2;

/** A record that was learned here or is forgotten here, for the other nodes. */
export interface LearnedRecord {
  rdid: string;
  id: string;
  /** This node's provider address that the record has or had. */
  providerAddress: string;
}

export interface LearningParts {
  readonly store: Store;
  readonly log: Logger;
  /** The port that the event is about. */
  readonly portOf: (event: LearnedAddress) => JoinedPort | undefined;
  /** Sends a frame to the VM behind an interface. */
  readonly send: (interfaceName: string, frame: Uint8Array) => void;
  /** CLOCK_MONOTONIC, nanoseconds; undefined when nothing was heard. */
  readonly lastSeen: (domain: number, address: string) => bigint | undefined;
  readonly addressesPerPort: number;
  readonly ageSeconds: number;
  /** Called when the store has it. */
  readonly onChange: (record: LearnedRecord) => void;
}

/** Id of the record of a learned address. */
export function learnedId(address: string): string {
  return `dynamic-${address.replaceAll(':', '-')}`;
}

/** Silent addresses that are being asked for, by RDID and id: when they were last heard of, and how often since. */
type Asked = Map<string, { seen: bigint; times: number }>;

export class Learning {
  /** What came of the events since the start. */
  readonly counts: LearningCounts = { learned: 0, refused: 0, overLimit: 0, overRate: 0, aged: 0 };
  readonly #parts: LearningParts;
  readonly #rate = new RateLimit(CHANGES_PER_SECOND);
  /** Ports of which it was said that they have as many addresses as there may be. */
  readonly #full = new Set<string>();
  /** Records that are being written, as text, by RDID and id. */
  readonly #underWay = new Map<string, string>();
  #asked: Asked = new Map();
  /** What this process has not heard of counts as seen when it began. */
  readonly #began = process.hrtime.bigint();
  readonly #timer: NodeJS.Timeout;

  constructor(parts: LearningParts) {
    this.#parts = parts;
    const tick = Math.max((parts.ageSeconds * 1_000) / TICKS_PER_AGE, SHORTEST_TICK_MS);
    this.#timer = setInterval(() => this.forgetOld(), tick);
  }

  /** Takes up what the data plane has seen. */
  take(events: readonly LearnedAddress[]): void {
    for (const event of events) this.#takeOne(event);
  }

  /**
   * Deletes the records of this node that nothing was heard of for too long, or whose port does not learn any more. Those
   * that nothing was heard of for half of that are asked.
   */
  forgetOld(): void {
    const asked: Asked = new Map();
    for (const domain of this.#parts.store.state.domains.values()) this.#forgetOf(domain, asked);
    this.#asked = asked;
  }

  /** Deletes the domain's records of ports that have gone or do not learn any more. */
  forgetPortless(rdid: string): void {
    const domain = this.#parts.store.state.domains.get(rdid);
    if (domain !== undefined) this.#forgetOf(domain);
  }

  /** Every record of this node that was learned. */
  *own(): Generator<LearnedRecord> {
    for (const [rdid, domain] of this.#parts.store.state.domains)
      for (const [id, record] of domain.lookupRecords)
        if (this.#isOwn(record)) yield { rdid, id, providerAddress: record.providerAddress };
  }

  close(): void {
    clearInterval(this.#timer);
  }

  #takeOne(event: LearnedAddress): void {
    const { store, log, portOf } = this.#parts;
    const port = portOf(event);
    const domain = store.state.domains.get(port?.rdid ?? '');
    if (port === undefined || domain === undefined || !port.plan.learns) return;
    const name = port.plan.interface;
    const record: LookupRecord = {
      customerAddress: event.address,
      virtualSubnetId: event.vsid,
      macAddress: event.mac,
      providerAddress: port.plan.providerAddress,
      type: 'dynamic',
      context: learnedContext(name),
    };
    const id = domain.recordByAddress.get(event.address) ?? learnedId(event.address);
    const before = domain.lookupRecords.get(id);
    const known = this.#underWay.get(`${port.rdid} ${id}`) ?? (before && textOf(before));
    if (known === textOf(record)) return;
    const refusal = this.#refusal(domain, event, name, before);
    if (refusal === undefined) {
      void this.#write(port.rdid, id, record);
      return;
    }
    const [count, why] = refusal;
    this.counts[count]++;
    const { address, mac } = event;
    const fields = { rdid: port.rdid, interface: name, address, mac };
    if (count === 'overLimit' && !this.#full.has(name)) {
      this.#full.add(name);
      log.warn(fields, `not learned: ${why}`);
    } else {
      log.debug(fields, `not learned: ${why}`);
    }
  }

  /** Why the port may not have the address, and as what that counts. */
  #refusal(
    domain: DomainState,
    event: LearnedAddress,
    interfaceName: string,
    before: LookupRecord | undefined,
  ): [count: 'refused' | 'overRate' | 'overLimit', why: string] | undefined {
    const obstacle = this.#obstacle(domain, event, interfaceName, before);
    if (obstacle !== undefined) return ['refused', obstacle];
    if (!this.#rate.take(interfaceName)) return ['overRate', 'the port changes too often'];
    const isHere =
      before !== undefined && this.#isOwn(before) && before.context === learnedContext(interfaceName);
    const { addressesPerPort } = this.#parts;
    if (isHere || this.#countOf(domain, interfaceName) < addressesPerPort) return undefined;
    return ['overLimit', `the port has ${addressesPerPort} learned addresses`];
  }

  /** What the policy says already: such events cost a port nothing of its rate. */
  #obstacle(
    domain: DomainState,
    { vsid, address, mac }: LearnedAddress,
    interfaceName: string,
    before: LookupRecord | undefined,
  ): string | undefined {
    if (before !== undefined && before.type !== 'dynamic') return 'a record that was not learned has it';
    if (!isUnicastMac(mac) || mac === routerMac) return 'no VM can have the MAC address';
    const prefixes = domain.virtualSubnets.get(vsid)?.addressPrefixes ?? [];
    const problem = hostAddressProblem(prefixes, address);
    if (problem !== undefined) return `the address ${problem.why}`;
    const { ports, portsByVsid } = this.#parts.store.state;
    for (const name of portsByVsid.get(vsid) ?? []) {
      const other = ports.get(name);
      if (name === interfaceName || other === undefined) continue;
      if (other.customerAddresses.includes(address)) return `it is an address of port ${name}`;
      if (other.macAddress === mac) return `the MAC address is that of port ${name}`;
    }
    return undefined;
  }

  async #write(rdid: string, id: string, record: LookupRecord): Promise<void> {
    const { store, log, onChange } = this.#parts;
    const key = `${rdid} ${id}`;
    const text = textOf(record);
    this.#underWay.set(key, text);
    try {
      await store.put({ kind: 'lookupRecord', rdid, id }, record);
      this.counts.learned++;
      log.debug({ rdid, id, mac: record.macAddress }, 'learned');
      onChange({ rdid, id, providerAddress: record.providerAddress });
    } catch (error) {
      this.#explain(error, (why) => {
        this.counts.refused++;
        log.debug({ rdid, id }, `not learned: ${why}`);
      });
    } finally {
      if (this.#underWay.get(key) === text) this.#underWay.delete(key);
    }
  }

  /** With `asked` those too that do not answer; who is asked now is noted there. */
  #forgetOf(domain: DomainState, asked?: Asked): void {
    const now = process.hrtime.bigint();
    const age = BigInt(this.#parts.ageSeconds) * 1_000_000_000n;
    const l2only = new Set<string>();
    const own: [id: string, record: LookupRecord][] = [];
    for (const [id, record] of domain.lookupRecords) {
      if (record.type === 'l2only') l2only.add(`${record.virtualSubnetId} ${record.macAddress}`);
      else if (this.#isOwn(record)) own.push([id, record]);
    }
    for (const [id, record] of own) {
      if (!this.#learns(record, l2only)) {
        void this.#forget(domain.rdid, id, record);
        continue;
      }
      if (asked === undefined) continue;
      const seen = this.#seen(domain, record);
      if (now - seen <= age / 2n) continue;
      const key = `${domain.rdid} ${id}`;
      const last = this.#asked.get(key);
      const times = last?.seen === seen ? last.times : 0;
      if (now - seen > age && times >= PROBES) {
        void this.#forget(domain.rdid, id, record);
      } else {
        asked.set(key, { seen, times: times + 1 });
        this.#probe(domain, record);
      }
    }
  }

  /** Asks a silent VM, as the distributed router, whether it is there: what it answers counts as heard. */
  #probe(domain: DomainState, record: LookupRecord): void {
    const { customerAddress: address, macAddress: mac } = record;
    const prefixes = domain.virtualSubnets.get(record.virtualSubnetId)?.addressPrefixes ?? [];
    const prefix = prefixes.find((candidate) => contains(candidate, address));
    if (prefix === undefined) return;
    const asker = { address: firstUsable(prefix), mac: routerMac };
    this.#parts.send(portName(record), probeFrame(asker, { address, mac }));
  }

  async #forget(rdid: string, id: string, record: LookupRecord): Promise<void> {
    const { store, log, onChange } = this.#parts;
    const key = { kind: 'lookupRecord', rdid, id } as const;
    const stored = store.get(key);
    if (stored === undefined || this.#underWay.has(`${rdid} ${id}`)) return;
    try {
      await store.delete(key, { ifRevision: stored.revision });
      this.counts.aged++;
      log.debug({ rdid, id }, 'forgotten');
      onChange({ rdid, id, providerAddress: record.providerAddress });
    } catch (error) {
      // Somebody else has deleted or changed it meanwhile, and then it is theirs.
      this.#explain(error, (why) => log.debug({ rdid, id }, `not forgotten: ${why}`));
    }
  }

  /** A refusal of the store is what it says; a failure is logged. */
  #explain(error: unknown, refused: (why: string) => void): void {
    if (error instanceof HnvError && error.status < 500) refused(error.message);
    else this.#parts.log.error({ err: error }, 'cannot write what was learned');
  }

  #seen(domain: DomainState, record: LookupRecord): bigint {
    const heard = this.#parts.lastSeen(domain.handle, record.customerAddress) ?? 0n;
    return heard > this.#began ? heard : this.#began;
  }

  /** Whether the record was learned at a port of this node. */
  #isOwn(record: LookupRecord): boolean {
    return (
      record.type === 'dynamic' &&
      record.context?.startsWith(learnedContext('')) === true &&
      this.#parts.store.state.providerAddresses.has(record.providerAddress)
    );
  }

  /** Whether the port that the record was learned at is still there and learns. */
  #learns(record: LookupRecord, l2only: ReadonlySet<string>): boolean {
    const port = this.#parts.store.state.ports.get(portName(record));
    if (port === undefined || port.virtualSubnetId !== record.virtualSubnetId) return false;
    return port.learn === true || l2only.has(`${port.virtualSubnetId} ${port.macAddress}`);
  }

  /** Addresses that are learned at the port, those that are being written included. */
  #countOf(domain: DomainState, interfaceName: string): number {
    const context = learnedContext(interfaceName);
    const ids = new Set<string>();
    for (const [id, record] of domain.lookupRecords)
      if (record.context === context && this.#isOwn(record)) ids.add(id);
    for (const [key, text] of this.#underWay)
      if (key.startsWith(`${domain.rdid} `) && text.endsWith(` ${context}`))
        ids.add(key.slice(domain.rdid.length + 1));
    return ids.size;
  }
}

/** The interface of the port that a record was learned at. */
function portName(record: LookupRecord): string {
  return record.context?.slice(learnedContext('').length) ?? '';
}

/** What a learned record says, comparable by ===. */
function textOf({ virtualSubnetId, macAddress, providerAddress, type, context }: LookupRecord): string {
  return `${type} ${virtualSubnetId} ${macAddress} ${providerAddress} ${context}`;
}
