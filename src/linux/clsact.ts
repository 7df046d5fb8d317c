/**
 * Attaches eBPF programs to an interface's clsact hooks, for kernels before 6.6. There is one filter of ours per
 * direction, always with the same handle and priority, so that it is found again after a restart and replaced in place.
 */
import { constants } from 'node:os';
import type { BpfProgram } from './bpf-program.ts';
import {
  bpf_tc_attach,
  bpf_tc_detach,
  bpf_tc_hook_create,
  bpf_tc_query,
  bpfError,
  type TcHook,
  type TcOptions,
  tcHookSize,
  tcOptionsSize,
} from './libbpf.ts';

const { EEXIST, EINVAL, ENOENT } = constants.errno;

export type Direction = 'ingress' | 'egress';

/** After filters that an operator numbers low on purpose, before those that tc numbers itself (from 49152 down). */
export const TC_PRIORITY = 18510;
export const TC_HANDLE = 1;

const BPF_TC_F_REPLACE = 1;
const attachPoints = { ingress: 1, egress: 2 } as const;

function hookOf(ifindex: number, direction: Direction): TcHook {
  return { sz: tcHookSize, ifindex, attach_point: attachPoints[direction], parent: 0 };
}

function ourFilter(programFd = 0, flags = 0): TcOptions {
  return {
    sz: tcOptionsSize,
    prog_fd: programFd,
    flags,
    prog_id: 0,
    handle: TC_HANDLE,
    priority: TC_PRIORITY,
  };
}

/**
 * Makes `program` our filter of that hook. A filter that is there is replaced atomically: each packet meets the old
 * program or the new one.
 */
export function attachClsact(
  ifindex: number,
  direction: Direction,
  program: BpfProgram,
): 'attached' | 'replaced' | 'unchanged' {
  const before = attachedClsact(ifindex, direction);
  if (before === program.id) return 'unchanged';
  const hook = hookOf(ifindex, direction);
  if (before === undefined) {
    const error = bpf_tc_hook_create(hook);
    if (error < 0 && error !== -EEXIST) throw bpfError(`add clsact to interface ${ifindex}`, error);
  }
  const flags = before === undefined ? 0 : BPF_TC_F_REPLACE;
  const error = bpf_tc_attach(hook, ourFilter(program.fd, flags));
  if (error < 0) throw bpfError(`attach ${program.name} to ${direction} of interface ${ifindex}`, error);
  return before === undefined ? 'attached' : 'replaced';
}

/** The id of the program in our filter of that hook; undefined when there is no such filter. */
export function attachedClsact(ifindex: number, direction: Direction): number | undefined {
  const filter = ourFilter();
  const error = bpf_tc_query(hookOf(ifindex, direction), filter);
  // EINVAL is the kernel's answer when the interface has no clsact at all.
  if (error === -ENOENT || error === -EINVAL) return undefined;
  if (error < 0) throw bpfError(`query ${direction} of interface ${ifindex}`, error);
  return filter.prog_id;
}

/** Removes our filter, when it is there. The clsact qdisc stays: others may have their filters in it. */
export function detachClsact(ifindex: number, direction: Direction): void {
  const error = bpf_tc_detach(hookOf(ifindex, direction), ourFilter());
  if (error < 0 && error !== -ENOENT && error !== -EINVAL)
    throw bpfError(`detach from ${direction} of interface ${ifindex}`, error);
}
