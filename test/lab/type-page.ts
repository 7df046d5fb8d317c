/** Types a page of docs/ into the terminals of a lab, and holds each answer against the page. */
import { readFileSync } from 'node:fs';
import { isAnswer, type PageStep, pageSteps } from './console-page.ts';
import type { LabProcess } from './process.ts';
import { Terminal } from './terminal.ts';
import { until } from './until.ts';

/** Starts a shell as Terminal takes it. */
export type StartShell = () => Promise<LabProcess>;

interface Assertions {
  pass(message: string): unknown;
  fail(message: string, extra: object): unknown;
}

/** `shells` has one for each terminal that the page names. `page` is its path below docs/. */
export async function typePage(
  t: Assertions,
  page: string,
  shells: Readonly<Record<string, StartShell>>,
): Promise<void> {
  const markdown = readFileSync(new URL(`../../docs/${page}`, import.meta.url), 'utf8');
  const terminals = new Map<string, Terminal>();
  const startShell = (name: string): Promise<LabProcess> => {
    const start = shells[name];
    if (start === undefined) throw new Error(`${page} has a terminal ${name}, which is not in the lab`);
    return start();
  };
  const terminalOf = async (name: string): Promise<Terminal> => {
    const known = terminals.get(name) ?? new Terminal(await startShell(name));
    terminals.set(name, known);
    return known;
  };
  const steps = pageSteps(markdown);
  for (const [index, step] of steps.entries()) {
    const place = `docs/${page}:${step.at}:`;
    if ('file' in step) {
      const { file, text } = step;
      const words = `mkdir -p "$(dirname ${file})"; cat > ${file} <<'END-OF-FILE'\n${text}END-OF-FILE`;
      await (await terminalOf(nextTerminal(steps, index))).type(words);
    } else if (step.goesOn) {
      const shell = await startShell(step.terminal);
      shell.write(`exec ${step.command}`);
      await answers(shell, step.answer);
      t.pass(`${place} ${step.command}`);
    } else {
      const answer = await (await terminalOf(step.terminal)).type(step.command);
      if (isAnswer(step.answer, answer)) t.pass(`${place} ${step.command}`);
      else t.fail(`${place} ${step.command}`, { page: step.answer, answered: answer });
    }
  }
}

/** The terminal that a file is written at. */
function nextTerminal(steps: readonly PageStep[], from: number): string {
  const next = steps.slice(from).find((step) => 'terminal' in step);
  if (next === undefined) throw new Error('after a file no command follows');
  return next.terminal;
}

/** Resolves when all that the page has is there; rejects when it does not come, or something else does. */
async function answers(shell: LabProcess, page: readonly string[]): Promise<void> {
  await until(`the answer is\n${page.join('\n')}`, 60_000, () => {
    if (!shell.running) throw new Error(`it has ended:\n${shell.tail()}`);
    return isAnswer(page, shell.lines);
  });
}
