/** Routes of this node in the provider network. */
import type { FastifyInstance } from 'fastify';
import { type ApiContext, resourceRoutes } from '../resource-routes.ts';

export function providerRoutes(app: FastifyInstance, context: ApiContext): void {
  resourceRoutes(app, context, {
    kind: 'providerRoute',
    name: 'ProviderRoute',
    title: 'provider route',
    titles: 'provider routes',
    path: '/v1/provider-routes',
    parameter: 'id',
  });
}
