/** The reference page of the REST API: every operation and every body of the OpenAPI document, as Markdown. */

interface Schema {
  $ref?: string;
  type?: string;
  description?: string;
  properties?: Record<string, Schema>;
  required?: string[];
  items?: Schema;
  anyOf?: Schema[];
  enum?: unknown[];
  const?: unknown;
  default?: unknown;
  examples?: unknown[];
  patternProperties?: Record<string, Schema>;
  [keyword: string]: unknown;
}

interface Operation {
  operationId: string;
  summary: string;
  tags: string[];
  security?: Record<string, string[]>[];
  parameters?: { name: string; in: string; required?: boolean; description?: string; schema: Schema }[];
  requestBody?: { content: Record<string, { schema: Schema }> };
  responses: Record<
    string,
    { description: string; headers?: Record<string, unknown>; content?: Record<string, { schema?: Schema }> }
  >;
}

export interface OpenApi {
  paths: Record<string, Record<string, Operation>>;
  components: { schemas: Record<string, Schema> };
}

const INTRODUCTION = [
  '# REST API',
  '',
  '<!-- Written by scripts/generate-api.ts (npm run generate); do not edit. -->',
  '',
  'What `GET /openapi.json` says, on one page; `/docs` of a running node shows it with forms to try it. JSON in UTF-8; `PUT` creates or',
  'replaces, `PATCH` is a JSON Merge Patch (RFC 7396), `DELETE` answers 204. Lists come in pages: pass `next` on as `cursor`. Errors are',
  '`application/problem+json` (RFC 9457) with a `code` of [errors](errors.md) and, when a rule is broken, its name of [rules](rules.md).',
  'Every answer with a resource has an `ETag`; with `If-Match` a write is made only if the resource is still at it.',
  '',
];

/** The whole page. */
export function restPage(document: OpenApi): string {
  const operations = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({ path, method: method.toUpperCase(), operation })),
  );
  const tags = [...new Set(operations.flatMap(({ operation }) => operation.tags))];
  const lines = [...INTRODUCTION];
  for (const tag of tags) {
    lines.push(`## ${capital(tag)}`, '');
    for (const { path, method, operation } of operations.filter((each) => each.operation.tags.includes(tag)))
      lines.push(...operationLines(path, method, operation));
  }
  lines.push('## Bodies', '');
  for (const [name, schema] of Object.entries(document.components.schemas).sort(([a], [b]) =>
    a < b ? -1 : 1,
  ))
    lines.push(...componentLines(name, schema));
  return `${lines.join('\n').trimEnd()}\n`;
}

function operationLines(path: string, method: string, operation: Operation): string[] {
  const roles = (operation.security ?? []).flatMap((each) => each.bearer ?? []);
  const lines = [
    `### ${method} ${path}`,
    '',
    `${operation.summary}. ${roles.length === 0 ? 'No token is needed.' : `Roles: ${roles.join(', ')}.`}`,
    '',
  ];
  for (const { name, in: place, required, description, schema } of operation.parameters ?? []) {
    const about = description === undefined ? '' : `: ${description}`;
    lines.push(`- ${place} \`${name}\`${required ? '' : ', optional'}, ${typeText(schema)}${about}`);
  }
  for (const [type, { schema }] of Object.entries(operation.requestBody?.content ?? {}))
    lines.push(`- body ${typeText(schema)}, \`${type}\``);
  const answers = Object.entries(operation.responses).filter(([status]) => Number(status) < 400);
  for (const [status, { description, headers, content }] of answers) {
    const names = Object.keys(headers ?? {}).map((name) => `, header \`${name}\``);
    const bodies = Object.entries(content ?? {}).map(([type, { schema }]) =>
      type === 'application/json' ? `, ${typeText(schema ?? {})}` : `, \`${type}\``,
    );
    lines.push(`- ${status}: ${description}${bodies.join('')}${names.join('')}`);
  }
  const errors = Object.keys(operation.responses).filter((status) => Number(status) >= 400);
  if (errors.length > 0) lines.push(`- errors: ${errors.join(', ')}`);
  return [...lines, ''];
}

function componentLines(name: string, schema: Schema): string[] {
  const lines = [`### ${name}`, ''];
  if (schema.description !== undefined) lines.push(`${sentence(schema.description)}`, '');
  if (schema.properties !== undefined) {
    lines.push('| field | type | |', '|---|---|---|', ...fieldRows(schema, ''), '');
  }
  const [example] = schema.examples ?? [];
  if (example !== undefined) lines.push('```json', JSON.stringify(example, undefined, 2), '```', '');
  return lines;
}

/** The fields of an object, and below them those of what is in it. */
function fieldRows(schema: Schema, prefix: string): string[] {
  const required = schema.required ?? [];
  return Object.entries(schema.properties ?? {}).flatMap(([name, field]) => {
    const path = `${prefix}${name}`;
    const standard = field.default === undefined ? '' : `default \`${JSON.stringify(field.default)}\`; `;
    const optional = required.includes(name) || standard !== '' ? '' : 'optional; ';
    const about = `${optional}${standard}${field.description ?? ''}`.replace(/; $/, '');
    const row = `| \`${path}\` | ${typeText(field)} | ${about.replaceAll('|', '\\|')} |`;
    if (field.properties !== undefined) return [row, ...fieldRows(field, `${path}.`)];
    if (field.items?.properties !== undefined) return [row, ...fieldRows(field.items, `${path}[].`)];
    return [row];
  });
}

function typeText(schema: Schema): string {
  if (schema.$ref !== undefined) {
    const name = schema.$ref.split('/').at(-1) ?? '';
    return `[${name}](#${name.toLowerCase()})`;
  }
  if (schema.const !== undefined) return `\`${JSON.stringify(schema.const)}\``;
  const options = schema.enum?.map((value) => `\`${JSON.stringify(value)}\``) ?? schema.anyOf?.map(typeText);
  if (options !== undefined) return options.join(' or ');
  if (schema.type === 'array') return `list of ${typeText(schema.items ?? {})}${limits(schema, 'Items', '')}`;
  if (schema.type === 'string') return `string${limits(schema, 'Length', ' characters')}`;
  if (schema.type === 'integer') return `integer${limits(schema, 'imum', '')}`;
  return schema.type ?? 'any';
}

/** `, 1 to 8`, of minItems and maxItems or their like. */
function limits(schema: Schema, keyword: string, unit: string): string {
  const least = schema[`min${keyword}`];
  const most = schema[`max${keyword}`];
  if (least === undefined && most === undefined) return '';
  if (most === undefined) return `, ${least} or more${unit}`;
  return least === undefined ? `, at most ${most}${unit}` : `, ${least} to ${most}${unit}`;
}

function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

function sentence(text: string): string {
  return `${capital(text).replace(/\.$/, '')}.`;
}
