/** Customer routes of a routing domain. */
import type { FastifyInstance } from 'fastify';
import { type ApiContext, resourceRoutes } from '../resource-routes.ts';

export function customerRoutes(app: FastifyInstance, context: ApiContext): void {
  resourceRoutes(app, context, {
    kind: 'customerRoute',
    name: 'CustomerRoute',
    title: 'customer route',
    titles: 'customer routes',
    path: '/v1/routing-domains/:rdid/customer-routes',
    parameter: 'id',
  });
}
