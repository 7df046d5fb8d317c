/** Regular expressions (POSIX, extended) for the decimal numbers of a range, for tools that match numbers as text. */

/** What matches just the numbers from `from` to `to`, both included, without leading zeros. */
export function numberPattern(from: number, to: number): string {
  const found: string[] = [];
  for (let first = from; first <= to; ) {
    const last = Math.min(to, 10 ** String(first).length - 1);
    found.push(...ofSameLength(String(first), String(last)));
    first = last + 1;
  }
  return `(${found.join('|')})`;
}

/** Digits of both bounds, equally many. */
function ofSameLength(from: string, to: string): string[] {
  if (from === '') return [''];
  const [digit, lastDigit] = [Number(from[0]), Number(to[0])];
  const [rest, lastRest] = [from.slice(1), to.slice(1)];
  if (digit === lastDigit) return ofSameLength(rest, lastRest).map((more) => `${digit}${more}`);
  const [lowest, highest] = ['0'.repeat(rest.length), '9'.repeat(rest.length)];
  // Digits under which any rest will do.
  const first = rest === lowest ? digit : digit + 1;
  const last = lastRest === highest ? lastDigit : lastDigit - 1;
  return [
    ...(first === digit ? [] : ofSameLength(rest, highest).map((more) => `${digit}${more}`)),
    ...(first > last ? [] : [`${oneOf(first, last)}${'[0-9]'.repeat(rest.length)}`]),
    ...(last === lastDigit ? [] : ofSameLength(lowest, lastRest).map((more) => `${lastDigit}${more}`)),
  ];
}

function oneOf(first: number, last: number): string {
  return first === last ? String(first) : `[${first}-${last}]`;
}
