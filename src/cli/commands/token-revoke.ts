/** Ends a token. */
import { withApi } from '../api.ts';
import { command } from '../command.ts';
import { harmless } from '../harmless.ts';
import { connectionOptions } from '../server.ts';

export default command({
  name: 'token revoke',
  summary: 'end a token at once',
  about: [
    'The next request with it is refused, and the event streams that it has open end. For administrators.',
  ],
  arguments: { id: { summary: 'name of the token', complete: 'token' } },
  options: connectionOptions,
  examples: [{ what: 'that of a tenant who leaves', line: 'hnvgw token revoke contoso' }],
  seeAlso: ['hnvgw token list', 'hnvgw token create'],
  run: ({ arguments: { id }, options }) =>
    withApi(options, async (api) => {
      await api.json('DELETE', `/v1/tokens/${encodeURIComponent(id)}`);
      process.stderr.write(harmless(`token ${id} is revoked`).concat('\n'));
      return undefined;
    }),
});
