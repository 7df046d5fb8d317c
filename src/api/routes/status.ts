/** What the node says about itself: status, and the probes of whoever runs it. */
import type { FastifyInstance } from 'fastify';
import { type Static, Type } from 'typebox';
import { problemResponses } from '../problem.ts';
import type { ApiContext } from '../resource-routes.ts';
import { json, Status } from '../resource-schemas.ts';

const counts = Type.Integer({ minimum: 0 });

const NodeStatus = Type.Object(
  {
    version: Type.String(),
    role: Type.Union([Type.Literal('gateway'), Type.Literal('host')]),
    instance: Type.String(),
    ready: Type.Boolean({
      description: 'the kernel has followed the whole store once since the process began',
    }),
    appliedRevision: Type.Integer({ description: 'store revision that the kernel has caught up with' }),
    revision: Type.Integer({ description: 'store revision' }),
    routingDomains: Type.Object({ ready: counts, pending: counts, failed: counts }),
    warnings: Type.Array(Type.String(), {
      description:
        'what an operator should know, for example that the provider network leaves less than 1500 bytes inside',
    }),
    features: Type.Array(
      Type.Object({
        name: Type.String(),
        present: Type.Boolean(),
        note: Type.String({ description: 'what is done without it' }),
      }),
      { description: 'features of this kernel' },
    ),
    unattributedDrops: Type.Record(Type.String(), counts, {
      description: 'dropped packets that belong to no routing domain, by reason',
    }),
    recentDrops: Type.Array(
      Type.Object({
        at: Type.String({ format: 'date-time' }),
        reason: Type.String(),
        routingDomainId: Type.Optional(Type.String()),
        interface: Type.String(),
        length: Type.Integer({ minimum: 0, description: 'bytes, as it arrived' }),
        head: Type.String({ description: 'beginning of the packet, hexadecimal' }),
      }),
      { description: 'sampled: at most 100 a second for each routing domain and CPU' },
    ),
    started: Type.String({ format: 'date-time', description: 'when this process began' }),
    uptimeSeconds: counts,
    storeBytes: Type.Integer({ minimum: 0, description: 'on disk, with the write-ahead log' }),
    sequencer: Type.Object({
      queueLength: Type.Integer({
        minimum: 0,
        description: 'routing domains that are worked on or wait for that',
      }),
      retries: Type.Integer({
        minimum: 0,
        description: 'what was tried again because it had failed, since the start',
      }),
    }),
    drift: Type.Object(
      { found: counts, mended: counts },
      { description: 'what was found in the kernel otherwise than programmed, since the start' },
    ),
    learning: Type.Optional(
      Type.Object(
        { learned: counts, refused: counts, overLimit: counts, overRate: counts, aged: counts },
        { description: 'what became of addresses that were seen at ports that learn; of a host' },
      ),
    ),
    fastPath: Type.Optional(
      Type.Object(
        {
          reason: Type.Optional(Type.String({ description: 'why there is no fast path' })),
          interfaces: Type.Array(
            Type.Object({
              name: Type.String(),
              carrier: Type.Union([Type.Literal('native'), Type.Literal('generic')], {
                description: 'in the driver of the NIC (XDP), or behind it',
              }),
              reason: Type.Optional(Type.String({ description: 'why it is not native' })),
            }),
            { description: 'NICs between which established connections take the fast path' },
          ),
        },
        { description: 'the fast path; of a gateway' },
      ),
    ),
    problems: Type.Array(
      Type.Object({
        path: Type.String(),
        ...Status.properties,
      }),
      { description: 'the first 100 resources that are not ready' },
    ),
  },
  { $id: 'NodeStatus' },
);

const Health = Type.Object({ alive: Type.Literal(true) }, { $id: 'Health' });
const Readiness = Type.Object({ ready: Type.Boolean() }, { $id: 'Readiness' });

const tags = ['node'];

export function status(app: FastifyInstance, context: ApiContext): void {
  const { operations } = context;
  for (const schema of [NodeStatus, Health, Readiness]) app.addSchema(schema);

  app.get(
    '/v1/status',
    {
      config: { access: 'operator' },
      schema: {
        operationId: 'getStatus',
        summary: 'Read the status of the node',
        tags,
        response: { 200: json('NodeStatus', 'Status of the node'), ...problemResponses(500) },
      },
    },
    (): Static<typeof NodeStatus> => operations.nodeStatus(),
  );

  app.get(
    '/healthz',
    {
      config: { access: 'anyone' },
      schema: {
        operationId: 'getHealth',
        summary: 'Find out whether the process is alive',
        tags,
        response: { 200: json('Health', 'The process is alive') },
      },
    },
    (): Static<typeof Health> => ({ alive: true }),
  );

  app.get(
    '/readyz',
    {
      config: { access: 'anyone' },
      schema: {
        operationId: 'getReadiness',
        summary: 'Find out whether the kernel has followed the store',
        tags,
        response: {
          200: json('Readiness', 'The kernel has followed the whole store once since the process began'),
          503: json('Readiness', 'Not yet'),
          ...problemResponses(500),
        },
      },
    },
    (_request, reply): Static<typeof Readiness> => {
      const ready = operations.isReady();
      reply.code(ready ? 200 : 503);
      return { ready };
    },
  );
}
