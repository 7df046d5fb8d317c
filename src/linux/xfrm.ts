/** What IPsec this kernel has, found by trying it in a namespace of its own. Makes the kernel load modules that it needs. */
import { spawnSync } from 'node:child_process';
import { inNewNetns } from './netns.ts';

/** AES-GCM with a tag of 16 bytes (RFC 4106); the key is of the probe alone. */
const CIPHER = `aead rfc4106(gcm(aes)) 0x${'00'.repeat(20)} 128`;

/** ESP SAs of both families, with AES-GCM. */
export function hasKernelEsp(): boolean {
  return acceptsCommands([
    `xfrm state add src 192.0.2.1 dst 192.0.2.2 proto esp spi 0x100 mode tunnel ${CIPHER}`,
    `xfrm state add src 2001:db8::1 dst 2001:db8::2 proto esp spi 0x100 mode tunnel ${CIPHER}`,
  ]);
}

/** Links that packets go through to those SAs that have their number. */
export function hasXfrmInterfaces(): boolean {
  return acceptsCommands(['link add probe0 type xfrm dev lo if_id 1']);
}

/** Whether a new namespace takes these commands of iproute2. */
export function acceptsCommands(commands: readonly string[]): boolean {
  // In the thread's namespace, as inNewNetns() wants it: a child is in that of the thread that starts it.
  const run = () => spawnSync('ip', ['-batch', '-'], { input: `${commands.join('\n')}\n` });
  return inNewNetns(run).status === 0;
}
