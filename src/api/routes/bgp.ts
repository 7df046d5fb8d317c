/** The BGP router of a routing domain, and what its sessions are doing just now. */
import type { FastifyInstance } from 'fastify';
import { Type } from 'typebox';
import { HnvError } from '../../errors.ts';
import type { Bgp } from '../../policy/resources.ts';
import { type BgpState, bgpSessionStates, type ResourceStatus } from '../operations.ts';
import { pathParameters } from '../parameters.ts';
import { problemResponses } from '../problem.ts';
import { noSuchResource } from '../resource-family.ts';
import { type ApiContext, requireDomain, resourceRoutes } from '../resource-routes.ts';
import { json } from '../resource-schemas.ts';

const closed = { additionalProperties: false } as const;
const count = (description: string) => Type.Integer({ minimum: 0, description });

const BgpPeerState = Type.Object(
  {
    name: Type.String({ description: 'as the policy has it; of the uplink’s routers their address' }),
    address: Type.String({ maxLength: 45 }),
    asn: Type.Integer({ minimum: 1 }),
    state: Type.Union(
      bgpSessionStates.map((state) => Type.Literal(state)),
      { description: 'RFC 4271 section 8.2.2; Stopped: the BGP speaker does not run' },
    ),
    since: Type.Optional(Type.String({ format: 'date-time', description: 'since when it is established' })),
    prefixesReceived: count('before policies'),
    prefixesAccepted: count('of those received, what policies and limits have let in'),
    prefixesSent: count('that the peer was told'),
    lastError: Type.Optional(
      Type.String({ description: 'why it is not established, or was not the last time, as a sentence' }),
    ),
    bfd: Type.Optional(
      Type.Union([Type.Literal('up'), Type.Literal('down')], { description: 'absent without BFD' }),
    ),
  },
  { $id: 'BgpPeerState', ...closed, description: 'What a BGP peer is doing' },
);

const BgpStateSchema = Type.Object(
  {
    peers: Type.Array(Type.Unsafe({ $ref: 'BgpPeerState#' })),
    memoryBytes: count('memory of the processes of the BGP speaker (proportional set size)'),
    refused: Type.Optional(
      Type.String({
        description:
          'why the BGP speaker has not what the policy says, as a sentence; it goes on with what it had before',
      }),
    ),
  },
  { $id: 'BgpState', ...closed, description: 'BGP as it is just now' },
);

export function bgp(app: FastifyInstance, context: ApiContext): void {
  resourceRoutes(app, context, {
    kind: 'bgp',
    name: 'Bgp',
    title: 'BGP router',
    titles: 'BGP',
    path: '/v1/routing-domains/:rdid/bgp',
  });

  const { store, operations } = context;
  for (const schema of [BgpPeerState, BgpStateSchema]) app.addSchema(schema);
  app.get<{ Params: { rdid: string } }>(
    '/v1/routing-domains/:rdid/bgp/peers',
    {
      config: { access: 'domain' },
      schema: {
        operationId: 'getBgpState',
        summary: 'Read what the BGP peers of a routing domain are doing just now',
        tags: ['BGP'],
        params: Type.Object({ rdid: pathParameters.rdid }),
        response: {
          200: json('BgpState', 'The peers, as they were looked at seconds ago at most'),
          ...problemResponses(400, 404, 500),
        },
      },
    },
    (request, reply): BgpState => {
      const { rdid } = request.params;
      requireDomain(store, rdid);
      const key = { kind: 'bgp', rdid } as const;
      const resource = store.get(key);
      if (resource === undefined) throw noSuchResource(key);
      reply.header('cache-control', 'no-store');
      return (
        operations.bgp(rdid) ?? stopped(resource.value, operations.resourceStatus(key, resource.revision))
      );
    },
  );

  app.get(
    '/v1/uplink-bgp',
    {
      config: { access: 'operator' },
      schema: {
        operationId: 'getUplinkBgp',
        summary: "Read what the gateway's own BGP is doing just now",
        tags: ['BGP'],
        response: {
          200: json('BgpState', 'The routers of the uplink, as they were looked at seconds ago at most'),
          ...problemResponses(404, 500),
        },
      },
    },
    (_request, reply): BgpState => {
      const state = operations.uplinkBgp();
      if (state === undefined)
        throw new HnvError(
          'HNV_NOT_FOUND',
          'This node speaks no BGP with its uplink: uplink.bgp is not configured.',
        );
      reply.header('cache-control', 'no-store');
      return state;
    },
  );
}

/** Of a domain whose BGP speaker does not run here, because of something else or not yet. */
function stopped({ peers }: Bgp, { reason }: ResourceStatus): BgpState {
  return {
    peers: peers.map(({ name, address, asn }) => ({
      ...{ name, address, asn, state: 'Stopped', prefixesReceived: 0, prefixesAccepted: 0, prefixesSent: 0 },
      ...(reason === undefined ? {} : { lastError: reason }),
    })),
    memoryBytes: 0,
  };
}
