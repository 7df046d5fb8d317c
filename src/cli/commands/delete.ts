/** Removes a resource. */
import { withApi } from '../api.ts';
import { command } from '../command.ts';
import { domainOption } from '../domain.ts';
import { UsageError } from '../failures.ts';
import { findResource } from '../resources.ts';
import { connectionOptions } from '../server.ts';
import { readWait, waitOption } from '../wait-option.ts';
import { requireIdFits, resourcePath } from './get.ts';

export default command({
  name: 'delete',
  summary: 'remove a resource',
  about: [
    'Removes the resource and waits until it is gone from the kernel too. A routing domain goes with all that belongs to it; what ' +
      'ports or others still depend on stays, and the answer names them.',
  ],
  arguments: {
    resource: { summary: 'what to remove, as for hnvgw get', complete: 'resource' },
    id: {
      summary: 'which one of them; gateway, nat, forwarding and bgp have none',
      optional: true,
      complete: 'id',
    },
  },
  options: { ...domainOption, ...waitOption, ...connectionOptions },
  examples: [
    { what: 'a lookup record', line: 'hnvgw delete lookup-record web1 -d Contoso' },
    { what: 'the NAT of a routing domain', line: 'hnvgw delete nat -d Contoso' },
    { what: 'a routing domain and all that it has', line: 'hnvgw delete routing-domain Contoso' },
  ],
  seeAlso: ['hnvgw get', 'hnvgw apply', 'hnvgw token revoke'],
  run: ({ arguments: { resource: word, id }, options }) => {
    const resource = findResource(word, 'delete');
    if (resource.name === 'policy')
      throw new UsageError('the policy cannot be deleted, but emptied: hnvgw apply --whole', 'delete');
    if (resource.name === 'tokens')
      throw new UsageError('tokens are revoked: hnvgw token revoke ID', 'delete');
    requireIdFits(resource, id, 'delete');
    if (resource.id !== undefined && id === undefined)
      throw new UsageError(`ID is missing: which ${resource.singular} is to go`, 'delete');
    const wait = readWait(options.wait, 'delete');
    return withApi(options, async (api) => {
      const path = await resourcePath(api, resource, options.domain, id, 'delete');
      await api.json('DELETE', path, { query: wait.query, silenceMs: wait.silenceMs });
      process.stderr.write(`deleted ${path.replace(/^\/v1\//, '')}\n`);
      return undefined;
    });
  },
});
