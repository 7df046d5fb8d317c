/**
 * Attaches eBPF programs to an interface's XDP hook, of which there is one for everybody: a program of somebody else is
 * never replaced or removed.
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
 * Makes `program` the XDP program of an interface. Replaces, atomically, an earlier program of the same name; anything
 * else that is there is somebody else's and an HNV_BPF. A change of mode is not atomic: the kernel wants the hook empty
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
    if (old.kernelName !== program.kernelName)
      throw new HnvError(
        'HNV_BPF',
        `Interface ${ifindex} has the XDP program ${old.name} (id ${old.id}), which is not ours to replace.`,
      );
    if (before.mode === mode) {
      attach(ifindex, program, modeFlags[mode] | XDP_FLAGS_REPLACE, old.fd);
    } else {
      detach(ifindex, before.mode, old.fd);
      attach(ifindex, program, modeFlags[mode] | XDP_FLAGS_UPDATE_IF_NOEXIST);
    }
  });
  return 'replaced';
}

/** The id of the program on the interface's XDP hook, whoever's it is. */
export function attachedXdp(ifindex: number): number | undefined {
  return query(ifindex)?.program;
}

/** Empties the interface's XDP hook if it is `program` that is there. */
export function detachXdp(ifindex: number, program: BpfProgram): void {
  const before = query(ifindex);
  if (before?.program === program.id) detach(ifindex, before.mode, program.fd);
}

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

function withProgram(id: number, use: (program: BpfProgram) => void): void {
  const fd = bpf_prog_get_fd_by_id(id);
  if (fd < 0) throw bpfError(`open the eBPF program ${id}`, fd);
  try {
    use(new BpfProgram(fd, false));
  } finally {
    closeSync(fd);
  }
}
