/** Compiles the bench's own programs (programs/*.c), where a program of Node would be what is measured. */
import { execFile } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const SOURCES = fileURLToPath(new URL('./programs/', import.meta.url));
const PROGRAMS = fileURLToPath(new URL('../dist/bench/', import.meta.url));
const NAMES = ['connection-client', 'connection-server'] as const;

/** Path of a compiled program, by the name of its source. */
export function benchProgram(name: (typeof NAMES)[number]): string {
  return `${PROGRAMS}${name}`;
}

/** Compiles all of them. Rejects with clang's words. */
export async function buildBenchPrograms(): Promise<void> {
  mkdirSync(PROGRAMS, { recursive: true });
  const flags = ['-O2', '-D_GNU_SOURCE', '-Wall', '-Wextra', '-Werror'];
  for (const name of NAMES)
    await promisify(execFile)('clang', [...flags, `${SOURCES}${name}.c`, '-o', benchProgram(name)]);
}
