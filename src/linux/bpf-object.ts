/**
 * A compiled eBPF object file: opened, sized, loaded into the kernel with its maps pinned or adopted from pins, and then
 * the source of its maps and programs.
 */

import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import koffi from 'koffi';
import { HnvError } from '../errors.ts';
import { BpfMap, describeShape, type MapShape } from './bpf-map.ts';
import { BpfProgram } from './bpf-program.ts';
import {
  bpf_map__fd,
  bpf_map__is_internal,
  bpf_map__key_size,
  bpf_map__map_flags,
  bpf_map__max_entries,
  bpf_map__name,
  bpf_map__set_max_entries,
  bpf_map__set_pin_path,
  bpf_map__type,
  bpf_map__value_size,
  bpf_object__close,
  bpf_object__load,
  bpf_object__next_map,
  bpf_object__next_program,
  bpf_object__open_file,
  bpf_program__fd,
  bpf_program__name,
  bpf_program__set_log_buf,
  bpfError,
  errnoText,
  type Pointer,
} from './libbpf.ts';

export { BpfProgram } from './bpf-program.ts';

/** Room for one program's verifier log. It is address space only, until the verifier really writes that much. */
const LOG_BYTES = 4 << 20;
/** The verifier's verdict is in its last lines, with the instructions that led to it before. */
const LOG_LINES = 20;

export class BpfObject {
  readonly #path: string;
  readonly #handle: Pointer;
  readonly #mapHandles = new Map<string, Pointer>();
  readonly #programHandles = new Map<string, Pointer>();
  readonly #pins = new Map<string, string>();
  readonly #maps = new Map<string, BpfMap>();
  readonly #programs = new Map<string, BpfProgram>();
  #closed = false;

  private constructor(path: string, handle: Pointer) {
    this.#path = path;
    this.#handle = handle;
    for (let map = bpf_object__next_map(handle, null); map; map = bpf_object__next_map(handle, map)) {
      // Internal maps are the object's global data: part of the code, not state that anybody else reads.
      if (!bpf_map__is_internal(map)) this.#mapHandles.set(bpf_map__name(map), map);
    }
    for (let program = bpf_object__next_program(handle, null); program; ) {
      this.#programHandles.set(bpf_program__name(program), program);
      program = bpf_object__next_program(handle, program);
    }
  }

  /** Parses the object file; nothing is in the kernel yet. HNV_BPF when the file is missing or not an eBPF object. */
  static open(path: string): BpfObject {
    const handle = bpf_object__open_file(path, null);
    if (handle === null) throw bpfError(`open the eBPF object ${path}`, koffi.errno());
    return new BpfObject(path, handle);
  }

  /** Sets the size of a map before load(). */
  setMaxEntries(map: string, entries: number): void {
    const error = bpf_map__set_max_entries(this.#mapHandle(map), entries);
    if (error < 0) throw bpfError(`set the size of map ${map} to ${entries}`, error);
  }

  /**
   * Makes load() pin each map at `directory`/name, and use the map that is pinned there already. The directory, on a
   * bpffs, is made when it is missing.
   */
  pinMaps(directory: string): void {
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    for (const [name, handle] of this.#mapHandles) {
      const path = join(directory, name);
      const error = bpf_map__set_pin_path(handle, path);
      if (error < 0) throw bpfError(`set the pin path of map ${name} to ${path}`, error);
      this.#pins.set(name, path);
    }
  }

  /**
   * Creates or adopts the maps and loads the programs; all or nothing for the programs, while pins of new maps may
   * stay after an error. HNV_BPF with the end of the verifier's log when the kernel refuses a program, and with both shapes when a pinned
   * map is not like the object's.
   */
  load(): void {
    for (const [name, path] of this.#pins) this.#checkPinned(name, path);
    const log = koffi.alloc('char', LOG_BYTES * Math.max(1, this.#programHandles.size)) as Pointer;
    try {
      let slice = log;
      const logs = new Map<string, Pointer>();
      for (const [name, handle] of this.#programHandles) {
        bpf_program__set_log_buf(handle, slice, LOG_BYTES);
        logs.set(name, slice);
        slice += BigInt(LOG_BYTES);
      }
      const error = bpf_object__load(this.#handle);
      if (error < 0) throw this.#loadError(error, logs);
    } finally {
      koffi.free(log);
    }
    for (const [name, handle] of this.#mapHandles)
      this.#maps.set(name, new BpfMap(bpf_map__fd(handle), false, name));
    for (const [name, handle] of this.#programHandles)
      this.#programs.set(name, new BpfProgram(bpf_program__fd(handle), false, name));
  }

  /** A map of the loaded object. */
  map(name: string): BpfMap {
    const map = this.#maps.get(name);
    if (map === undefined) throw new HnvError('HNV_BPF', `${this.#path} has no loaded map ${name}.`);
    return map;
  }

  /** All maps of the loaded object but its global data. */
  maps(): BpfMap[] {
    return [...this.#maps.values()];
  }

  /** A program of the loaded object by the name of its C function. */
  program(name: string): BpfProgram {
    const program = this.#programs.get(name);
    if (program === undefined) throw new HnvError('HNV_BPF', `${this.#path} has no loaded program ${name}.`);
    return program;
  }

  programs(): BpfProgram[] {
    return [...this.#programs.values()];
  }

  /** Frees the object and closes its maps and programs; what is pinned or attached stays in the kernel. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#maps.clear();
    this.#programs.clear();
    bpf_object__close(this.#handle);
  }

  #mapHandle(name: string): Pointer {
    const handle = this.#mapHandles.get(name);
    if (handle === undefined) throw new HnvError('HNV_BPF', `${this.#path} has no map ${name}.`);
    return handle;
  }

  /** libbpf refuses a pinned map of another shape too, but does not say what differs. */
  #checkPinned(name: string, path: string): void {
    const pinned = BpfMap.openPinned(path);
    if (pinned === undefined) return;
    pinned.close();
    const handle = this.#mapHandle(name);
    const wanted: MapShape = {
      type: bpf_map__type(handle),
      keySize: bpf_map__key_size(handle),
      valueSize: bpf_map__value_size(handle),
      maxEntries: bpf_map__max_entries(handle),
      flags: bpf_map__map_flags(handle),
    };
    const theirs = describeShape(pinned);
    const ours = describeShape(wanted);
    if (theirs !== ours)
      throw new HnvError(
        'HNV_BPF',
        `The map pinned at ${path} is (${theirs}), but ${name} must be (${ours}).`,
      );
  }

  #loadError(error: number, logs: Map<string, Pointer>): HnvError {
    for (const [name, log] of logs) {
      // Only a program that was refused has a log.
      const lines = koffi.decode.string(log).trimEnd().split('\n');
      if (lines[0] === '') continue;
      const end = lines.slice(-LOG_LINES).join('\n');
      return new HnvError(
        'HNV_BPF',
        `The kernel refuses program ${name} of ${this.#path}: ${errnoText(error)}\n${end}`,
      );
    }
    return bpfError(`load the eBPF object ${this.#path}`, error);
  }
}
