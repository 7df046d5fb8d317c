/**
 * The route schemas of a family of resources: what its operations take and answer, for the check of parameters and for
 * the OpenAPI document. The forms in which a resource comes in and goes out are named components of that document.
 */
import { type TSchema, Type } from 'typebox';
import { inputProperties, type ResourceKind, resourceSchemas } from '../policy/resources.ts';
import { holdsSecret, withoutSecrets } from '../policy/secrets.ts';
import { exampleStatus, examples } from './examples.ts';
import { type PathParameter, pathParameters } from './parameters.ts';
import { problemResponses } from './problem.ts';
import { isInDomain, namingField, type ResourceFamily } from './resource-family.ts';
import { Wait } from './wait.ts';

const closed = { additionalProperties: false } as const;

export const Status = Type.Object(
  {
    state: Type.Union([Type.Literal('ready'), Type.Literal('pending'), Type.Literal('failed')]),
    reason: Type.Optional(Type.String({ description: 'why it is not ready' })),
    since: Type.String({ format: 'date-time' }),
  },
  { $id: 'Status', description: 'What the kernel has, not what was asked for', ...closed },
);

/**
 * Which writes can be refused for the sake of other resources: those of a routing domain by itself never are, nor those of BGP. Patches
 * count as writes, but only that of a NAT policy can make more of what the node's capacity counts.
 */
const conflictingDeletes: readonly ResourceKind[] = [
  ...(['routingDomain', 'virtualSubnet', 'customerRoute', 'gateway', 'nat', 'forwarding'] as const),
  ...(['siteConnection', 'providerAddress', 'externalAddressPool'] as const),
];
const countedKinds: readonly ResourceKind[] = [
  'routingDomain',
  'lookupRecord',
  'customerRoute',
  'nat',
  'siteConnection',
  'port',
];

/** Items of a list when `limit` is absent. */
export const defaultLimit = 100;

const writeQuery = Type.Object({ wait: Type.Optional(Wait) }, closed);
/** Parameters of every list. */
export const listQuery = Type.Object(
  {
    limit: Type.Optional(
      Type.Integer({
        minimum: 1,
        maximum: 1000,
        default: defaultLimit,
        description: 'most items in the answer',
      }),
    ),
    cursor: Type.Optional(Type.String({ maxLength: 256, description: '`next` of the page before' })),
  },
  closed,
);

export const ifMatch = { 'if-match': header('do it only if the resource has this ETag') };
export const noneMatchRead = { 'if-none-match': header('answer 304 if the resource has this ETag') };
export const noneMatchWrite = { 'if-none-match': header('*: do it only if there is no such resource yet') };
export const etag = { etag: { type: 'string', description: 'revision of the resource, for If-Match' } };

function header(description: string) {
  return Type.Optional(Type.String({ description }));
}

/** The named components of a family, for `addSchema`. */
export function resourceComponents(family: ResourceFamily): TSchema[] {
  const { kind, name, parameter } = family;
  const naming = namingField(family);
  const status = Type.Unsafe({ $ref: 'Status#' });
  const input = Type.Object(inputProperties(kind), {
    $id: name,
    ...closed,
    examples: examples[kind].map(([, value]) => value),
  });
  const output = Type.Object(
    { [naming]: pathParameters[naming], ...shownProperties(resourceSchemas[kind].properties), status },
    {
      $id: `${name}Resource`,
      ...closed,
      examples: examples[kind].map(([own, value]) => ({
        [naming]: own,
        ...withoutSecrets(kind, value),
        status: exampleStatus,
      })),
    },
  );
  if (parameter === undefined) return [input, output];
  const list = Type.Object(
    {
      items: Type.Array(Type.Unsafe({ $ref: `${name}Resource#` })),
      next: Type.Optional(Type.String({ description: 'cursor of the next page; absent on the last one' })),
    },
    { $id: `${name}List`, ...closed },
  );
  return [input, output, list];
}

/** As they go out: without those that only come in, inside of objects too. */
function shownProperties(properties: Record<string, TSchema>): Record<string, TSchema> {
  const shown = Object.entries(properties).filter(([, schema]) => !('writeOnly' in schema));
  return Object.fromEntries(shown.map(([name, schema]) => [name, shownSchema(schema)]));
}

function shownSchema(schema: TSchema): TSchema {
  if (!holdsSecret(schema)) return schema;
  if (Type.IsArray(schema)) return { ...schema, items: shownSchema(schema.items) };
  if (!Type.IsObject(schema)) return schema;
  const { properties, type: _type, required: _required, ...options } = schema;
  return Type.Object(shownProperties(properties), options);
}

/** The route schema of each operation. */
export function operationSchemas(family: ResourceFamily) {
  const { kind, name, title, titles, parameter } = family;
  const tags = [titles];
  const domain: PathParameter[] = isInDomain(family) ? ['rdid'] : [];
  const one = { tags, params: params(...domain, ...(parameter === undefined ? [] : [parameter])) };
  const inDomain = domain.length > 0 ? ([404] as const) : [];
  const conflict = kind === 'routingDomain' || kind === 'bgp' ? [] : ([409] as const);
  const full = countedKinds.includes(kind) ? ([507] as const) : [];
  const answer = (description: string) => ({ ...json(`${name}Resource`, description), headers: etag });
  return {
    list: {
      operationId: `list${name}`,
      summary: `List ${titles}`,
      tags,
      ...(domain.length > 0 ? { params: params(...domain) } : {}),
      querystring: listQuery,
      response: {
        200: json(`${name}List`, `A page of ${titles}`),
        ...problemResponses(400, ...inDomain, 500),
      },
    },
    get: {
      operationId: `get${name}`,
      summary: `Read a ${title}`,
      ...one,
      headers: Type.Object(noneMatchRead),
      response: {
        200: answer(`The ${title}`),
        304: { description: 'The resource has the ETag of If-None-Match', headers: etag, type: 'null' },
        ...problemResponses(400, 404, 500),
      },
    },
    put: {
      operationId: `put${name}`,
      summary: `Create or replace a ${title}`,
      ...one,
      headers: Type.Object({ ...ifMatch, ...noneMatchWrite }),
      querystring: writeQuery,
      body: { $ref: `${name}#` },
      response: {
        200: answer(`The ${title} was there and has been replaced`),
        201: answer(`The ${title} has been created`),
        ...problemResponses(400, ...inDomain, ...conflict, 412, 500, ...full),
      },
    },
    patch: {
      operationId: `patch${name}`,
      summary: `Change fields of a ${title} (JSON Merge Patch, RFC 7396)`,
      ...one,
      headers: Type.Object(ifMatch),
      querystring: writeQuery,
      consumes: ['application/merge-patch+json', 'application/json'],
      body: Type.Object(
        {},
        { description: `The fields of the ${title} to change; null removes one or sets its default` },
      ),
      response: {
        200: answer(`The ${title} after the change`),
        ...problemResponses(400, 404, ...conflict, 412, 500, ...(kind === 'nat' ? full : [])),
      },
    },
    delete: {
      operationId: `delete${name}`,
      summary: `Remove a ${title}`,
      ...one,
      headers: Type.Object(ifMatch),
      querystring: writeQuery,
      response: {
        204: { description: `The ${title} has been removed`, type: 'null' },
        ...problemResponses(
          ...([400, 404] as const),
          ...(conflictingDeletes.includes(kind) ? ([409] as const) : []),
          ...([412, 500] as const),
        ),
      },
    },
  };
}

/** An OpenAPI response with a component as its body. */
export function json(component: string, description: string) {
  return { description, content: { 'application/json': { schema: { $ref: `${component}#` } } } };
}

function params(...names: PathParameter[]) {
  return Type.Object(Object.fromEntries(names.map((name) => [name, pathParameters[name]])));
}
