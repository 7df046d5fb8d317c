/** This node's provider addresses. */
import type { FastifyInstance } from 'fastify';
import { type ApiContext, resourceRoutes } from '../resource-routes.ts';

export function providerAddresses(app: FastifyInstance, context: ApiContext): void {
  resourceRoutes(app, context, {
    kind: 'providerAddress',
    name: 'ProviderAddress',
    title: 'provider address',
    titles: 'provider addresses',
    path: '/v1/provider-addresses',
    parameter: 'address',
  });
}
