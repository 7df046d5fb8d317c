/** Waits for a condition that nobody announces, by asking again. */
import { setTimeout as delay } from 'node:timers/promises';

/**
 * Asks `condition` every 50 ms until it answers something other than undefined or false, and resolves to that. Rejects
 * after `timeoutMs`, naming `what`, or at once when the condition throws.
 */
export async function until<T>(
  what: string,
  timeoutMs: number,
  condition: () => Promise<T | undefined | false> | T | undefined | false,
): Promise<T> {
  const end = performance.now() + timeoutMs;
  for (;;) {
    const value = await condition();
    if (value !== undefined && value !== false) return value;
    if (performance.now() > end) throw new Error(`waited ${timeoutMs} ms in vain: ${what}`);
    await delay(50);
  }
}
