/** Compiles the bench's own eBPF programs (kernel/*.bpf.c) as scripts/build.sh compiles the product's. */
import { execFile } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const SOURCES = fileURLToPath(new URL('./kernel/', import.meta.url));
const OBJECTS = fileURLToPath(new URL('../dist/bench/', import.meta.url));
const NAMES = ['traffic', 'latency'] as const;
const LIBC_HEADERS: Partial<Record<NodeJS.Architecture, string>> = {
  x64: '/usr/include/x86_64-linux-gnu',
  arm64: '/usr/include/aarch64-linux-gnu',
};

/** Path of a compiled object, by the name of its source without `.bpf.c`. */
export function benchObject(name: (typeof NAMES)[number]): string {
  return `${OBJECTS}${name}.bpf.o`;
}

/** Compiles all of them. Rejects with clang's words. */
export async function buildBenchObjects(): Promise<void> {
  mkdirSync(OBJECTS, { recursive: true });
  for (const name of NAMES) {
    const flags = ['-O2', '-g', '-target', 'bpf', '-mcpu=v3', '-Wall', '-Wextra', '-Werror'];
    const headers = ['-idirafter', LIBC_HEADERS[process.arch] ?? '/usr/include'];
    await promisify(execFile)('clang', [
      ...flags,
      ...headers,
      '-c',
      `${SOURCES}${name}.bpf.c`,
      '-o',
      benchObject(name),
    ]);
  }
}
