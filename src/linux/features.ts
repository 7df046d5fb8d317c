/**
 * What this kernel can do, found by trying it: nothing is concluded from version numbers. The versions named here are
 * those of the first mainline kernel with the feature, for the operator who has to choose another one.
 */
import { closeSync, existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { HnvError } from '../errors.ts';
import { BPFFS, bpffsMounted } from './bpffs.ts';
import { sessionCount } from './conntrack.ts';
import {
  bpf_map_create,
  bpf_map_update_batch,
  bpf_prog_load,
  bpf_prog_test_run_opts,
  bpf_tc_hook_create,
  bpfError,
  libbpf_probe_bpf_helper,
  libbpf_probe_bpf_map_type,
  libbpf_probe_bpf_prog_type,
  tcHookSize,
  testRunOptionsSize,
} from './libbpf.ts';
import { NETLINK_NETFILTER, Netlink } from './netlink.ts';
import { inNewNetns } from './netns.ts';
import { nft } from './nftables.ts';
import { hasTcx } from './tcx.ts';
import { acceptsCommands, hasKernelEsp, hasXfrmInterfaces } from './xfrm.ts';

export interface KernelFeature {
  name: string;
  present: boolean;
  /** First mainline kernel that has it. */
  since: string;
  /** `must`: hnvgw does not start without. `may`: it does, see `note`. */
  requirement: 'must' | 'may';
  /** What is done without it. */
  note: string;
}

interface Probe extends Omit<KernelFeature, 'present'> {
  probe: () => boolean;
}

// enum bpf_prog_type, bpf_map_type, bpf_func_id
const SCHED_CLS = 3;
const XDP = 6;
const HASH = 1;
const PERCPU_ARRAY = 6;
const LPM_TRIE = 11;
const RINGBUF = 27;
const REDIRECT_NEIGH = 152;
const REDIRECT_PEER = 155;

const BPF_F_TEST_XDP_LIVE_FRAMES = 2;
const LOOPBACK = 1;
const BTF_DIRECTORY = '/sys/kernel/btf';
const table = { family: 'inet', table: 'probe' };
const addTable = { add: { table: { family: 'inet', name: 'probe' } } };

/** Name of the feature that the fast path needs. */
export const CONNTRACK_FROM_EBPF = 'conntrack lookup from eBPF';

const stop = 'hnvgw does not start.';
const userspaceEsp =
  'The tunnels of site connections are made by strongSwan itself: about 0.5 Gbit/s, always in UDP.';

/** In the order of trying: conntrack's functions are in the BTF of a module that the probe of conntrack loads. */
const probes: readonly Probe[] = [
  {
    name: 'BTF',
    since: '5.4',
    requirement: 'must',
    note: stop,
    probe: () => existsSync(join(BTF_DIRECTORY, 'vmlinux')),
  },
  { name: `bpffs on ${BPFFS}`, since: '4.4', requirement: 'must', note: stop, probe: bpffsMounted },
  {
    name: 'TC eBPF with clsact',
    since: '4.5',
    requirement: 'must',
    note: stop,
    probe: () => supported('TC eBPF', libbpf_probe_bpf_prog_type(SCHED_CLS, null)) && hasClsact(),
  },
  {
    name: 'bpf_redirect_neigh',
    since: '5.10',
    requirement: 'must',
    note: stop,
    probe: () => hasHelper(REDIRECT_NEIGH),
  },
  {
    name: 'bpf_redirect_peer',
    since: '5.10',
    requirement: 'must',
    note: stop,
    probe: () => hasHelper(REDIRECT_PEER),
  },
  { name: 'LPM trie', since: '4.11', requirement: 'must', note: stop, probe: () => hasMapType(LPM_TRIE) },
  {
    name: 'per-CPU array',
    since: '4.6',
    requirement: 'must',
    note: stop,
    probe: () => hasMapType(PERCPU_ARRAY),
  },
  { name: 'ring buffer', since: '5.8', requirement: 'must', note: stop, probe: () => hasMapType(RINGBUF) },
  {
    name: 'batch map operations',
    since: '5.6',
    requirement: 'may',
    note: 'Map entries are written one by one, so that large changes take longer.',
    probe: hasBatches,
  },
  {
    name: 'tcx',
    since: '6.6',
    requirement: 'may',
    note: 'Packets pass the clsact classifier first, which costs about 3 % of the packet rate.',
    probe: hasTcx,
  },
  {
    name: 'XDP',
    since: '4.8',
    requirement: 'may',
    note: 'All packets take the TC path.',
    probe: () => supported('XDP', libbpf_probe_bpf_prog_type(XDP, null)),
  },
  {
    name: 'XDP test runs with live frames',
    since: '5.18',
    requirement: 'may',
    note: 'The bench has no traffic generator.',
    probe: hasLiveFrames,
  },
  {
    name: 'nftables NAT of IPv4 and IPv6 in one table',
    since: '5.2',
    requirement: 'must',
    note: stop,
    probe: () => acceptsRule('nat', [{ masquerade: null }]),
  },
  {
    name: 'nftables fib',
    since: '4.10',
    requirement: 'must',
    note: stop,
    probe: () =>
      acceptsRule('filter', [
        { match: { op: '==', left: { fib: { result: 'type', flags: 'saddr' } }, right: 'local' } },
        { accept: null },
      ]),
  },
  {
    name: 'netfilter conntrack',
    since: '3.13',
    requirement: 'must',
    note: stop,
    probe: () =>
      acceptsRule('filter', [
        { match: { op: 'in', left: { ct: { key: 'state' } }, right: 'established' } },
        { accept: null },
      ]),
  },
  {
    name: 'conntrack marks and netlink',
    since: '2.6.14',
    requirement: 'must',
    note: stop,
    probe: hasConntrackNetlink,
  },
  {
    name: 'macvlan',
    since: '2.6.23',
    requirement: 'may',
    note: 'Provider addresses cannot have a VLAN or a MAC address of their own.',
    probe: hasMacvlan,
  },
  { name: 'ESP with AES-GCM', since: '2.6.25', requirement: 'may', note: userspaceEsp, probe: hasKernelEsp },
  {
    name: 'xfrm interfaces',
    since: '4.19',
    requirement: 'may',
    note: userspaceEsp,
    probe: hasXfrmInterfaces,
  },
  {
    name: 'BPF_F_ADJ_ROOM_DECAP_L4_GRE',
    since: '(bpf-next of August 2026)',
    requirement: 'may',
    note:
      'Super-packets keep the marks of their tunnel after decapsulation: where the uplink NIC offloads segmentation ' +
      'of GRE, turn GRO off on the provider NIC (ethtool -K NIC gro off).',
    probe: () => inBtf('BPF_F_ADJ_ROOM_DECAP_L4_GRE'),
  },
  {
    name: CONNTRACK_FROM_EBPF,
    since: '6.0',
    requirement: 'may',
    note: 'There is no fast path for established flows.',
    probe: () =>
      ['bpf_skb_ct_lookup', 'bpf_xdp_ct_lookup', 'bpf_ct_change_timeout', 'bpf_ct_release'].every(inBtf),
  },
];

/** What was found once; a kernel does not lose a feature, while one that is absent may come with a module. */
const found = new Set<string>();

/**
 * Tries every feature that hnvgw uses or would. HNV_BPF when trying is impossible, as without root. Takes some
 * milliseconds and leaves no trace, except kernel modules that it made the kernel load.
 */
export function probeFeatures(): KernelFeature[] {
  return probes.map(({ probe, ...feature }) => {
    // A mount, unlike a feature, can go.
    const certain = probe !== bpffsMounted;
    const present = (certain && found.has(feature.name)) || probe();
    if (present) found.add(feature.name);
    return { ...feature, present };
  });
}

/** Throws HNV_KERNEL_FEATURE that names each `must` that is missing, and the kernel that has it. */
export function requireFeatures(features: readonly KernelFeature[]): void {
  const missing = features.filter((feature) => feature.requirement === 'must' && !feature.present);
  if (missing.length === 0) return;
  const list = missing.map((feature) => `${feature.name} (Linux ${feature.since} and later)`).join(', ');
  throw new HnvError('HNV_KERNEL_FEATURE', `This kernel lacks: ${list}.`);
}

/** libbpf's probes answer 1, 0, or the error that kept them from finding out. */
function supported(what: string, answer: number): boolean {
  if (answer < 0) throw bpfError(`probe the kernel for ${what} (needs root)`, answer);
  return answer === 1;
}

function hasHelper(helper: number): boolean {
  return supported(`eBPF helper ${helper}`, libbpf_probe_bpf_helper(SCHED_CLS, helper, null));
}

function hasMapType(type: number): boolean {
  return supported(`eBPF map type ${type}`, libbpf_probe_bpf_map_type(type, null));
}

function hasConntrackNetlink(): boolean {
  try {
    return inNewNetns(() => {
      const netlink = new Netlink(NETLINK_NETFILTER);
      try {
        return sessionCount(netlink) === 0;
      } finally {
        netlink.close();
      }
    });
  } catch (error) {
    if (error instanceof HnvError) return false;
    throw error;
  }
}

function hasClsact(): boolean {
  const hook = { sz: tcHookSize, ifindex: LOOPBACK, attach_point: 1, parent: 0 };
  return inNewNetns(() => bpf_tc_hook_create(hook) === 0);
}

function hasBatches(): boolean {
  const fd = bpf_map_create(HASH, 'probe', 4, 4, 1, null);
  if (fd < 0) throw bpfError('probe the kernel for batch map operations', fd);
  const entry = new Uint8Array(4);
  const error = bpf_map_update_batch(fd, entry, entry, new Uint32Array([1]), null);
  closeSync(fd);
  return error === 0;
}

function hasLiveFrames(): boolean {
  // r0 = XDP_DROP; exit
  const drop = Uint8Array.of(0xb7, 0, 0, 0, 1, 0, 0, 0, 0x95, 0, 0, 0, 0, 0, 0, 0);
  const fd = bpf_prog_load(XDP, 'probe', 'GPL', drop, drop.length / 8, null);
  if (fd < 0) return false;
  const packet = new Uint8Array(64);
  const error = bpf_prog_test_run_opts(fd, {
    sz: testRunOptionsSize,
    data_in: packet,
    data_out: null,
    data_size_in: packet.length,
    data_size_out: 0,
    ctx_in: null,
    ctx_out: null,
    ctx_size_in: 0,
    ctx_size_out: 0,
    retval: 0,
    repeat: 1,
    duration: 0,
    flags: BPF_F_TEST_XDP_LIVE_FRAMES,
    cpu: 0,
    batch_size: 0,
  });
  closeSync(fd);
  return error === 0;
}

function hasMacvlan(): boolean {
  return acceptsCommands([
    'link add name probe0 type veth peer name probe1',
    'link add link probe0 name probe2 type macvlan mode private',
  ]);
}

/** Whether a new namespace takes such a rule at postrouting. */
function acceptsRule(type: 'nat' | 'filter', expr: readonly object[]): boolean {
  const chain = { ...table, name: 'chain', type, hook: 'postrouting', prio: 100, policy: 'accept' };
  try {
    inNewNetns(() =>
      nft([addTable, { add: { chain } }, { add: { rule: { ...table, chain: 'chain', expr } } }]),
    );
    return true;
  } catch (error) {
    if (error instanceof HnvError && error.code === 'HNV_NFTABLES') return false;
    throw error;
  }
}

/** Whether the BTF of the kernel or of a loaded module has a function or constant of that name. */
function inBtf(name: string): boolean {
  if (!existsSync(BTF_DIRECTORY)) return false;
  // Names in BTF's string section end with a zero byte and follow one.
  const wanted = Buffer.from(`\0${name}\0`);
  return readdirSync(BTF_DIRECTORY).some((file) => readFileSync(join(BTF_DIRECTORY, file)).includes(wanted));
}
