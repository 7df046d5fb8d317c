/** Routing domains, and the traffic counters of one. */
import type { FastifyInstance } from 'fastify';
import { type Static, Type } from 'typebox';
import { contextDropReason } from '../../encap/drop-reasons.ts';
import { pathParameters } from '../parameters.ts';
import { problemResponses } from '../problem.ts';
import { type ApiContext, requireDomain, resourceRoutes } from '../resource-routes.ts';
import { json } from '../resource-schemas.ts';

const Direction = Type.Object({
  packets: Type.Integer({ minimum: 0 }),
  bytes: Type.Integer({ minimum: 0, description: 'inner packets, from their IP header on' }),
});

const DomainCounters = Type.Object(
  {
    decapsulated: Direction,
    encapsulated: Direction,
    fast: Type.Object({ packets: Type.Integer({ minimum: 0 }) }),
    local: Direction,
    drops: Type.Record(Type.String(), Type.Integer({ minimum: 0 }), {
      description: 'dropped packets by reason; a reason that never happened is absent',
    }),
    nat: Type.Optional(
      Type.Object(
        {
          sessions: Type.Integer({ minimum: 0, description: 'that there are now' }),
          refused: Type.Object(
            {
              limit: Type.Integer({ minimum: 0, description: 'there were maxSessions' }),
              ports: Type.Integer({ minimum: 0, description: 'no external port was free' }),
              bindings: Type.Integer({
                minimum: 0,
                description: 'the external port was bound to another inside host',
              }),
            },
            { description: 'sessions that could not begin since the routing context was made' },
          ),
        },
        { description: 'of the routing context that this node has of the routing domain' },
      ),
    ),
  },
  {
    $id: 'DomainCounters',
    description:
      'decapsulated: from a tunnel to a port of this node (routing context or VM); encapsulated: from a port to a tunnel; ' +
      'fast: of both, what took the fast path; local: from a port to another one of this node',
  },
);

export function routingDomains(app: FastifyInstance, context: ApiContext): void {
  resourceRoutes(app, context, {
    kind: 'routingDomain',
    name: 'RoutingDomain',
    title: 'routing domain',
    titles: 'routing domains',
    path: '/v1/routing-domains',
    parameter: 'rdid',
  });

  const { store, operations } = context;
  app.addSchema(DomainCounters);
  app.get<{ Params: { rdid: string } }>(
    '/v1/routing-domains/:rdid/counters',
    {
      config: { access: 'domain' },
      schema: {
        operationId: 'getDomainCounters',
        summary: 'Read the traffic counters of a routing domain',
        tags: ['routing domains'],
        params: Type.Object({ rdid: pathParameters.rdid }),
        response: {
          200: json('DomainCounters', 'Counters since the routing domain was created'),
          ...problemResponses(400, 404, 500),
        },
      },
    },
    (request): Static<typeof DomainCounters> => {
      const { rdid } = request.params;
      requireDomain(store, rdid);
      const { drops, ...counters } = operations.domainCounters(rdid);
      const refused = operations.contextDrops(rdid);
      const nat = operations.natUse(rdid);
      return {
        ...counters,
        drops: refused === 0 ? drops : { ...drops, [contextDropReason.name]: refused },
        ...(nat === undefined ? {} : { nat }),
      };
    },
  );
}
