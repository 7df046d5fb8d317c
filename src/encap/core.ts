/**
 * The encap core in the kernel: loads the programs, or adopts the ones that an earlier process left pinned, and attaches
 * them. Nothing here is needed for a packet once it is attached; closing leaves everything running.
 *
 * Pins: /sys/fs/bpf/hnvgw/<instance>/<generation>/{maps,programs}/<name>. The generation names the layout of the maps
 * and their sizes, so a process with another layout or other sizes builds its tables beside the old ones, fills them, and
 * then replaces the programs, each atomically; discardOtherGenerations() ends the change.
 */
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { HnvError } from '../errors.ts';
import { BpfMap, possibleCpus } from '../linux/bpf-map.ts';
import { BpfObject, BpfProgram } from '../linux/bpf-object.ts';
import { pinObject } from '../linux/bpf-program.ts';
import { ensureBpffs } from '../linux/bpffs.ts';
import { attachClsact, attachedClsact, detachClsact } from '../linux/clsact.ts';
import { bpfError } from '../linux/libbpf.ts';
import { attachedTc, attachTc, detachTc } from '../linux/tc.ts';
import { testRun } from '../linux/test-run.ts';
import { attachedXdp, attachXdp, detachXdp, strangerOnXdp } from '../linux/xdp.ts';
import { flowTableSizes, layFlowTable } from './flow-table.ts';
import { layoutVersion } from './layout.generated.ts';

/** Of one source: `slow` is without the fast path, for kernels that do not have what that needs. */
const OBJECTS = {
  fast: fileURLToPath(new URL('../../dist/bpf/hnvgw.bpf.o', import.meta.url)),
  slow: fileURLToPath(new URL('../../dist/bpf/hnvgw-slow.bpf.o', import.meta.url)),
} as const;
/** First part of every program's name: by it they are known among the programs of others on an interface. */
export const OWNER = 'hnv';
const PINS = '/sys/fs/bpf/hnvgw';

/** How many of each the maps have room for. */
export interface Capacity {
  routingDomains: number;
  lookupRecords: number;
  customerRoutes: number;
  externalAddresses: number;
  siteConnections: number;
  ports: number;
  /** Directions of conversations that may take the fast path at a time; of IPv6 a quarter as many beside. */
  fastFlows: number;
}

/** Virtual subnets and provider addresses of hosts that a domain has on average when the node is full. */
const SUBNETS_PER_DOMAIN = 8;
const SOURCES_PER_DOMAIN = 64;
const NODE_INTERFACES = 256;
/** Aligned blocks of ports that a shared address has for each domain, on average when the node is full. */
const BLOCKS_PER_ADDRESS = 4;
/** Addresses of its peer that a site connection may have. */
const PEERS_PER_CONNECTION = 8;
/** What a domain has on its network without NAT, on average when the node is full: MACs and groups, addresses, prefixes. */
const STATIONS_PER_DOMAIN = 4;
const ADDRESSES_PER_SEGMENT = 8;
const PREFIXES_PER_SEGMENT = 8;
/** Learned MACs and addresses that a port has on average when the node is full. */
const ADDRESSES_PER_PORT = 16;

function mapSizes(capacity: Capacity): Record<string, number> {
  const { routingDomains: domains, ports } = capacity;
  const flowTable = flowTableSizes(capacity.fastFlows);
  return {
    providers: NODE_INTERFACES,
    uplinks: NODE_INTERFACES,
    vlans: 2 * NODE_INTERFACES,
    subnets: domains * SUBNETS_PER_DOMAIN,
    sources: domains * SOURCES_PER_DOMAIN,
    ports_by_mac: 2 * domains + ports * ADDRESSES_PER_PORT,
    ports_by_link: domains + ports,
    port_macs: domains + ports * ADDRESSES_PER_PORT,
    port_addresses: ports * ADDRESSES_PER_PORT + capacity.externalAddresses,
    members: ports,
    sightings: ports * ADDRESSES_PER_PORT,
    routers: domains * SUBNETS_PER_DOMAIN * 2,
    stations: capacity.lookupRecords + ports,
    external_ports: domains,
    records: capacity.lookupRecords,
    wildcards: capacity.lookupRecords,
    routes: capacity.customerRoutes + domains * SUBNETS_PER_DOMAIN,
    externals: capacity.externalAddresses,
    external_ranges: capacity.externalAddresses * BLOCKS_PER_ADDRESS,
    shared_addresses: capacity.externalAddresses,
    peers: capacity.siteConnections * PEERS_PER_CONNECTION,
    translations: capacity.externalAddresses,
    segments: domains * STATIONS_PER_DOMAIN,
    segment_addresses: domains * ADDRESSES_PER_SEGMENT,
    segment_ports: domains,
    forwarded: capacity.customerRoutes + domains * PREFIXES_PER_SEGMENT,
    flows: flowTable.cpus * flowTable.entries,
    flow_sets: flowTable.cpus * flowTable.sets,
    fast_links: NODE_INTERFACES,
    fast_domains: domains + 1,
    spread_cpus: possibleCpus(),
    // Handles begin at 1; 0 counts what no domain can be charged with.
    traffic: domains + 1,
    drops: domains + 1,
  };
}

/** Programs of TC by the kind of place that they are for (kernel/hnvgw.bpf.c). */
export type Place = 'provider' | 'vlan' | 'tag' | 'port' | 'context' | 'uplink' | 'sorter' | 'segment';
const places: readonly Place[] = [
  'provider',
  'vlan',
  'tag',
  'port',
  'context',
  'uplink',
  'sorter',
  'segment',
];
/**
 * tcx spares each packet the classifier, but costs an RCU grace period to attach, and one more when its interface goes:
 * worth it on the few interfaces that all traffic passes, not on two for each of thousands of domains.
 */
const WITH_TCX: ReadonlySet<Place> = new Set(['provider', 'vlan', 'uplink']);
/** Programs for XDP, which are in the fast object alone: in drivers, without or with spreading, and for frames that were spread. */
const fastPlaces = ['fast', 'spread', 'spread_cpu'] as const;
type AnyPlace = Place | (typeof fastPlaces)[number];
/** Offset of the words of `cb` in struct __sk_buff, and its size (linux/bpf.h). */
const SKB = { size: 192, control: 48 } as const;

export class EncapCore {
  readonly #object: BpfObject;
  readonly #programs = new Map<AnyPlace, BpfProgram>();
  readonly #root: string;
  readonly #generation: string;
  /** What is in drivers. */
  readonly #native: AnyPlace;

  private constructor(
    object: BpfObject,
    root: string,
    generation: string,
    places: readonly AnyPlace[],
    native: AnyPlace,
  ) {
    this.#native = native;
    this.#object = object;
    this.#root = root;
    this.#generation = generation;
    for (const place of places) this.#programs.set(place, this.#adopt(place));
  }

  /**
   * Loads or adopts; `fast` asks for the fast path, which the kernel must have CONNTRACK_FROM_EBPF for (linux/features.ts),
   * `spread` for the one in drivers that spreads frames over CPUs (spread.ts). Throws HNV_BPF with the verifier's words when the kernel refuses a program.
   */
  static open(
    instance: string,
    capacity: Capacity,
    { fast, spread = false }: { fast: boolean; spread?: boolean },
  ): EncapCore {
    ensureBpffs();
    const sizes = mapSizes(capacity);
    const digest = createHash('sha256').update(JSON.stringify(sizes)).digest('hex').slice(0, 8);
    const root = join(PINS, instance);
    const generation = `${layoutVersion}-${digest}`;
    const object = BpfObject.open(OBJECTS[fast ? 'fast' : 'slow']);
    for (const [map, entries] of Object.entries(sizes)) object.setMaxEntries(map, entries);
    object.pinMaps(join(root, generation, 'maps'));
    object.load();
    layFlowTable(object.map('flow_table'), flowTableSizes(capacity.fastFlows));
    const all = fast ? [...places, ...fastPlaces] : places;
    return new EncapCore(object, root, generation, all, spread ? 'spread' : 'fast');
  }

  /** Whether the programs can learn and carry established flows. */
  get hasFastPath(): boolean {
    return this.#programs.has('fast');
  }

  map(name: string): BpfMap {
    return this.#object.map(name);
  }

  /** Puts the program for that kind of place on the interface, instead of an older one of ours, atomically. */
  attach(place: Place, ifindex: number): 'attached' | 'replaced' | 'unchanged' {
    const program = this.program(place);
    if (place === 'tag') return attachTc(ifindex, 'egress', program);
    return WITH_TCX.has(place)
      ? attachTc(ifindex, 'ingress', program)
      : attachClsact(ifindex, 'ingress', program);
  }

  /** Whether the program for that kind of place is on the interface, this very one. */
  isAttached(place: Place, ifindex: number): boolean {
    const { id } = this.program(place);
    if (place === 'tag') return attachedTc(ifindex, 'egress', OWNER) === id;
    const attached = WITH_TCX.has(place)
      ? attachedTc(ifindex, 'ingress', OWNER)
      : attachedClsact(ifindex, 'ingress');
    return attached === id;
  }

  /** Names of the pins that are missing, or are of another object: nobody could adopt what they stand for. */
  strangePins(): string[] {
    return [...this.#pins()].flatMap(([path, { idOf, id }]) =>
      idOf(path) === id ? [] : path.slice(this.#root.length + 1),
    );
  }

  /** Makes all pins those of this process's objects. */
  restorePins(): void {
    for (const [path, { idOf, id, fd }] of this.#pins()) {
      if (idOf(path) === id) continue;
      mkdirSync(dirname(path), { recursive: true });
      pinObject(fd, path);
    }
  }

  /** Takes the program off a provider interface. */
  detach(ifindex: number): void {
    detachTc(ifindex, 'ingress', OWNER);
  }

  /** Takes the program that puts a VLAN tag on off a provider link. */
  detachTag(ifindex: number): void {
    detachTc(ifindex, 'egress', OWNER);
  }

  /** Takes the program off a port. */
  detachPort(ifindex: number): void {
    detachClsact(ifindex, 'ingress');
  }

  /**
   * Puts the fast path into the interface's driver (native XDP), instead of an older one of ours, atomically. Throws HNV_BPF
   * when the driver does not take it, or has somebody else's program.
   */
  attachFast(ifindex: number): 'attached' | 'replaced' | 'unchanged' {
    return attachXdp(ifindex, this.program(this.#native), 'native');
  }

  /** Takes the fast path out of the interface's driver, also one of an earlier process. */
  detachFast(ifindex: number): void {
    detachXdp(ifindex, OWNER);
  }

  /** Whether the fast path is in the interface's driver, this very program. */
  isFastAttached(ifindex: number): boolean {
    return attachedXdp(ifindex, 'native') === this.program(this.#native).id;
  }

  /** Somebody else's program where the fast path would be, in words. */
  strangerAtFast(ifindex: number): string | undefined {
    return strangerOnXdp(ifindex, OWNER);
  }

  /** Sends an Ethernet frame out of an interface. Throws HNV_BPF when the interface does not take it. */
  sendFrame(ifindex: number, frame: Uint8Array): void {
    const context = Buffer.alloc(SKB.size);
    context.writeUInt32LE(ifindex, SKB.control);
    const { retval } = testRun(this.#object.program(`${OWNER}_send`), { data: frame, context });
    if (retval !== 0) throw bpfError(`send a frame out of interface ${ifindex}`, retval);
  }

  program(place: AnyPlace): BpfProgram {
    const program = this.#programs.get(place);
    if (program === undefined) throw new Error(`no program for ${place}`);
    return program;
  }

  /**
   * Removes the pins of earlier layouts and sizes, and of a fast path that is off. Only after every interface has this
   * process's programs.
   */
  discardOtherGenerations(): void {
    for (const name of readdirSync(this.#root))
      if (name !== this.#generation) rmSync(join(this.#root, name), { recursive: true, force: true });
    if (this.hasFastPath) return;
    for (const place of fastPlaces)
      rmSync(join(this.#root, this.#generation, 'programs', place), { force: true });
  }

  /** Closes this process's handles; programs and maps go on working. */
  close(): void {
    for (const program of this.#programs.values()) program.close();
    this.#object.close();
  }

  /** Removes the pins: what is still attached works on until it is detached, but nobody can adopt it. */
  unpin(): void {
    rmSync(this.#root, { recursive: true, force: true });
  }

  #pins(): Map<string, { idOf: (path: string) => number | undefined; id: number; fd: number }> {
    const directory = join(this.#root, this.#generation);
    const pins = new Map<string, { idOf: (path: string) => number | undefined; id: number; fd: number }>();
    for (const { name, id, fd } of this.#object.maps())
      pins.set(join(directory, 'maps', name), { idOf: pinnedMapId, id, fd });
    for (const [place, { id, fd }] of this.#programs)
      pins.set(join(directory, 'programs', place), { idOf: pinnedProgramId, id, fd });
    return pins;
  }

  /** The pinned program when it is the same code, so that a restart replaces nothing; else the new one, pinned. */
  #adopt(place: AnyPlace): BpfProgram {
    const directory = join(this.#root, this.#generation, 'programs');
    const path = join(directory, place);
    const loaded = this.#object.program(`${OWNER}_${place}`);
    const pinned = existsSync(path) ? BpfProgram.openPinned(path) : undefined;
    if (pinned?.tag === loaded.tag) return pinned;
    pinned?.close();
    mkdirSync(directory, { recursive: true });
    loaded.pin(path);
    return loaded;
  }
}

/** What is at a pin's place may be anything, or nothing. */
function idAt(open: () => { id: number; close: () => void } | undefined): number | undefined {
  try {
    const found = open();
    found?.close();
    return found?.id;
  } catch (error) {
    if (error instanceof HnvError) return undefined;
    throw error;
  }
}

const pinnedMapId = (path: string): number | undefined => idAt(() => BpfMap.openPinned(path));
const pinnedProgramId = (path: string): number | undefined => idAt(() => BpfProgram.openPinned(path));
