/** A node's API on a unix socket with a real store, and the built command line that talks to it, as a process of its own. */
import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import type { FastifyInstance } from 'fastify';
import { buildApp } from '../../src/api/app.ts';
import { trustSocket } from '../../src/api/origin.ts';
import { openStore } from '../../src/store/sqlite.ts';
import type { Store } from '../../src/store/store.ts';
import { ApiClient } from '../lab/api-client.ts';
import { StandInOperations, tenant } from './api-server.ts';
import { capacity } from './store-folder.ts';

const program = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));

type Test = { teardown(done: () => unknown): void };

export interface Ended {
  status: number | null;
  stdout: string;
  stderr: string;
}

export interface Called {
  /** Written to standard input, which is empty without it. */
  input?: string;
  env?: Record<string, string>;
}

/** An environment in which `hnvgw` is the program under test; of the tests' own it has what node has compiled already. */
export function cliEnvironment(folder: string, more: Record<string, string> = {}): Record<string, string> {
  const script = `#!/bin/sh\nexec '${process.execPath}' '${program}' "$@"\n`;
  writeFileSync(join(folder, 'hnvgw'), script, { mode: 0o755 });
  const { PATH, NODE_COMPILE_CACHE = '' } = process.env;
  return { PATH: `${folder}:${PATH}`, LANG: 'C.UTF-8', NODE_COMPILE_CACHE, ...more };
}

/** A folder that goes when the test ends. */
export function testFolder(t: Test): string {
  const folder = mkdtempSync(join(tmpdir(), 'hnvgw-cli-'));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** Runs a program to its end. The API of the test lives in this process, so nothing may wait for it. */
export function runProgram(
  file: string,
  args: readonly string[],
  { input = '', env = {} }: Called,
  cwd: string,
): Promise<Ended> {
  const child = spawn(file, args, { cwd, env });
  const ended: Ended = { status: null, stdout: '', stderr: '' };
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    ended.stdout += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    ended.stderr += text;
  });
  child.stdin.on('error', () => {}); // it may end without reading
  child.stdin.end(input);
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (status) => resolve({ ...ended, status }));
  });
}

export interface CliNode {
  folder: string;
  /** `unix:/PATH` of the API. */
  server: string;
  store: Store;
  operations: StandInOperations;
  app: FastifyInstance;
  api: ApiClient;
  env: Record<string, string>;
  /** Runs the command line against this node, in its folder. */
  hnvgw(args: readonly string[], called?: Called): Promise<Ended>;
  /** Starts the command line; the test ends it. */
  spawn(args: readonly string[]): ChildProcessByStdio<null, Readable, null>;
  /** Runs a script of bash in which `hnvgw` is the program. */
  bash(script: string): Promise<Ended>;
}

/** Runs until the test ends. */
export async function runCliNode(t: Test): Promise<CliNode> {
  const folder = testFolder(t);
  const store = await openStore({ path: join(folder, 'store.db'), capacity });
  const operations = new StandInOperations(store);
  const app = buildApp({ store, operations, version: '0.1.0' });
  t.teardown(async () => {
    await app.close();
    await store.close();
  });
  app.server.on('connection', trustSocket);
  const path = join(folder, 'api.sock');
  await app.listen({ path });
  const server = `unix:${path}`;
  const env = cliEnvironment(folder, { HNVGW_SERVER: server });
  return {
    ...{ folder, server, store, operations, app, api: new ApiClient(path), env },
    hnvgw: (args, called = {}) =>
      runProgram(process.execPath, [program, ...args], { ...called, env: { ...env, ...called.env } }, folder),
    spawn: (args) =>
      spawn(process.execPath, [program, ...args], { env, cwd: folder, stdio: ['ignore', 'pipe', 'inherit'] }),
    bash: (script) => runProgram('bash', ['--norc', '-c', script], { env }, folder),
  };
}

/** As runCliNode(), with the whole tenant of the API's tests: Contoso. */
export async function contosoNode(t: Test): Promise<CliNode> {
  const node = await runCliNode(t);
  for (const [path, body] of tenant) await node.api.put(path, body);
  return node;
}
