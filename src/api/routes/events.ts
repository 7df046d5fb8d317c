/** What happens on the node, told as it happens: `GET /v1/events`. */
import type { FastifyInstance, FastifyReply } from 'fastify';
import { type Static, Type } from 'typebox';
import { type Principal, sees } from '../../access/principal.ts';
import { onRevoked } from '../../access/token-check.ts';
import { Guid } from '../../policy/resources.ts';
import { EventStream } from '../event-stream.ts';
import { eventTypes } from '../operations.ts';
import { problemResponses } from '../problem.ts';
import { tooMany } from '../request-limit.ts';
import type { ApiContext } from '../resource-routes.ts';

/** Streams at a time, of one principal and of all. */
const mostOfOne = 16;
const mostOfAll = 256;
/** Seconds after which a client may ask again whether a stream has ended. */
const retryAfter = 10;

const NodeEvent = Type.Object(
  {
    id: Type.String({ description: 'resume after it with Last-Event-ID or ?since=' }),
    at: Type.String({ format: 'date-time' }),
    type: Type.Union(
      eventTypes.map((type) => Type.Literal(type)),
      {
        description:
          'resource: a write was committed; policy: a whole policy was; status: what the kernel has of a resource changed; ' +
          'drift: the kernel was not as programmed; nat: NAT refuses sessions; ' +
          'siteConnection: a tunnel came up or went down, or could not be made; ' +
          'bgpPeer: a BGP session was established or ended; reset: events before this one are lost, read the resources anew',
      },
    ),
    routingDomainId: Type.Optional(Guid),
    path: Type.Optional(Type.String({ description: 'path of the resource that it is about' })),
    what: Type.Optional(
      Type.String({
        description:
          'resource: created, changed, deleted; status: the state; drift: found, mended; nat: refusing, recovered; ' +
          'siteConnection: up, down, failed; bgpPeer: up, down',
      }),
    ),
    reason: Type.Optional(Type.String({ description: 'why, or what was found, as a sentence' })),
    revision: Type.Optional(Type.Integer({ description: 'store revision, of resource and policy' })),
    created: Type.Optional(Type.Integer({ description: 'of policy: how many resources' })),
    changed: Type.Optional(Type.Integer()),
    deleted: Type.Optional(Type.Integer()),
  },
  { $id: 'NodeEvent', description: 'Something that happened on this node', additionalProperties: false },
);

const eventQuery = Type.Object(
  {
    since: Type.Optional(
      Type.String({ maxLength: 64, description: 'as Last-Event-ID, for clients that cannot set headers' }),
    ),
    routingDomainId: Type.Optional({ ...Guid, description: 'only what belongs to this routing domain' }),
    type: Type.Optional({ ...NodeEvent.properties.type, description: 'only events of this type, and reset' }),
  },
  { additionalProperties: false },
);

interface Shape {
  Querystring: Static<typeof eventQuery>;
}

export function events(app: FastifyInstance, context: ApiContext): void {
  const { store, operations } = context;
  const open = new Map<EventStream, Principal['id']>();
  app.addSchema(NodeEvent);
  app.addHook('preClose', async () => {
    for (const stream of open.keys()) stream.destroy();
  });

  app.get<Shape>(
    '/v1/events',
    {
      config: { access: 'scoped' },
      exposeHeadRoute: false, // it would read events for ever
      schema: {
        operationId: 'followEvents',
        summary: 'Follow what happens on the node',
        tags: ['node'],
        querystring: eventQuery,
        headers: Type.Object({
          'last-event-id': Type.Optional(Type.String({ description: 'id of the last event that was seen' })),
        }),
        response: {
          200: {
            description:
              'Server-sent events without end: id, event (the type) and data (a NodeEvent) of each, those that the node still ' +
              'has first. A tenant gets those of its routing domains.',
            content: { 'text/event-stream': { schema: { $ref: 'NodeEvent#' } } },
          },
          ...problemResponses(400, 500),
        },
      },
    },
    (request, reply) => {
      const { principal, query } = request;
      const { routingDomainId, type } = query;
      refuseTooMany(reply, [...open.values()], principal);
      // A client that reconnects by itself repeats the query of its first request.
      const last = request.headers['last-event-id']?.toString() ?? query.since;
      const stream = new EventStream(
        operations.events,
        (event) =>
          event.type === 'reset' ||
          (sees(principal, event.routingDomainId) &&
            (routingDomainId === undefined || event.routingDomainId === routingDomainId) &&
            (type === undefined || event.type === type)),
        last,
      );
      open.set(stream, principal.id);
      const unwatch = onRevoked(store.tokens, principal, () => stream.destroy());
      stream.once('close', () => {
        open.delete(stream);
        unwatch();
      });
      reply.header('cache-control', 'no-store');
      reply.header('x-content-type-options', 'nosniff');
      reply.header('x-accel-buffering', 'no'); // nginx would keep events back
      return reply.type('text/event-stream').send(stream);
    },
  );
}

function refuseTooMany(reply: FastifyReply, open: readonly string[], { id }: Principal): void {
  if (open.filter((other) => other === id).length >= mostOfOne)
    throw tooMany(reply, retryAfter, `You follow ${mostOfOne} event streams, and more are not possible`);
  if (open.length >= mostOfAll)
    throw tooMany(reply, retryAfter, `${mostOfAll} event streams are open, and this node has no more`);
}
