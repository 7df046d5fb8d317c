/**
 * What a node leaves when its program ends, as it must: its pins and, of a gateway, the namespaces of its routing contexts and
 * the IKE daemons in them. A lab takes them away when it closes, and before it starts a node of the same instance. Links and
 * programs go with the node's own namespace.
 */
import { createHash } from 'node:crypto';
import { readdir, rm } from 'node:fs/promises';
import { isContextNetns, sorterNames } from '../../src/gateway/names.ts';
import { noteFinished, UNFINISHED } from '../../src/nat/unfinished.ts';
import { runChecked, runCommand } from './command.ts';
import { namespaceNames } from './lab.ts';

/** Instance name of the node in a namespace: four characters, always the same for a namespace’s name. */
export function instanceOf(namespace: string): string {
  const value = createHash('sha256').update(namespace).digest().readUInt32BE() % (36 ** 4 - 10 * 36 ** 3);
  return (value + 10 * 36 ** 3).toString(36);
}

/** Where the maps and programs of an instance are pinned. */
export function pinDirectory(instance: string): string {
  return `/sys/fs/bpf/hnvgw/${instance}`;
}

/** Namespaces of an instance's routing contexts that are there now. */
export async function contextNamespaces(instance: string): Promise<string[]> {
  return (await namespaceNames()).filter((name) => isContextNetns(instance, name));
}

/** Processes in a network namespace; none when there is no such namespace. */
export async function processesIn(netns: string): Promise<number[]> {
  const { stdout } = await runCommand(new Set(), 'ip', ['netns', 'pids', netns]);
  return stdout.split('\n').filter(Boolean).map(Number);
}

/** Where the files of the IKE daemons of an instance are. */
export function runDirectory(instance: string): string {
  return `/run/hnvgw/${instance}`;
}

/** Removes contexts, with what runs in them, fragment sorter and pins of an instance whose program does not run. */
export async function removeGatewayRemains(instance: string): Promise<void> {
  const sorter = sorterNames(instance).netns;
  const ours = (await namespaceNames()).filter((name) => isContextNetns(instance, name) || name === sorter);
  // A lab's own processes there have ended: what is left are daemons that outlive the gateway.
  for (const name of ours) for (const pid of await processesIn(name)) endProcess(pid);
  if (ours.length > 0) {
    const input = ours.map((name) => `netns delete ${name}\n`).join('');
    await runChecked(new Set(), 'ip', ['-batch', '-'], { input, timeoutMs: 120_000 });
  }
  for (const name of await readdir(UNFINISHED).catch(() => []))
    if (name.startsWith(`${instance}-`)) noteFinished(name);
  for (const folder of [pinDirectory(instance), runDirectory(instance)])
    await rm(folder, { recursive: true, force: true });
}

function endProcess(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It has ended by itself.
  }
}
