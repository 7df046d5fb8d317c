/** Ports of VMs on this node, by the name of the interface. */
import type { FastifyInstance } from 'fastify';
import { type ApiContext, resourceRoutes } from '../resource-routes.ts';

export function ports(app: FastifyInstance, context: ApiContext): void {
  resourceRoutes(app, context, {
    kind: 'port',
    name: 'Port',
    title: 'port',
    titles: 'ports',
    path: '/v1/ports',
    parameter: 'interface',
  });
}
