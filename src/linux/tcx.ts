/**
 * Attaches eBPF programs to an interface's tcx hooks (Linux 6.6): as clsact, without the qdisc and the classifier that
 * every packet would pass first. Several owners share a hook; whose a program is, its name tells: all before the
 * first underscore.
 */
import { closeSync } from 'node:fs';
import { constants } from 'node:os';
import { BpfProgram } from './bpf-program.ts';
import type { Direction } from './clsact.ts';
import {
  bpf_prog_attach_opts,
  bpf_prog_detach2,
  bpf_prog_get_fd_by_id,
  bpf_prog_query,
  bpfError,
  programAttachOptionsSize,
} from './libbpf.ts';

const { EINVAL } = constants.errno;

/** enum bpf_attach_type. */
const hooks = { ingress: 46, egress: 47 } as const;
const BPF_F_REPLACE = 4;
/** The kernel takes no more programs on one hook. */
const MAX_PROGRAMS = 64;
/** Every namespace's loopback interface. */
const LOOPBACK = 1;

let supported: boolean | undefined;

/** Ids of all programs on a hook, in the order in which they run; undefined when the kernel has no tcx. */
function programsOn(ifindex: number, direction: Direction): number[] | undefined {
  const ids = new Uint32Array(MAX_PROGRAMS);
  const count = new Uint32Array([MAX_PROGRAMS]);
  const error = bpf_prog_query(ifindex, hooks[direction], 0, new Uint32Array(1), ids, count);
  if (error === -EINVAL) return undefined;
  if (error < 0) throw bpfError(`query tcx ${direction} of interface ${ifindex}`, error);
  return [...ids.subarray(0, count[0])];
}

/** Whether this kernel has tcx. */
export function hasTcx(): boolean {
  supported ??= programsOn(LOOPBACK, 'ingress') !== undefined;
  return supported;
}

/** Who a program belongs to: `hnv` for `hnv_port`. */
export function ownerOf(program: { name: string }): string {
  return program.name.split('_', 1)[0] ?? '';
}

/** Hands `use` the owner's program on the hook, open for that time; undefined when the owner has none there. */
function withOwned<T>(
  ifindex: number,
  direction: Direction,
  owner: string,
  use: (program: BpfProgram) => T,
): T | undefined {
  for (const id of programsOn(ifindex, direction) ?? []) {
    const fd = bpf_prog_get_fd_by_id(id);
    if (fd < 0) continue; // detached since the query
    try {
      const program = new BpfProgram(fd, false);
      if (ownerOf(program) === owner) return use(program);
    } finally {
      closeSync(fd);
    }
  }
  return undefined;
}

/** As attachTc() of tc.ts. */
export function attachTcx(
  ifindex: number,
  direction: Direction,
  program: BpfProgram,
): 'attached' | 'replaced' | 'unchanged' {
  const attach = (flags: number, replaced: number): void => {
    const options = { sz: programAttachOptionsSize, flags, replace_prog_fd: replaced };
    const error = bpf_prog_attach_opts(program.fd, ifindex, hooks[direction], options);
    if (error < 0) throw bpfError(`attach ${program.name} to ${direction} of interface ${ifindex}`, error);
  };
  const done = withOwned(ifindex, direction, ownerOf(program), (old) => {
    if (old.id === program.id) return 'unchanged';
    attach(BPF_F_REPLACE, old.fd);
    return 'replaced';
  });
  if (done !== undefined) return done;
  attach(0, 0);
  return 'attached';
}

/** As attachedTc() of tc.ts. */
export function attachedTcx(ifindex: number, direction: Direction, owner: string): number | undefined {
  return withOwned(ifindex, direction, owner, (program) => program.id);
}

/** As detachTc() of tc.ts. */
export function detachTcx(ifindex: number, direction: Direction, owner: string): void {
  withOwned(ifindex, direction, owner, (program) => {
    const error = bpf_prog_detach2(program.fd, ifindex, hooks[direction]);
    if (error < 0) throw bpfError(`detach ${program.name} from ${direction} of interface ${ifindex}`, error);
  });
}
