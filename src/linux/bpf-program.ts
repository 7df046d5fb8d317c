/** One eBPF program in the kernel by its file descriptor: its identity, and its pin. */
import { closeSync, readlinkSync, renameSync, rmSync } from 'node:fs';
import { constants } from 'node:os';
import { HnvError } from '../errors.ts';
import { bpf_obj_get, bpf_obj_get_info_by_fd, bpf_obj_pin, bpfError } from './libbpf.ts';

const { ENOENT } = constants.errno;

/** Bytes of struct bpf_prog_info up to and with `name`; the kernel fills in no more than it is given room for. */
const PROGRAM_INFO_SIZE = 80;
/** The kernel keeps no more of a program's name than this. */
const KERNEL_NAME_LENGTH = 15;

export class BpfProgram {
  readonly name: string;
  readonly fd: number;
  readonly id: number;
  /** 16 hex digits over the instructions: equal tags are equal code. */
  readonly tag: string;
  readonly #owned: boolean;

  /**
   * @param fd file descriptor of a program; `owned` says whether close() closes it.
   * @param name its full name, where the caller knows more than the kernel's 15 characters.
   */
  constructor(fd: number, owned: boolean, name?: string) {
    const info = Buffer.alloc(PROGRAM_INFO_SIZE);
    const error = bpf_obj_get_info_by_fd(fd, info, new Uint32Array([info.length]));
    if (error < 0) throw bpfError(`read the properties of program ${name ?? `at descriptor ${fd}`}`, error);
    this.fd = fd;
    this.id = info.readUInt32LE(4);
    this.tag = info.toString('hex', 8, 16);
    this.name = name ?? info.toString('latin1', 64, 80).replace(/\0.*$/s, '');
    this.#owned = owned;
  }

  /** Opens the program that is pinned at `path`; undefined when nothing is there. The caller closes it. */
  static openPinned(path: string): BpfProgram | undefined {
    const fd = bpf_obj_get(path);
    if (fd === -ENOENT) return undefined;
    if (fd < 0) throw bpfError(`open the pinned program ${path}`, fd);
    try {
      if (readlinkSync(`/proc/self/fd/${fd}`) !== 'anon_inode:bpf-prog')
        throw new HnvError('HNV_BPF', `The object pinned at ${path} is not a program.`);
      return new BpfProgram(fd, true);
    } catch (error) {
      closeSync(fd);
      throw error;
    }
  }

  /** The name as the kernel reports it. */
  get kernelName(): string {
    return this.name.slice(0, KERNEL_NAME_LENGTH);
  }

  /** Pins the program at `path`, in place of whatever is pinned there; at no moment is there nothing. */
  pin(path: string): void {
    pinObject(this.fd, path);
  }

  /** Closes the descriptor of a program from openPinned(); the program of an object is closed with its object. */
  close(): void {
    if (this.#owned) closeSync(this.fd);
  }
}

/** Pins a program or a map, in place of whatever is pinned at `path`; at no moment is there nothing. */
export function pinObject(fd: number, path: string): void {
  // bpffs reserves dots, so the name of the temporary has none.
  const temporary = `${path}__new`;
  rmSync(temporary, { force: true });
  const error = bpf_obj_pin(fd, temporary);
  if (error < 0) throw bpfError(`pin ${path}`, error);
  renameSync(temporary, path);
}
