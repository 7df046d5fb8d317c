/** Checks this machine and the node, and says what to do. */
import { type Api, withApi } from '../api.ts';
import { command } from '../command.ts';
import { configOption } from '../config-file.ts';
import { type Finding, messageOf, wrong } from '../doctor/finding.ts';
import { checkMachine } from '../doctor/machine.ts';
import { checkNode } from '../doctor/node.ts';
import { exitCodes } from '../failures.ts';
import { harmless } from '../harmless.ts';
import { outputOption, print } from '../output.ts';
import { type chooseServer, connectionOptions } from '../server.ts';
import { paint, type Style } from '../table.ts';

export default command({
  name: 'doctor',
  summary: 'check this machine and the node, and say what to do',
  about: [
    'Looks at the kernel, the clock, the configuration and the room for the store of this machine, unless --server names another ' +
      'one by http:// or https://; then at the node: whether it answers and as whom, its clock and certificate, whether the kernel ' +
      'has what the store says, what is not ready and why, and whether somebody changed the kernel by hand. Nothing is changed.',
    'Exits with 1 when something is wrong.',
  ],
  arguments: {},
  options: { ...configOption, ...outputOption, ...connectionOptions },
  examples: [
    { what: 'this machine and its node', line: 'hnvgw doctor' },
    {
      what: 'another node',
      line: 'hnvgw doctor --server https://gw1.example.net:8443 --token-file operator.token --ca-file ca.pem',
    },
  ],
  seeAlso: ['hnvgw status', 'hnvgw events', 'hnvgw config check'],
  run: async ({ options }) => {
    const findings = await examine(options);
    await print(options.output, findings, () => findings.flatMap(findingLines));
    return findings.some(({ level }) => level === 'wrong') ? exitCodes.failed : exitCodes.ok;
  },
});

async function examine(options: Parameters<typeof chooseServer>[0] & { config?: string | undefined }) {
  const isElsewhere = /^https?:/.test(options.server ?? process.env.HNVGW_SERVER ?? '');
  const machine = isElsewhere ? [] : await checkMachine(options.config);
  try {
    return [...machine, ...(await withApi(options, (api: Api) => checkNode(api)))];
  } catch (error) {
    return [...machine, wrong(messageOf(error))];
  }
}

const marks: Record<Finding['level'], { mark: string; style: Style }> = {
  ok: { mark: 'ok   ', style: 'green' },
  note: { mark: 'note ', style: 'yellow' },
  wrong: { mark: 'wrong', style: 'red' },
};

function findingLines({ level, what, todo }: Finding): string[] {
  const { mark, style } = marks[level];
  const line = `${paint(style, mark)}  ${harmless(what)}`;
  return todo === undefined ? [line] : [line, `       -> ${harmless(todo)}`];
}
