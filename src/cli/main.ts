#!/usr/bin/env -S MALLOC_ARENA_MAX=1 MALLOC_MMAP_THRESHOLD_=131072 node --max-semi-space-size=2 --heap-growing-percent=20
/**
 * The `hnvgw` command. Exits with 0, 1 when the command failed, 2 when it was called wrongly.
 *
 * What the first line says is for a gateway with 100,000 lookup records that gets its whole policy again and again; without
 * it, it takes 500 MiB instead of 320:
 * - One malloc arena instead of one for each thread, and big blocks that go back to the kernel when they are freed, instead
 *   of being kept once a body of 18 MB was one of them: 65 MiB.
 * - Garbage of a fifth of what is in use instead of as much again: 100 MiB, for a major collection more often.
 * - A small young generation: a third of what a busy gateway takes, for a few more short collections.
 */
const OLDEST_NODE = 24;

if (Number.parseInt(process.versions.node, 10) < OLDEST_NODE) {
  process.stderr.write(
    `hnvgw: it needs Node ${OLDEST_NODE} or later, but the node that was found first on the PATH is ${process.versions.node}\n`,
  );
  process.exitCode = 1;
} else {
  // Loaded only here: an older one may not even be able to read it.
  const { run } = await import('./run.ts');
  process.exitCode = await run(process.argv.slice(2));
}
