/** Shows what a file would change: a dry run of apply. */
import { withApi } from '../api.ts';
import { changeLines, countsText, type PolicyOutcome } from '../changes.ts';
import { command } from '../command.ts';
import { fileOption, wholeOption } from '../document-options.ts';
import { exitCodes } from '../failures.ts';
import { outputOption, print } from '../output.ts';
import { connectionOptions } from '../server.ts';

export default command({
  name: 'diff',
  summary: 'show what applying a file would change',
  about: [
    'Has the node check the policy document against its rules and compare it with what it has. Nothing is changed. + is ' +
      'created, ~ changed (with each field before and after), - deleted.',
    'Exits as diff does: 0 when there is nothing to change, 1 when there is, 2 on every trouble.',
  ],
  arguments: {},
  options: { ...fileOption, ...wholeOption, ...outputOption, ...connectionOptions },
  examples: [
    {
      what: 'nothing differs from what was just read',
      line: 'hnvgw get policy | hnvgw diff -f - --whole',
    },
    {
      what: 'apply only what differs',
      line: 'hnvgw get policy > policy.yaml\nhnvgw diff -f policy.yaml || hnvgw apply -f policy.yaml',
    },
  ],
  seeAlso: ['hnvgw apply', 'hnvgw help policy', 'hnvgw get policy'],
  run: async ({ options }) => {
    const { readPolicyInput } = await import('../document.ts');
    const input = await readPolicyInput(options.file);
    return withApi(options, async (api) => {
      const outcome = await api
        .json<PolicyOutcome>(options.whole ? 'PUT' : 'POST', '/v1/policy', {
          query: { dryRun: true },
          body: input.document,
        })
        .catch((error: unknown) => {
          throw input.located(error);
        });
      const { created, changed, deleted } = outcome;
      const differs = created + changed + deleted > 0;
      await print(options.output, outcome, () =>
        differs ? [...changeLines(outcome), countsText(outcome)] : [],
      );
      return differs ? exitCodes.failed : exitCodes.ok;
    });
  },
});
