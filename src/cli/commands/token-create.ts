/** Makes a token. */
import { withApi } from '../api.ts';
import { command } from '../command.ts';
import { resolveDomain } from '../domain.ts';
import { durationMs } from '../duration.ts';
import { UsageError } from '../failures.ts';
import { harmless } from '../harmless.ts';
import { outputOption, print } from '../output.ts';
import { connectionOptions } from '../server.ts';

export default command({
  name: 'token create',
  summary: 'make a token for the API, and print it',
  about: [
    'The token is printed once, to standard output, and nowhere else: the node keeps only what it can check it with. It is for ' +
      'administrators; the first one is made by root on the node itself, over its unix socket, which needs none.',
    'Roles: admin may do all, operator all but tokens and secrets, tenant sees the routing domains that --domain names and no sign ' +
      'of others.',
  ],
  arguments: { id: { summary: 'name of the token, shown in lists and in the audit log' } },
  options: {
    role: {
      type: 'string',
      value: 'ROLE',
      required: true,
      choices: ['admin', 'operator', 'tenant'],
      summary: 'what it may do',
    },
    domain: {
      type: 'string',
      short: 'd',
      value: 'DOMAIN',
      multiple: true,
      complete: 'domain',
      summary: 'a routing domain of a tenant: its RDID, or its name',
    },
    expires: {
      type: 'string',
      value: 'WHEN',
      summary: 'when it ends: in 30d or 12h, or at 2027-01-31 or 2027-01-31T12:00:00Z; never by default',
    },
    ...outputOption,
    ...connectionOptions,
  },
  examples: [
    {
      what: 'the first one, for a portal',
      line: '(umask 077; hnvgw token create portal --role admin > portal.token)',
    },
    {
      what: 'for a tenant, for a month',
      line: 'hnvgw token create contoso --role tenant --domain Contoso --expires 30d',
    },
  ],
  seeAlso: ['hnvgw token list', 'hnvgw token revoke', 'hnvgw audit'],
  run: ({ arguments: { id }, options }) => {
    const expires = options.expires === undefined ? undefined : timeOf(options.expires);
    return withApi(options, async (api) => {
      const routingDomains: string[] = [];
      for (const domain of options.domain) routingDomains.push(await resolveDomain(api, domain));
      const made = await api.json<{ token: string; expires?: string }>(
        'PUT',
        `/v1/tokens/${encodeURIComponent(id)}`,
        {
          body: {
            role: options.role,
            ...(routingDomains.length === 0 ? {} : { routingDomains }),
            ...(expires === undefined ? {} : { expires }),
          },
          headers: { 'if-none-match': '*' },
        },
      );
      await print(options.output, made, () => [made.token]);
      const end = made.expires === undefined ? 'never expires' : `expires ${made.expires}`;
      process.stderr.write(harmless(`token ${id} ${end}; it is not shown again`).concat('\n'));
      return undefined;
    });
  },
});

/** ISO 8601. */
function timeOf(text: string): string {
  const ms = durationMs(text);
  if (ms !== undefined) return new Date(Date.now() + ms).toISOString();
  const isDate = /^[0-9]{4}-[0-9]{2}-[0-9]{2}(T[0-9:.]+(Z|[+-][0-9]{2}:[0-9]{2}))?$/.test(text);
  const date = new Date(text);
  if (isDate && !Number.isNaN(date.getTime())) return date.toISOString();
  throw new UsageError(
    `--expires is ${text}, but must be a time such as 30d or 12h, or a date such as 2027-01-31 or 2027-01-31T12:00:00Z`,
    'token create',
  );
}
