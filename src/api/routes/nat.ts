/** The NAT policy of a routing domain. */
import type { FastifyInstance } from 'fastify';
import { type ApiContext, resourceRoutes } from '../resource-routes.ts';

export function nat(app: FastifyInstance, context: ApiContext): void {
  resourceRoutes(app, context, {
    kind: 'nat',
    name: 'Nat',
    title: 'NAT policy',
    titles: 'NAT',
    path: '/v1/routing-domains/:rdid/nat',
  });
}
