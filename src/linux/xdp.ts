/**
 * Attaches eBPF programs to an interface's XDP hook, of which there is one for everybody: a program of another owner (tc.ts)
 * is never replaced or removed.
 */
import { closeSync } from 'node:fs';
import { HnvError } from '../errors.ts';
import { BpfProgram } from './bpf-program.ts';
import {
  bpf_prog_get_fd_by_id,
  bpf_xdp_attach,
  bpf_xdp_detach,
  bpf_xdp_query,
  bpfError,
  xdpAttachOptionsSize,
  xdpQueryOptionsSize,
} from './libbpf.ts';
import { ownerOf } from './tcx.ts';

/** `native`: in the driver, before a packet becomes an skb. `generic`: behind it, for drivers without XDP. */
export type XdpMode = 'native' | 'generic';

const XDP_FLAGS_UPDATE_IF_NOEXIST = 1;
const XDP_FLAGS_REPLACE = 16;
const modeFlags = { generic: 2, native: 4 } as const;

interface Attached {
  program: number;
  mode: XdpMode;
}

function query(ifindex: number): Attached | undefined {
  const found = {
    sz: xdpQueryOptionsSize,
    prog_id: 0,
    drv_prog_id: 0,
    hw_prog_id: 0,
    skb_prog_id: 0,
    attach_mode: 0,
  };
  const error = bpf_xdp_query(ifindex, 0, found);
  if (error < 0) throw bpfError(`query XDP of interface ${ifindex}`, error);
  if (found.drv_prog_id !== 0) return { program: found.drv_prog_id, mode: 'native' };
  if (found.skb_prog_id !== 0) return { program: found.skb_prog_id, mode: 'generic' };
  return undefined;
}

/**
 * Makes `program` the XDP program of an interface. Replaces, atomically, another program of the same owner; anything
 * else that is there is an HNV_BPF. A change of mode is not atomic: the kernel wants the hook empty
 * in between.
 */
export function attachXdp(
  ifindex: number,
  program: BpfProgram,
  mode: XdpMode,
): 'attached' | 'replaced' | 'unchanged' {
  const before = query(ifindex);
  if (before?.program === program.id && before.mode === mode) return 'unchanged';
  if (before === undefined) {
    attach(ifindex, program, modeFlags[mode] | XDP_FLAGS_UPDATE_IF_NOEXIST);
    return 'attached';
  }
  withProgram(before.program, (old) => {
    if (ownerOf(old) !== ownerOf(program))
      throw new HnvError('HNV_BPF', `Interface ${ifindex} has ${strangerText(old)}.`);
    if (before.mode === mode) {
      attach(ifindex, program, modeFlags[mode] | XDP_FLAGS_REPLACE, old.fd);
    } else {
      detach(ifindex, before.mode, old.fd);
      attach(ifindex, program, modeFlags[mode] | XDP_FLAGS_UPDATE_IF_NOEXIST);
    }
  });
  return 'replaced';
}

/** The id of the program on the interface's XDP hook, whoever's it is; only of one in that mode, when it is given. */
export function attachedXdp(ifindex: number, mode?: XdpMode): number | undefined {
  const found = query(ifindex);
  return mode === undefined || found?.mode === mode ? found?.program : undefined;
}

/** Somebody else's program on the interface's XDP hook, in words; undefined when there is none, or the owner's. */
export function strangerOnXdp(ifindex: number, owner: string): string | undefined {
  const found = query(ifindex);
  if (found === undefined) return undefined;
  return withProgram(found.program, (program) =>
    ownerOf(program) === owner ? undefined : strangerText(program),
  );
}

/** Empties the interface's XDP hook if there is a program of the owner's. */
export function detachXdp(ifindex: number, owner: string): void {
  const before = query(ifindex);
  if (before === undefined) return;
  withProgram(before.program, (old) => {
    if (ownerOf(old) === owner) detach(ifindex, before.mode, old.fd);
  });
}

const strangerText = ({ name, id }: BpfProgram): string =>
  `the XDP program ${name} (id ${id}), which is not ours to replace`;

/** With `oldFd`, the kernel refuses when another program has come there meanwhile. */
function attach(ifindex: number, program: BpfProgram, flags: number, oldFd?: number): void {
  const options = oldFd === undefined ? null : { sz: xdpAttachOptionsSize, old_prog_fd: oldFd };
  const error = bpf_xdp_attach(ifindex, program.fd, flags, options);
  if (error < 0) throw bpfError(`attach ${program.name} to XDP of interface ${ifindex}`, error);
}

function detach(ifindex: number, mode: XdpMode, oldFd: number): void {
  const flags = modeFlags[mode] | XDP_FLAGS_REPLACE;
  const error = bpf_xdp_detach(ifindex, flags, { sz: xdpAttachOptionsSize, old_prog_fd: oldFd });
  if (error < 0) throw bpfError(`detach from XDP of interface ${ifindex}`, error);
}

function withProgram<T>(id: number, use: (program: BpfProgram) => T): T {
  const fd = bpf_prog_get_fd_by_id(id);
  if (fd < 0) throw bpfError(`open the eBPF program ${id}`, fd);
  try {
    return use(new BpfProgram(fd, false));
  } finally {
    closeSync(fd);
  }
}
