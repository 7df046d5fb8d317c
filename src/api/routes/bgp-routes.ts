/** The routes that BGP of a routing domain knows, a page at a time. */
import type { FastifyInstance } from 'fastify';
import { type Static, Type } from 'typebox';
import { HnvError } from '../../errors.ts';
import { addressOrder, containsPrefix, parsePrefix } from '../../policy/address.ts';
import { ResourceId } from '../../policy/resources.ts';
import { Pace } from '../../store/pace.ts';
import { cursorOf, readCursor } from '../cursor.ts';
import type { BgpRoute } from '../operations.ts';
import { pathParameters } from '../parameters.ts';
import { problemResponses } from '../problem.ts';
import { noSuchResource } from '../resource-family.ts';
import { type ApiContext, requireDomain } from '../resource-routes.ts';
import { defaultLimit, json, listQuery } from '../resource-schemas.ts';

const closed = { additionalProperties: false } as const;
const number = Type.Integer({ minimum: 0, maximum: 4_294_967_295 });

const BgpRouteSchema = Type.Object(
  {
    prefix: Type.String({ maxLength: 49 }),
    nextHops: Type.Array(Type.String({ maxLength: 45 })),
    peer: Type.Optional(Type.String({ description: 'who told it; absent of own networks' })),
    asPath: Type.Array(number, { description: 'the nearest first' }),
    origin: Type.Union([Type.Literal('IGP'), Type.Literal('EGP'), Type.Literal('incomplete')]),
    localPreference: Type.Optional(number),
    med: Type.Optional(number),
    communities: Type.Array(Type.String()),
    best: Type.Boolean({ description: 'it is the best to its prefix, or shares the traffic with that' }),
    installed: Type.Boolean({ description: 'the routing context forwards by it' }),
  },
  { $id: 'BgpRoute', ...closed, description: 'A route that BGP knows' },
);
const BgpRouteList = Type.Object(
  {
    items: Type.Array(Type.Unsafe({ $ref: 'BgpRoute#' })),
    next: Type.Optional(Type.String({ description: 'cursor of the next page; absent on the last one' })),
  },
  { $id: 'BgpRouteList', ...closed },
);

const query = Type.Object(
  {
    ...listQuery.properties,
    prefix: Type.Optional(
      Type.String({ maxLength: 49, description: 'only routes to this prefix and to what is within' }),
    ),
    peer: Type.Optional({ ...ResourceId, description: 'only routes that this peer told' }),
  },
  closed,
);

interface Shape {
  Params: { rdid: string };
  Querystring: Static<typeof query>;
}

export function bgpRoutes(app: FastifyInstance, { store, operations }: ApiContext): void {
  for (const schema of [BgpRouteSchema, BgpRouteList]) app.addSchema(schema);
  app.get<Shape>(
    '/v1/routing-domains/:rdid/bgp/routes',
    {
      config: { access: 'domain' },
      schema: {
        operationId: 'listBgpRoutes',
        summary: 'List the routes that BGP of a routing domain knows',
        tags: ['BGP'],
        params: Type.Object({ rdid: pathParameters.rdid }),
        querystring: query,
        response: {
          200: json('BgpRouteList', 'A page of them by prefix; none where BGP does not run'),
          ...problemResponses(400, 404, 500),
        },
      },
    },
    async (request, reply) => {
      const { rdid } = request.params;
      const { limit = defaultLimit, cursor, prefix, peer } = request.query;
      requireDomain(store, rdid);
      const key = { kind: 'bgp', rdid } as const;
      if (store.get(key) === undefined) throw noSuchResource(key);
      const within = prefix === undefined ? undefined : readPrefix(prefix);
      const after = cursor === undefined ? '' : placeOfName(readCursor(cursor, namesRoute));
      const items: BgpRoute[] = [];
      const pace = new Pace();
      reply.header('cache-control', 'no-store');
      for await (const route of inOrder(operations.bgpRoutes(rdid) ?? none())) {
        if (pace.isOver) await pace.rest();
        if (placeOf(route) <= after) continue;
        if (within !== undefined && !containsPrefix(within, route.prefix)) continue;
        if (peer !== undefined && route.peer !== peer) continue;
        if (items.length === limit) return { items, next: cursorOf(nameOf(items.at(-1) as BgpRoute)) };
        items.push(route);
      }
      return { items };
    },
  );
}

async function* none(): AsyncGenerator<BgpRoute[]> {}

/** Routes to the same prefix come together; their order is that of the peers. */
async function* inOrder(parts: AsyncIterable<BgpRoute[]>): AsyncGenerator<BgpRoute> {
  let same: BgpRoute[] = [];
  for await (const part of parts) {
    for (const route of part) {
      if (same[0] !== undefined && same[0].prefix !== route.prefix) {
        yield* byPeer(same);
        same = [];
      }
      same.push(route);
    }
  }
  yield* byPeer(same);
}

function byPeer(routes: BgpRoute[]): BgpRoute[] {
  return routes.sort((a, b) => (placeOf(a) < placeOf(b) ? -1 : 1));
}

/** A route's prefix and peer: what a cursor has. */
function nameOf({ prefix, peer = '' }: BgpRoute): string {
  return `${prefix} ${peer}`;
}

/** Whether a route may have the name. */
const namesRoute = { test: (name: string) => parsePrefix(name.split(' ')[0] ?? '') !== undefined };

/** Sorts as routes are listed. */
function placeOf(route: BgpRoute): string {
  return placeOfName(nameOf(route));
}

function placeOfName(name: string): string {
  const [prefix = '', peer = ''] = name.split(' ');
  return `${prefix.includes(':') ? 6 : 4} ${addressOrder(prefix)} ${peer}`;
}

/** In canonical form. Throws HNV_INVALID_FIELD. */
function readPrefix(text: string): string {
  const prefix = parsePrefix(text);
  if (prefix !== undefined) return prefix.text;
  const sentence = `The parameter prefix is ${JSON.stringify(text)}, but must be an IPv4 or IPv6 prefix.`;
  throw new HnvError('HNV_INVALID_FIELD', sentence, { rule: 'ip-prefix' });
}
