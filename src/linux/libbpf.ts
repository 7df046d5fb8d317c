/**
 * The raw binding to the distribution's libbpf (libbpf.so.1): structures as libbpf.h and bpf.h lay them out, the
 * functions that the drivers use, and the text of its error numbers. Everything here is synchronous and follows libbpf
 * 1.x: functions that return int return a negative errno, functions that return a pointer set errno.
 */

import { getSystemErrorMap } from 'node:util';
import koffi from 'koffi';
import { HnvError } from '../errors.ts';

/** A C pointer. */
export type Pointer = bigint;

function loadLibbpf(): ReturnType<typeof koffi.load> {
  try {
    return koffi.load('libbpf.so.1');
  } catch (cause) {
    throw new HnvError('HNV_BPF', 'libbpf.so.1 cannot be loaded; install the package libbpf1.', { cause });
  }
}

const library = loadLibbpf();

/** Binds one function by its C prototype; `F` must say the same as the prototype. */
function bind<F>(prototype: string): F {
  return library.func(prototype) as unknown as F;
}

export interface TcHook {
  sz: number;
  ifindex: number;
  attach_point: number;
  parent: number;
}
const tcHook = koffi.struct('bpf_tc_hook', {
  sz: 'size_t',
  ifindex: 'int',
  attach_point: 'int',
  parent: 'uint32_t',
});
/** Size that goes into `TcHook.sz`: libbpf tells versions of a structure apart by it. */
export const tcHookSize = koffi.sizeof(tcHook);

export interface TcOptions {
  sz: number;
  prog_fd: number;
  flags: number;
  prog_id: number;
  handle: number;
  priority: number;
}
const tcOptions = koffi.struct('bpf_tc_opts', {
  sz: 'size_t',
  prog_fd: 'int',
  flags: 'uint32_t',
  prog_id: 'uint32_t',
  handle: 'uint32_t',
  priority: 'uint32_t',
});
export const tcOptionsSize = koffi.sizeof(tcOptions);

export interface XdpAttachOptions {
  sz: number;
  old_prog_fd: number;
}
const xdpAttachOptions = koffi.struct('bpf_xdp_attach_opts', { sz: 'size_t', old_prog_fd: 'int' });
export const xdpAttachOptionsSize = koffi.sizeof(xdpAttachOptions);

export interface XdpQueryOptions {
  sz: number;
  prog_id: number;
  drv_prog_id: number;
  hw_prog_id: number;
  skb_prog_id: number;
  attach_mode: number;
}
const xdpQueryOptions = koffi.struct('bpf_xdp_query_opts', {
  sz: 'size_t',
  prog_id: 'uint32_t',
  drv_prog_id: 'uint32_t',
  hw_prog_id: 'uint32_t',
  skb_prog_id: 'uint32_t',
  attach_mode: 'uint8_t',
});
export const xdpQueryOptionsSize = koffi.sizeof(xdpQueryOptions);

/** The pointers are Pointers or Uint8Arrays, or null; libbpf fills in the output lengths, `retval` and `duration`. */
export interface TestRunOptions {
  sz: number;
  data_in: Uint8Array | null;
  data_out: Uint8Array | null;
  data_size_in: number;
  data_size_out: number;
  ctx_in: Uint8Array | null;
  ctx_out: Uint8Array | null;
  ctx_size_in: number;
  ctx_size_out: number;
  retval: number;
  repeat: number;
  duration: number;
  flags: number;
  cpu: number;
  batch_size: number;
}
const testRunOptions = koffi.struct('bpf_test_run_opts', {
  sz: 'size_t',
  data_in: 'void *',
  data_out: 'void *',
  data_size_in: 'uint32_t',
  data_size_out: 'uint32_t',
  ctx_in: 'void *',
  ctx_out: 'void *',
  ctx_size_in: 'uint32_t',
  ctx_size_out: 'uint32_t',
  retval: 'uint32_t',
  repeat: 'int',
  duration: 'uint32_t',
  flags: 'uint32_t',
  cpu: 'uint32_t',
  batch_size: 'uint32_t',
});
export const testRunOptionsSize = koffi.sizeof(testRunOptions);

koffi.proto('int ring_buffer_sample_fn(void *ctx, void *data, size_t size)');

// Without a print function libbpf writes its complaints to stderr; the drivers raise errors that say the same.
bind<(callback: null) => void>('void *libbpf_set_print(void *callback)')(null);

// Objects
export const bpf_object__open_file = bind<(path: string, options: null) => Pointer | null>(
  'void *bpf_object__open_file(const char *path, void *opts)',
);
export const bpf_object__load = bind<(object: Pointer) => number>('int bpf_object__load(void *obj)');
export const bpf_object__close = bind<(object: Pointer) => void>('void bpf_object__close(void *obj)');
export const bpf_object__next_map = bind<(object: Pointer, previous: Pointer | null) => Pointer | null>(
  'void *bpf_object__next_map(void *obj, void *map)',
);
export const bpf_object__next_program = bind<(object: Pointer, previous: Pointer | null) => Pointer | null>(
  'void *bpf_object__next_program(void *obj, void *prog)',
);
export const bpf_map__name = bind<(map: Pointer) => string>('const char *bpf_map__name(void *map)');
export const bpf_map__is_internal = bind<(map: Pointer) => boolean>('bool bpf_map__is_internal(void *map)');
export const bpf_map__fd = bind<(map: Pointer) => number>('int bpf_map__fd(void *map)');
export const bpf_map__type = bind<(map: Pointer) => number>('int bpf_map__type(void *map)');
export const bpf_map__key_size = bind<(map: Pointer) => number>('uint32_t bpf_map__key_size(void *map)');
export const bpf_map__value_size = bind<(map: Pointer) => number>('uint32_t bpf_map__value_size(void *map)');
export const bpf_map__max_entries = bind<(map: Pointer) => number>(
  'uint32_t bpf_map__max_entries(void *map)',
);
export const bpf_map__set_max_entries = bind<(map: Pointer, entries: number) => number>(
  'int bpf_map__set_max_entries(void *map, uint32_t max_entries)',
);
export const bpf_map__map_flags = bind<(map: Pointer) => number>('uint32_t bpf_map__map_flags(void *map)');
export const bpf_map__set_pin_path = bind<(map: Pointer, path: string) => number>(
  'int bpf_map__set_pin_path(void *map, const char *path)',
);
export const bpf_program__name = bind<(program: Pointer) => string>(
  'const char *bpf_program__name(void *prog)',
);
export const bpf_program__fd = bind<(program: Pointer) => number>('int bpf_program__fd(void *prog)');
export const bpf_program__set_log_buf = bind<(program: Pointer, log: Pointer, size: number) => number>(
  'int bpf_program__set_log_buf(void *prog, void *log_buf, size_t log_size)',
);
export const libbpf_bpf_map_type_str = bind<(type: number) => string | null>(
  'const char *libbpf_bpf_map_type_str(int t)',
);

// File descriptors and pins
export const bpf_obj_get = bind<(path: string) => number>('int bpf_obj_get(const char *path)');
export const bpf_obj_pin = bind<(fd: number, path: string) => number>(
  'int bpf_obj_pin(int fd, const char *path)',
);
export const bpf_obj_get_info_by_fd = bind<(fd: number, info: Uint8Array, size: Uint32Array) => number>(
  'int bpf_obj_get_info_by_fd(int fd, void *info, uint32_t *info_len)',
);
export const bpf_map_get_fd_by_id = bind<(id: number) => number>('int bpf_map_get_fd_by_id(uint32_t id)');
export const bpf_prog_get_fd_by_id = bind<(id: number) => number>('int bpf_prog_get_fd_by_id(uint32_t id)');

// Maps
export const bpf_map_create = bind<
  (type: number, name: string, keySize: number, valueSize: number, entries: number, options: null) => number
>('int bpf_map_create(int type, const char *name, uint32_t key, uint32_t value, uint32_t max, void *opts)');
export const bpf_map_lookup_elem = bind<(fd: number, key: Uint8Array, value: Uint8Array) => number>(
  'int bpf_map_lookup_elem(int fd, void *key, void *value)',
);
export const bpf_map_update_elem = bind<
  (fd: number, key: Uint8Array, value: Uint8Array, flags: number) => number
>('int bpf_map_update_elem(int fd, void *key, void *value, uint64_t flags)');
export const bpf_map_delete_elem = bind<(fd: number, key: Uint8Array) => number>(
  'int bpf_map_delete_elem(int fd, void *key)',
);
export const bpf_map_get_next_key = bind<(fd: number, key: Uint8Array | null, next: Uint8Array) => number>(
  'int bpf_map_get_next_key(int fd, void *key, void *next_key)',
);
export const bpf_map_lookup_batch = bind<
  (
    fd: number,
    inBatch: Uint8Array | null,
    outBatch: Uint8Array,
    keys: Uint8Array,
    values: Uint8Array,
    count: Uint32Array,
    options: null,
  ) => number
>(
  'int bpf_map_lookup_batch(int fd, void *in, void *out, void *keys, void *values, uint32_t *count, void *opts)',
);
export const bpf_map_update_batch = bind<
  (fd: number, keys: Uint8Array, values: Uint8Array, count: Uint32Array, options: null) => number
>('int bpf_map_update_batch(int fd, void *keys, void *values, uint32_t *count, void *opts)');
export const bpf_map_delete_batch = bind<
  (fd: number, keys: Uint8Array, count: Uint32Array, options: null) => number
>('int bpf_map_delete_batch(int fd, void *keys, uint32_t *count, void *opts)');
export const libbpf_num_possible_cpus = bind<() => number>('int libbpf_num_possible_cpus()');

// TC and XDP
export const bpf_tc_hook_create = bind<(hook: TcHook) => number>('int bpf_tc_hook_create(bpf_tc_hook *hook)');
export const bpf_tc_attach = bind<(hook: TcHook, options: TcOptions) => number>(
  'int bpf_tc_attach(bpf_tc_hook *hook, _Inout_ bpf_tc_opts *opts)',
);
export const bpf_tc_detach = bind<(hook: TcHook, options: TcOptions) => number>(
  'int bpf_tc_detach(bpf_tc_hook *hook, bpf_tc_opts *opts)',
);
export const bpf_tc_query = bind<(hook: TcHook, options: TcOptions) => number>(
  'int bpf_tc_query(bpf_tc_hook *hook, _Inout_ bpf_tc_opts *opts)',
);
/** struct bpf_prog_attach_opts. */
export interface ProgramAttachOptions {
  sz: number;
  flags: number;
  replace_prog_fd: number;
}
koffi.struct('bpf_prog_attach_opts', { sz: 'size_t', flags: 'uint32_t', replace_prog_fd: 'int' });
export const programAttachOptionsSize = koffi.sizeof('bpf_prog_attach_opts');
export const bpf_prog_attach_opts = bind<
  (fd: number, target: number, type: number, options: ProgramAttachOptions) => number
>('int bpf_prog_attach_opts(int fd, int target, int type, bpf_prog_attach_opts *opts)');
export const bpf_prog_detach2 = bind<(fd: number, target: number, type: number) => number>(
  'int bpf_prog_detach2(int fd, int target, int type)',
);
export const bpf_prog_query = bind<
  (
    target: number,
    type: number,
    flags: number,
    attachFlags: Uint32Array,
    ids: Uint32Array,
    count: Uint32Array,
  ) => number
>(
  'int bpf_prog_query(int target, int type, uint32_t flags, _Out_ uint32_t *attach_flags, _Out_ uint32_t *ids, _Inout_ uint32_t *count)',
);
export const bpf_xdp_attach = bind<
  (ifindex: number, fd: number, flags: number, options: XdpAttachOptions | null) => number
>('int bpf_xdp_attach(int ifindex, int fd, uint32_t flags, bpf_xdp_attach_opts *opts)');
export const bpf_xdp_detach = bind<
  (ifindex: number, flags: number, options: XdpAttachOptions | null) => number
>('int bpf_xdp_detach(int ifindex, uint32_t flags, bpf_xdp_attach_opts *opts)');
export const bpf_xdp_query = bind<(ifindex: number, flags: number, options: XdpQueryOptions) => number>(
  'int bpf_xdp_query(int ifindex, int flags, _Inout_ bpf_xdp_query_opts *opts)',
);

// Programs
export const bpf_prog_load = bind<
  (
    type: number,
    name: string,
    license: string,
    code: Uint8Array,
    instructions: number,
    options: null,
  ) => number
>(
  'int bpf_prog_load(int type, const char *name, const char *license, void *insns, size_t count, void *opts)',
);

// Test runs, ring buffers, probes
export const bpf_prog_test_run_opts = bind<(fd: number, options: TestRunOptions) => number>(
  'int bpf_prog_test_run_opts(int fd, _Inout_ bpf_test_run_opts *opts)',
);
export type SampleFunction = (context: null, data: Pointer, size: number) => number;
export const ring_buffer__new = bind<
  (fd: number, callback: Pointer, context: null, options: null) => Pointer | null
>('void *ring_buffer__new(int fd, ring_buffer_sample_fn *callback, void *ctx, void *opts)');
export const ring_buffer__free = bind<(buffer: Pointer) => void>('void ring_buffer__free(void *rb)');
export const ring_buffer__epoll_fd = bind<(buffer: Pointer) => number>('int ring_buffer__epoll_fd(void *rb)');
export const ring_buffer__consume = bind<(buffer: Pointer) => number>('int ring_buffer__consume(void *rb)');
export const libbpf_probe_bpf_prog_type = bind<(type: number, options: null) => number>(
  'int libbpf_probe_bpf_prog_type(int type, void *opts)',
);
export const libbpf_probe_bpf_map_type = bind<(type: number, options: null) => number>(
  'int libbpf_probe_bpf_map_type(int type, void *opts)',
);
export const libbpf_probe_bpf_helper = bind<(program: number, helper: number, options: null) => number>(
  'int libbpf_probe_bpf_helper(int prog_type, int helper_id, void *opts)',
);

/** ENOTSUPP: in-kernel error number that bpf(2) lets through; not in any errno.h. */
export const ENOTSUPP = 524;

const systemErrors = getSystemErrorMap();

/** "ENOENT: no such file or directory" for 2 or -2. */
export function errnoText(errno: number): string {
  const number = Math.abs(errno);
  if (number === ENOTSUPP) return 'ENOTSUPP: operation is not supported by the kernel';
  const known = systemErrors.get(-number);
  return known === undefined ? `errno ${number}` : `${known[0]}: ${known[1]}`;
}

/** The HNV_BPF error for an operation that libbpf refused with `errno` (either sign). */
export function bpfError(operation: string, errno: number): HnvError {
  return new HnvError('HNV_BPF', `${operation}: ${errnoText(errno)}`);
}
