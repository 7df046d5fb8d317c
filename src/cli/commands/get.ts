/** Reads resources. */
import { type Api, withApi } from '../api.ts';
import { command } from '../command.ts';
import { domainOption, resolveDomain } from '../domain.ts';
import { UsageError } from '../failures.ts';
import { outputOption, print, printTable, yamlText } from '../output.ts';
import { findResource, type Item, pathOf, type Resource, resources } from '../resources.ts';
import { connectionOptions } from '../server.ts';

export default command({
  name: 'get',
  summary: 'show resources',
  about: [
    'A list is a table, with the state of each resource in the kernel; one resource is shown whole, as YAML. policy is all that the ' +
      'node is told, as hnvgw apply takes it.',
    `Resources: ${resources.map(({ name, short }) => (short.length > 0 ? `${name} (${short.join(', ')})` : name)).join('; ')}. ` +
      'The singular will do too.',
    `Those of a routing domain need --domain: ${resources
      .filter((each) => each.of === 'domain')
      .map(({ name }) => name)
      .join(', ')}.`,
  ],
  arguments: {
    resource: { summary: 'what to show', complete: 'resource' },
    id: { summary: 'which one of them; all when absent', optional: true, complete: 'id' },
  },
  options: { ...domainOption, ...outputOption, ...connectionOptions },
  examples: [
    { what: 'the routing domains', line: 'hnvgw get routing-domains' },
    { what: 'the lookup records of one, by its name', line: 'hnvgw get records -d Contoso' },
    { what: 'one of them, with all its fields', line: 'hnvgw get record web1 -d Contoso' },
    {
      what: 'for a program: what is not ready',
      line: `hnvgw get records -d Contoso -o json | grep -c '"state": "pending"'`,
    },
  ],
  seeAlso: ['hnvgw delete', 'hnvgw apply', 'hnvgw status'],
  run: ({ arguments: { resource: word, id }, options }) => {
    const resource = findResource(word, 'get');
    requireIdFits(resource, id, 'get');
    return withApi(options, async (api) => {
      const path = await resourcePath(api, resource, options.domain, id, 'get');
      if (id !== undefined || resource.id === undefined) {
        const item = await api.json<Item>('GET', path);
        await print(options.output, item, async () => [(await yamlText(item)).trimEnd()]);
        return undefined;
      }
      const items = await api.list<Item>(path);
      await printTable(
        options.output,
        { items },
        resource.columns,
        items,
        `There are no ${resource.name.replace('-', ' ')}.`,
      );
      return undefined;
    });
  },
});

/** Throws UsageError for an id of what there is only one of. */
export function requireIdFits(resource: Resource, id: string | undefined, command: string): void {
  if (id === undefined || resource.id !== undefined) return;
  throw new UsageError(`there is only one ${resource.singular}, so it has no id such as ${id}`, command);
}

/** The path of what is meant; asks the API when a domain is named by its name. Throws UsageError. */
export async function resourcePath(
  api: Api,
  resource: Resource,
  domain: string | undefined,
  id: string | undefined,
  command: string,
): Promise<string> {
  if (resource.of === 'domain') {
    if (domain === undefined)
      throw new UsageError(
        `${resource.name} ${resource.id === undefined ? 'is' : 'are'} of a routing domain: say which with -d DOMAIN`,
        command,
      );
    return pathOf(resource, await resolveDomain(api, domain), id);
  }
  if (domain !== undefined)
    throw new UsageError(`-d is for what a routing domain has, and not for ${resource.name}`, command);
  const isDomain = resource.id === 'rdid' && id !== undefined;
  return pathOf(resource, undefined, isDomain ? await resolveDomain(api, id) : id);
}
