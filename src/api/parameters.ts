/**
 * Checks path and query parameters against the schemas of their route. They arrive as text: integers are read, an RDID
 * is taken in any case, and nothing else is converted.
 */
import type { FastifySchemaCompiler } from 'fastify';
import { type TSchema, Type } from 'typebox';
import { compileSchema, fieldName } from '../config/schema-violation.ts';
import { HnvError } from '../errors.ts';
import { Guid, InterfaceName, ResourceId, VirtualSubnetId } from '../policy/resources.ts';

/** Every path parameter. */
export const pathParameters = {
  rdid: Guid,
  vsid: VirtualSubnetId,
  id: ResourceId,
  name: ResourceId,
  address: Type.String({ maxLength: 45, description: 'IP address' }),
  interface: InterfaceName,
} as const;
export type PathParameter = keyof typeof pathParameters;

/**
 * Fastify's validator compiler. Bodies are checked by the routes instead, since a PATCH is no whole value; of headers,
 * any text is right.
 */
export const parameterCompiler: FastifySchemaCompiler<TSchema> = ({ schema, httpPart }) => {
  if (httpPart === 'body' || httpPart === 'headers') return (value) => ({ value });
  const check = compileSchema(schema);
  return (given: Record<string, string>) => {
    const checked = check(readParameters(schema, given));
    if ('value' in checked) return checked;
    const { pointer, rule, reason } = checked.violation;
    const sentence = `The parameter ${fieldName(pointer, 'list')} ${reason}.`;
    return { error: new HnvError('HNV_INVALID_FIELD', sentence, { rule }) };
  };
};

function readParameters(schema: TSchema, given: Record<string, string>): Record<string, unknown> {
  const properties = 'properties' in schema ? (schema.properties as Record<string, { type?: string }>) : {};
  return Object.fromEntries(
    Object.entries(given).map(([name, text]) => {
      if (name === 'rdid' || name === 'routingDomainId') return [name, text.toLowerCase()];
      const isInteger = properties[name]?.type === 'integer' && /^(0|[1-9][0-9]{0,14})$/.test(text);
      return [name, isInteger ? Number(text) : text];
    }),
  );
}
