/** Forwarding of a routing domain without NAT. */
import type { FastifyInstance } from 'fastify';
import { type ApiContext, resourceRoutes } from '../resource-routes.ts';

export function forwarding(app: FastifyInstance, context: ApiContext): void {
  resourceRoutes(app, context, {
    kind: 'forwarding',
    name: 'Forwarding',
    title: 'forwarding policy',
    titles: 'forwarding',
    path: '/v1/routing-domains/:rdid/forwarding',
  });
}
