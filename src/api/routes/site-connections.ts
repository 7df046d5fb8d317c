/** Site connections of a routing domain, and what the tunnel of one is doing just now. */
import type { FastifyInstance } from 'fastify';
import { Type } from 'typebox';
import { type ResourceStatus, type SiteConnectionLive, siteStates } from '../operations.ts';
import { pathParameters } from '../parameters.ts';
import { problemResponses } from '../problem.ts';
import { noSuchResource } from '../resource-family.ts';
import { type ApiContext, requireDomain, resourceRoutes } from '../resource-routes.ts';
import { json } from '../resource-schemas.ts';

const closed = { additionalProperties: false } as const;
const seconds = Type.Integer({ minimum: 0 });
const time = Type.String({ format: 'date-time' });
const address = Type.String({ maxLength: 45 });
const Amount = (description: string) =>
  Type.Object(
    { packets: Type.Integer({ minimum: 0 }), bytes: Type.Integer({ minimum: 0 }) },
    { ...closed, description },
  );

const SiteChildSa = Type.Object(
  {
    state: Type.String({ description: 'as the IKE daemon has it: INSTALLED, REKEYING' }),
    ageSeconds: seconds,
    rekeySeconds: Type.Optional({ ...seconds, description: 'until new keys are made' }),
    spiIn: Type.String({ description: '8 hexadecimal digits' }),
    spiOut: Type.String({ description: '8 hexadecimal digits' }),
    encapsulated: Type.Boolean({ description: 'inside of UDP (RFC 3948)' }),
    encryption: Type.String(),
    integrity: Type.Optional(Type.String({ description: 'absent where the cipher does it' })),
    diffieHellmanGroup: Type.Optional(
      Type.String({ description: 'of its own exchange; absent for the first keys of an IKE SA' }),
    ),
    localSubnets: Type.Array(Type.String()),
    remoteSubnets: Type.Array(Type.String()),
    received: Amount('from the site, as packets are inside of the tunnel'),
    sent: Amount('to the site'),
  },
  { $id: 'SiteChildSa', ...closed, description: 'An SA of ESP, both directions' },
);

const SiteIkeSa = Type.Object(
  {
    state: Type.String({ description: 'as the IKE daemon has it: ESTABLISHED, CONNECTING, REKEYING' }),
    initiator: Type.Boolean({ description: 'this side began' }),
    ageSeconds: seconds,
    rekeySeconds: Type.Optional({ ...seconds, description: 'until it is made anew' }),
    localAddress: address,
    localPort: Type.Integer({ minimum: 0, maximum: 65535 }),
    localId: Type.String(),
    remoteAddress: address,
    remotePort: Type.Integer({ minimum: 0, maximum: 65535 }),
    remoteId: Type.String(),
    natLocal: Type.Boolean({ description: 'this side is behind a NAT' }),
    natRemote: Type.Boolean({ description: 'the site is behind a NAT' }),
    encryption: Type.String(),
    integrity: Type.Optional(Type.String({ description: 'absent where the cipher does it' })),
    prf: Type.String({ description: 'pseudo-random function' }),
    diffieHellmanGroup: Type.String(),
    childSas: Type.Array(Type.Unsafe({ $ref: 'SiteChildSa#' })),
  },
  { $id: 'SiteIkeSa', ...closed, description: 'An SA of IKE, with the SAs of ESP that it has made' },
);

const SiteConnectionSas = Type.Object(
  {
    state: Type.Union(
      siteStates.map((state) => Type.Literal(state)),
      {
        description:
          'listening: waits for the site to begin, or for a packet to it; failed: this side, or the site, would not have it',
      },
    ),
    since: { ...time, description: 'since when it is in this state' },
    carries: Type.Boolean({
      description:
        'it carries the packets of all its subnets; another connection with a lower metric may have some',
    }),
    lastError: Type.Optional(
      Type.String({
        description: 'why it is not connected, as a sentence; the last such reason while it is',
      }),
    ),
    lastErrorAt: Type.Optional(time),
    engine: Type.Optional(
      Type.Union([Type.Literal('kernel'), Type.Literal('userspace')], {
        description: 'what does ESP; absent while this node has nothing of the connection',
      }),
    ),
    ikeSas: Type.Array(Type.Unsafe({ $ref: 'SiteIkeSa#' })),
  },
  { $id: 'SiteConnectionSas', ...closed, description: 'A site connection as it is just now' },
);

/** Without an engine of a connection that this node has nothing of. */
type LiveAnswer = Omit<SiteConnectionLive, 'engine'> & Partial<Pick<SiteConnectionLive, 'engine'>>;

export function siteConnections(app: FastifyInstance, context: ApiContext): void {
  resourceRoutes(app, context, {
    kind: 'siteConnection',
    name: 'SiteConnection',
    title: 'site connection',
    titles: 'site connections',
    path: '/v1/routing-domains/:rdid/site-connections',
    parameter: 'name',
  });

  const { store, operations } = context;
  for (const schema of [SiteChildSa, SiteIkeSa, SiteConnectionSas]) app.addSchema(schema);
  app.get<{ Params: { rdid: string; name: string } }>(
    '/v1/routing-domains/:rdid/site-connections/:name/sas',
    {
      config: { access: 'domain' },
      schema: {
        operationId: 'getSiteConnectionSas',
        summary: 'Read what the tunnel of a site connection is doing just now',
        tags: ['site connections'],
        params: Type.Object({ rdid: pathParameters.rdid, name: pathParameters.name }),
        response: {
          200: json('SiteConnectionSas', 'Its state and its SAs; none of them where the tunnel is not up'),
          ...problemResponses(400, 404, 500),
        },
      },
    },
    async (request, reply): Promise<LiveAnswer> => {
      const { rdid, name } = request.params;
      requireDomain(store, rdid);
      const key = { kind: 'siteConnection', rdid, id: name } as const;
      const resource = store.get(key);
      if (resource === undefined) throw noSuchResource(key);
      reply.header('cache-control', 'no-store');
      const live = await operations.siteConnection(rdid, name);
      return live ?? notBegun(operations.resourceStatus(key, resource.revision));
    },
  );
}

/** Of a connection that this node has nothing of, because of something else or not yet. */
function notBegun({ state, since, reason }: ResourceStatus): LiveAnswer {
  return {
    state: state === 'failed' ? 'failed' : 'connecting',
    since,
    carries: false,
    ...(reason === undefined ? {} : { lastError: reason }),
    ikeSas: [],
  };
}
