/**
 * A page of docs/ that is a transcript: what is typed, and what is answered. Such pages are typed again by tests.
 *
 * - A fenced block `console` has the commands, each behind a prompt that names the terminal: `gateway# hnvgw status`. Lines that
 *   begin with `> ` continue it. The lines up to the next prompt are all that it answers.
 * - A fenced block `yaml FILE` is a file, written at the terminal that comes next.
 * - `…` stands for what is not the same each time: for any text within a line, and as a line of its own for any lines, or none.
 *   Times (ISO 8601) and the width of columns may differ too.
 * - `(goes on)` behind the answer: the command does not end, and the page goes on in other terminals.
 */

export interface TypedCommand {
  /** Line of the page, from 1. */
  readonly at: number;
  readonly terminal: string;
  readonly command: string;
  readonly answer: readonly string[];
  readonly goesOn: boolean;
}

export interface WrittenFile {
  readonly at: number;
  readonly file: string;
  readonly text: string;
}

export type PageStep = TypedCommand | WrittenFile;

const GOES_ON = '(goes on)';
const ANYTHING = '…';
const prompt = /^([a-z][a-z0-9]*)# (.*)$/;
const time = /\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z/g;

/** What there is to be done, in its order. Throws for a block that does not begin with a prompt. */
export function pageSteps(markdown: string): PageStep[] {
  const steps: PageStep[] = [];
  const lines = markdown.split('\n');
  for (let at = 0; at < lines.length; at++) {
    const [, kind, file = ''] = /^```(console|yaml)(?: (\S+))?$/.exec(lines[at] ?? '') ?? [];
    if (kind === undefined) continue;
    const end = lines.indexOf('```', at + 1);
    if (end === -1) throw new Error(`line ${at + 1} begins a block without an end`);
    const inside = lines.slice(at + 1, end);
    if (kind === 'console') steps.push(...typedCommands(inside, at + 2));
    else if (file !== '') steps.push({ at: at + 1, file, text: `${inside.join('\n')}\n` });
    at = end;
  }
  return steps;
}

function typedCommands(lines: readonly string[], first: number): TypedCommand[] {
  const commands: { at: number; terminal: string; command: string; answer: string[] }[] = [];
  for (const [index, line] of lines.entries()) {
    const [, terminal, command = ''] = prompt.exec(line) ?? [];
    const last = commands.at(-1);
    if (terminal !== undefined) commands.push({ at: first + index, terminal, command, answer: [] });
    else if (last === undefined) throw new Error(`line ${first + index} has no prompt: ${line}`);
    else if (line.startsWith('> ') && last.answer.length === 0) last.command += `\n${line.slice(2)}`;
    else last.answer.push(line);
  }
  return commands.map((typed) => {
    const goesOn = typed.answer.at(-1) === GOES_ON;
    return { ...typed, goesOn, answer: goesOn ? typed.answer.slice(0, -1) : typed.answer };
  });
}

/** Whether an answer is the page's. */
export function isAnswer(page: readonly string[], answer: readonly string[]): boolean {
  const [wanted, ...more] = page;
  if (wanted === undefined) return answer.length === 0;
  if (wanted === ANYTHING)
    return isAnswer(more, answer) || (answer.length > 0 && isAnswer(page, answer.slice(1)));
  const [given, ...rest] = answer;
  return given !== undefined && linePattern(wanted).test(leveled(given)) && isAnswer(more, rest);
}

/** What a line of the page stands for; of a line without times and runs of blanks (leveled). */
function linePattern(line: string): RegExp {
  const parts = leveled(line).split(ANYTHING);
  const literal = (text: string) => text.replaceAll(/[\\^$.*+?()[\]{}|]/g, '\\$&');
  return new RegExp(`^${parts.map(literal).join('.*')}$`);
}

function leveled(line: string): string {
  return line.replaceAll(time, 'TIME').replaceAll(/ {2,}/g, '  ').trimEnd();
}
