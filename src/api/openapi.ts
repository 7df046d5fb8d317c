/**
 * The OpenAPI document, as far as it is the same for every route: what the API is, and what the access that a route
 * declares means to its callers. The rest of it is the schemas of the routes.
 */
import type { FastifyDynamicSwaggerOptions } from '@fastify/swagger';
import type { FastifySchema } from 'fastify';
import type { Access } from '../access/principal.ts';
import { problemResponses } from './problem.ts';

/** The roles that may call a route. */
const roles: Record<Access, readonly string[]> = {
  anyone: [],
  scoped: ['admin', 'operator', 'tenant'],
  domain: ['admin', 'operator', 'tenant'],
  operator: ['admin', 'operator'],
  admin: ['admin'],
};

/** Options of the plugin that collects the routes. */
export function documentOptions(version: string): FastifyDynamicSwaggerOptions {
  return {
    openapi: {
      openapi: '3.1.0',
      info: {
        title: 'hnvgw',
        description: 'Multi-tenant gateway and host for Hyper-V Network Virtualization (NVGRE)',
        version,
        license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
      },
      components: {
        securitySchemes: {
          bearer: {
            type: 'http',
            scheme: 'bearer',
            description:
              'A token that `hnvgw token create` or `PUT /v1/tokens/{id}` gave out; each alternative names a role that may ' +
              'call the operation. Over the unix socket of the node no token is needed.',
          },
        },
      },
    },
    refResolver: {
      buildLocalReference: (schema, _base, _fragment, index) => String(schema.$id ?? `def-${index}`),
    },
    transform: ({ schema, url, route }) => {
      const { access } = route.config ?? {};
      if (access === undefined) return { schema, url };
      const isRead = route.method === 'GET' || route.method === 'HEAD';
      return { schema: withRefusals(schema, access, isRead ? [] : bodyRefusals), url };
    },
  };
}

/** A body that cannot be read is refused also where none is needed. */
const bodyRefusals = [400, 413, 415] as const;

/** How a route refuses those whom it is not for. What is not a tenant's own does not exist for it. */
const refusals: Record<Access, readonly (401 | 403 | 404 | 429)[]> = {
  anyone: [429],
  scoped: [401, 429],
  domain: [401, 404, 429],
  operator: [401, 403, 429],
  admin: [401, 403, 429],
};

/** The schema with the tokens that the route asks for, and with how it refuses whatever it is about. */
function withRefusals(
  schema: FastifySchema,
  access: Access,
  more: readonly (typeof bodyRefusals)[number][],
): FastifySchema {
  const security = roles[access].map((role) => ({ bearer: [role] }));
  const refused = problemResponses(...refusals[access], ...more);
  return { ...schema, security, response: { ...refused, ...(schema.response as object) } };
}
