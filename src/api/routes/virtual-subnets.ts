/** Virtual subnets of a routing domain. */
import type { FastifyInstance } from 'fastify';
import { type ApiContext, resourceRoutes } from '../resource-routes.ts';

export function virtualSubnets(app: FastifyInstance, context: ApiContext): void {
  resourceRoutes(app, context, {
    kind: 'virtualSubnet',
    name: 'VirtualSubnet',
    title: 'virtual subnet',
    titles: 'virtual subnets',
    path: '/v1/routing-domains/:rdid/virtual-subnets',
    parameter: 'vsid',
  });
}
