/** The gateway of a routing domain: that it exists makes this node that gateway. */
import type { FastifyInstance } from 'fastify';
import { type ApiContext, resourceRoutes } from '../resource-routes.ts';

export function gateway(app: FastifyInstance, context: ApiContext): void {
  resourceRoutes(app, context, {
    kind: 'gateway',
    name: 'Gateway',
    title: 'gateway',
    titles: 'gateway',
    path: '/v1/routing-domains/:rdid/gateway',
  });
}
