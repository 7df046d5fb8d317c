/** Lists the tokens; hnvgw get tokens does the same. */
import { withApi } from '../api.ts';
import { command } from '../command.ts';
import { outputOption, printTable } from '../output.ts';
import { findResource, type Item } from '../resources.ts';
import { connectionOptions } from '../server.ts';

export default command({
  name: 'token list',
  summary: 'list the tokens, without their secrets',
  about: ['For administrators.'],
  arguments: {},
  options: { ...outputOption, ...connectionOptions },
  examples: [{ what: 'who has access to this node', line: 'hnvgw token list' }],
  seeAlso: ['hnvgw token create', 'hnvgw token revoke', 'hnvgw audit'],
  run: ({ options }) =>
    withApi(options, async (api) => {
      const { columns } = findResource('tokens', 'token list');
      const items = await api.list<Item>('/v1/tokens');
      await printTable(options.output, { items }, columns, items, 'There are no tokens.');
      return undefined;
    }),
});
