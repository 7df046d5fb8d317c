/** Lookup records of a routing domain: where each customer address lives. */
import type { FastifyInstance } from 'fastify';
import { type ApiContext, resourceRoutes } from '../resource-routes.ts';

export function lookupRecords(app: FastifyInstance, context: ApiContext): void {
  resourceRoutes(app, context, {
    kind: 'lookupRecord',
    name: 'LookupRecord',
    title: 'lookup record',
    titles: 'lookup records',
    path: '/v1/routing-domains/:rdid/lookup-records',
    parameter: 'id',
  });
}
