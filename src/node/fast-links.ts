/**
 * NICs between which established flows may take the fast path, and how: in their drivers (native XDP) or behind them, by the
 * programs of TC that are there anyway. Owns the map `fast_links`, the native programs (native-xdp.ts), the CPUs that
 * they spread frames over, and the setting that lets the data plane ask the kernel for the next hop of what is forwarded.
 *
 * `auto` leaves virtual links to TC: they carry super-packets and unfinished checksums, which XDP would break up or spoil.
 */
import type { FastPathStatus } from '../api/operations.ts';
import type { XdpSetting } from '../config/config.ts';
import type { EncapCore } from '../encap/core.ts';
import {
  decodeFastLink,
  decodeInterfaceKey,
  encodeFastLink,
  encodeInterfaceKey,
} from '../encap/layout.generated.ts';
import { Spread } from '../encap/spread.ts';
import { linkName } from '../linux/links.ts';
import { RouteNetlink } from '../linux/rtnetlink.ts';
import type { NetLink } from '../linux/rtnetlink-messages.ts';
import { readSysctl, writeSysctl } from '../linux/sysctl.ts';
import { type NativeCore, NativeXdp } from './native-xdp.ts';

/** bpf_fib_lookup of the programs asks in the name of `lo`, and a link that does not forward gets no answer. */
const SETTINGS = ['net/ipv4/conf/lo/forwarding', 'net/ipv6/conf/lo/forwarding'] as const;

type FastLink = FastPathStatus['interfaces'][number];
type Core = NativeCore & Pick<EncapCore, 'map' | 'program' | 'hasFastPath'>;

export interface FastLinksOptions {
  readonly instance: string;
  readonly setting: XdpSetting;
  /** CPUs that native programs spread frames over. */
  readonly spreadOver: readonly number[];
  /** The data plane notes next hops, without the fast path, too (kernel/next_hop.h). */
  readonly asksRoutes: boolean;
  /** Ends all flows that were noted before. */
  readonly invalidateAll: () => void;
}

/** Why the setting leaves a link to TC; undefined when the driver is to be asked. */
export function reasonForGeneric(setting: XdpSetting, kind: string | undefined): string | undefined {
  if (setting === 'native') return undefined;
  if (setting === 'auto') return kind === undefined ? undefined : `a ${kind} is a virtual link`;
  return `dataplane.xdp is ${setting}`;
}

export class FastLinks {
  readonly #core: Core;
  readonly #options: FastLinksOptions;
  readonly #native: NativeXdp;
  readonly #spread: Spread;
  /** By ifindex, as set() made them. */
  #links: ReadonlyMap<number, FastLink> = new Map();

  /** HNV_CONFIG when a CPU is not there. */
  constructor(core: Core, options: FastLinksOptions) {
    this.#core = core;
    this.#options = options;
    this.#native = new NativeXdp(core, options.instance);
    this.#spread = new Spread(core, options.spreadOver);
  }

  /**
   * Makes these the NICs between which flows may be fast, and no others, whatever an earlier process has left. Flows are over
   * before a NIC that they may leave by takes no redirected frames any more.
   */
  set(nics: Iterable<number>): void {
    const { hasFastPath } = this.#core;
    if (this.#options.asksRoutes) for (const path of unsetSettings()) writeSysctl(path, '1');
    this.#spread.apply();
    const wanted = hasFastPath ? readNics(nics) : [];
    const reasons = new Map(
      wanted.map(({ ifindex, kind }) => [ifindex, reasonForGeneric(this.#options.setting, kind)]),
    );
    const mayBeNative = (ifindex: number): boolean => reasons.has(ifindex) && !reasons.get(ifindex);
    this.#write(
      new Map(
        wanted.map(({ ifindex }) => [ifindex, mayBeNative(ifindex) && this.#core.isFastAttached(ifindex)]),
      ),
    );
    for (const ifindex of this.#native.noted()) if (!mayBeNative(ifindex)) this.#native.release(ifindex);
    this.#links = new Map(
      wanted.map((nic): [number, FastLink] => {
        const reason = reasons.get(nic.ifindex) ?? this.#native.attach(nic);
        const { name } = nic;
        return [
          nic.ifindex,
          reason === undefined ? { name, carrier: 'native' } : { name, carrier: 'generic', reason },
        ];
      }),
    );
    this.#write(this.#entries());
  }

  get state(): FastPathStatus {
    const { setting } = this.#options;
    const interfaces = [...this.#links.values()];
    if (this.#core.hasFastPath) return { interfaces };
    const reason =
      setting === 'off' ? 'dataplane.xdp is off' : 'the kernel does not let eBPF look into conntrack';
    return { interfaces, reason };
  }

  /** A sentence for each NIC that is not as the configuration asks for. */
  warnings(): string[] {
    if (this.#options.setting !== 'native') return [];
    return [...this.#links.values()].flatMap(({ name, carrier, reason }) =>
      carrier === 'native'
        ? []
        : `dataplane.xdp is native, but ${name} is not: ${reason}. Established connections pass behind its driver.`,
    );
  }

  /** What is otherwise than set() made it, as parts of a sentence; nothing before that. */
  inspect(): string[] {
    if (this.#links.size === 0) return [];
    const present = [...this.#links].filter(([ifindex, { name }]) => linkName(ifindex) === name);
    return [
      ...unsetSettings().map((path) => `the setting ${path} was ${readSysctl(path)}`),
      ...(this.#spread.isWhole ? [] : ['the maps spread_over or spread_cpus had other entries']),
      ...(this.#differences(this.#entries()).length === 0
        ? []
        : ['the map fast_links had another entry, or lacked one']),
      ...present.flatMap(([ifindex, { name, carrier }]) =>
        carrier === 'native' ? this.#native.inspect({ ifindex, name }) : [],
      ),
    ];
  }

  #entries(): Map<number, boolean> {
    return new Map([...this.#links].map(([ifindex, { carrier }]) => [ifindex, carrier === 'native']));
  }

  /** `entries`: by ifindex whether frames may be redirected there. Flows are over that were noted when it was otherwise. */
  #write(entries: ReadonlyMap<number, boolean>): void {
    const map = this.#core.map('fast_links');
    const differences = this.#differences(entries);
    for (const { ifindex, wanted } of differences) {
      const key = encodeInterfaceKey({ ifindex });
      if (wanted === undefined) map.delete(key);
      else map.update(key, encodeFastLink({ hasXdp: wanted }));
    }
    if (differences.some(({ present }) => present !== undefined)) this.#options.invalidateAll();
  }

  #differences(
    entries: ReadonlyMap<number, boolean>,
  ): { ifindex: number; present: number | undefined; wanted: number | undefined }[] {
    const has = new Map(
      this.#core
        .map('fast_links')
        .entries()
        .map(([key, value]) => [decodeInterfaceKey(key).ifindex, decodeFastLink(value).hasXdp]),
    );
    const wants = new Map([...entries].map(([ifindex, isNative]) => [ifindex, isNative ? 1 : 0]));
    return [...new Set([...has.keys(), ...wants.keys()])]
      .map((ifindex) => ({ ifindex, present: has.get(ifindex), wanted: wants.get(ifindex) }))
      .filter(({ present, wanted }) => present !== wanted);
  }
}

function unsetSettings(): string[] {
  return SETTINGS.filter((path) => readSysctl(path) !== '1');
}

/** Those that are there. */
function readNics(nics: Iterable<number>): NetLink[] {
  return RouteNetlink.use((reading) =>
    [...new Set(nics)].flatMap((ifindex) => {
      const name = linkName(ifindex);
      const link = name === undefined ? undefined : reading.link(name);
      return link?.ifindex === ifindex ? link : [];
    }),
  );
}
