/**
 * Attaches eBPF programs to what an interface receives or sends: by tcx where the kernel has it, by clsact before 6.6.
 * What is attached outlives the process. An owner, the part of a program's name before the first underscore, has one
 * program on a hook.
 */
import type { BpfProgram } from './bpf-program.ts';
import { attachClsact, attachedClsact, type Direction, detachClsact } from './clsact.ts';
import { attachedTcx, attachTcx, detachTcx, hasTcx } from './tcx.ts';

/**
 * Makes `program` its owner's program on that hook. One that is there is replaced atomically: each packet meets the old
 * program or the new one.
 */
export function attachTc(
  ifindex: number,
  direction: Direction,
  program: BpfProgram,
): 'attached' | 'replaced' | 'unchanged' {
  return hasTcx() ? attachTcx(ifindex, direction, program) : attachClsact(ifindex, direction, program);
}

/** The id of the owner's program on that hook; undefined when there is none. */
export function attachedTc(ifindex: number, direction: Direction, owner: string): number | undefined {
  return hasTcx() ? attachedTcx(ifindex, direction, owner) : attachedClsact(ifindex, direction);
}

/** Removes the owner's program from that hook, when it is there. */
export function detachTc(ifindex: number, direction: Direction, owner: string): void {
  if (hasTcx()) detachTcx(ifindex, direction, owner);
  else detachClsact(ifindex, direction);
}
