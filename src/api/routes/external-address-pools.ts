/** The node's external address pools. */
import type { FastifyInstance } from 'fastify';
import { type ApiContext, resourceRoutes } from '../resource-routes.ts';

export function externalAddressPools(app: FastifyInstance, context: ApiContext): void {
  resourceRoutes(app, context, {
    kind: 'externalAddressPool',
    name: 'ExternalAddressPool',
    title: 'external address pool',
    titles: 'external address pools',
    path: '/v1/external-address-pools',
    parameter: 'name',
  });
}
