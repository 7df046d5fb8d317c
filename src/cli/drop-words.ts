/** Reasons of drops in words. */
import { contextDropReason, dropReasons } from '../encap/drop-reasons.ts';
import { harmless } from './harmless.ts';

/** A blank line, and a line for each reason that this program knows, in their order and each once. */
export function reasonLines(names: Iterable<string>): string[] {
  const lines = [...new Set(names)].flatMap((name) => {
    const reason = [...dropReasons, contextDropReason].find((known) => known.name === name);
    return reason === undefined ? [] : [harmless(`${name}: ${reason.explanation}`)];
  });
  return lines.length === 0 ? [] : ['', ...lines];
}
