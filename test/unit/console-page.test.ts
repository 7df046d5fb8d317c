/** Pages of docs/ that are typed again: how they are read, and that a wrong answer does not pass. */
import t from 'tap';
import { isAnswer, pageSteps } from '../lab/console-page.ts';
import { LabProcess } from '../lab/process.ts';
import { SHELL, Terminal } from '../lab/terminal.ts';

const page = `# A page

\`\`\`yaml a.yaml
a: 1
\`\`\`

\`\`\`yaml
not: a file
\`\`\`

\`\`\`console
node# cat > b <<END
> b: 2
> END
node# run
{"msg":"ready"}
(goes on)
vm# ping
1 …
\`\`\`
`;

t.test('a page is files and commands, each with its terminal and its answer', async (t) => {
  t.strictSame(pageSteps(page), [
    { at: 3, file: 'a.yaml', text: 'a: 1\n' },
    { at: 12, terminal: 'node', command: 'cat > b <<END\nb: 2\nEND', answer: [], goesOn: false },
    { at: 15, terminal: 'node', command: 'run', answer: ['{"msg":"ready"}'], goesOn: true },
    { at: 18, terminal: 'vm', command: 'ping', answer: ['1 …'], goesOn: false },
  ]);
});

t.test('a page that cannot be typed is refused', async (t) => {
  t.throws(() => pageSteps('```console\nno prompt\n```'), /line 2 has no prompt: no prompt/);
  t.throws(() => pageSteps('```console\na# b'), /line 1 begins a block without an end/);
});

const answers: [page: string[], answer: string[], isRight: boolean][] = [
  [[], [], true],
  [['a'], ['a'], true],
  [['a'], ['b'], false],
  [['a'], [], false],
  [['a'], ['a', 'b'], false],
  [['a', 'b'], ['b', 'a'], false],
  [['a.c (x)'], ['abc (x)'], false],
  [['time=… ms'], ['time=0.3 ms'], true],
  [['time=… ms'], ['time=0.3 s'], false],
  [['a', '…', 'd'], ['a', 'b', 'c', 'd'], true],
  [['a', '…', 'd'], ['a', 'd'], true],
  [['a', '…', 'd'], ['a', 'b'], false],
  [['NAME    N'], ['NAME  N'], true],
  [['A B'], ['A  B'], false],
  [['2026-11-21T16:16:49.602Z  x'], ['2027-01-01T00:00:00.000Z  x'], true],
  [['2026-11-21T16:16:49.602Z  x'], ['2027-01-01T00:00:00.000Z  y'], false],
];
for (const [wanted, answer, isRight] of answers)
  t.equal(isAnswer(wanted, answer), isRight, `${JSON.stringify(answer)} for ${JSON.stringify(wanted)}`);

t.test('a terminal answers each command with its own lines, and keeps what was set', async (t) => {
  const shell = await LabProcess.start('bash', ['-c', SHELL]);
  t.teardown(() => shell.end('SIGKILL'));
  const terminal = new Terminal(shell);
  t.strictSame(await terminal.type('A=5; cat'), [], 'standard input is empty');
  t.strictSame(await terminal.type('echo $A; echo wrong >&2; printf end'), ['5', 'wrong', 'end']);
  t.strictSame(await terminal.type("cat <<'END'\n$A\n\nEND"), ['$A', '']);
});
