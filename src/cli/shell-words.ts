/** A line as a shell parts it into words, as far as the cursor: enough for completion. */

export interface ShellWords {
  /** Those before the one at the cursor, the program's name first; assignments before it are left out. */
  readonly words: readonly string[];
  /** The one at the cursor, without its quotes; '' after a blank. */
  readonly current: string;
  /** Whether that one has quotes. */
  readonly isQuoted: boolean;
}

const word = /(?:\\.|'[^']*'?|"(?:\\.|[^"\\])*"?|[^\s'"\\]|\\$)+/gs;

export function shellWords(line: string): ShellWords {
  const raw = line.match(word) ?? [];
  const isAtBlank = raw.length === 0 || (/\s$/.test(line) && line.endsWith(`${raw.at(-1)}${trailing(line)}`));
  const current = isAtBlank ? '' : (raw.pop() ?? '');
  const first = raw.findIndex((text) => !/^[A-Za-z_][A-Za-z0-9_]*=/.test(text));
  return {
    words: raw.slice(Math.max(first, 0)).map(unquoted),
    current: unquoted(current),
    isQuoted: /['"]/.test(current),
  };
}

function trailing(line: string): string {
  return /\s*$/.exec(line)?.[0] ?? '';
}

function unquoted(text: string): string {
  return text.replace(
    /\\(.?)|'([^']*)'?|"((?:\\.|[^"\\])*)"?/gs,
    (_, escaped?: string, single?: string, double?: string) =>
      escaped ?? single ?? double?.replace(/\\(["\\$`])/g, '$1') ?? '',
  );
}
