/** The sessions of NAT of a routing domain, as connection tracking has them: read a part at a time, as fast as the client does. */
import { Readable } from 'node:stream';
import type { FastifyInstance, FastifyReply } from 'fastify';
import { type Static, Type } from 'typebox';
import type { Principal } from '../../access/principal.ts';
import { HnvError } from '../../errors.ts';
import { canonicalAddress } from '../../policy/address.ts';
import {
  type NatSession,
  type NatSessionFilter,
  natDirections,
  natProtocols,
  natStates,
} from '../operations.ts';
import { pathParameters } from '../parameters.ts';
import { problemResponses } from '../problem.ts';
import { tooMany } from '../request-limit.ts';
import { type ApiContext, requireDomain } from '../resource-routes.ts';

/** Lists that are read at a time, by one principal and by all. */
const mostOfOne = 4;
const mostOfAll = 32;
/** Seconds after which a client may ask again whether a list has ended. */
const retryAfter = 5;
/** A client that takes nothing for so long is given up: a list that is open costs the node a socket. */
const stallMs = 30_000;

const jsonLines = 'application/x-ndjson';

const oneOf = <T extends string>(names: readonly T[], description: string) =>
  Type.Unsafe<T>({ type: 'string', enum: [...names], description });
const Address = Type.String({ minLength: 2, maxLength: 45, description: 'IPv4 or IPv6 address' });
const Port = Type.Integer({ minimum: 0, maximum: 65535 });
const Amount = Type.Object({
  packets: Type.Integer({ minimum: 0 }),
  bytes: Type.Integer({ minimum: 0, description: 'from the IP header on' }),
});

const NatSessionSchema = Type.Object(
  {
    protocol: Type.String({ description: `${natProtocols.join(', ')}, or its number` }),
    direction: oneOf(
      natDirections,
      'which side began; hairpin: both are inside, and meet at an external address',
    ),
    internalAddress: Type.Optional({
      ...Address,
      description:
        'the inside host, of a hairpin session that which began; absent when the gateway itself answers',
    }),
    internalPort: Type.Optional(Port),
    externalAddress: Type.Optional({
      ...Address,
      description: 'what the inside host is outside; absent with prefix translation',
    }),
    externalPort: Type.Optional(Port),
    remoteAddress: { ...Address, description: 'the other side as the inside host knows it' },
    remotePort: Type.Optional(Port),
    remoteInternalAddress: Type.Optional({
      ...Address,
      description: 'of hairpin: the inside host behind remoteAddress',
    }),
    remoteInternalPort: Type.Optional(Port),
    icmpId: Type.Optional({ ...Port, description: 'identifier of an ICMP query, inside' }),
    externalIcmpId: Type.Optional({ ...Port, description: 'the same outside' }),
    state: Type.Optional(oneOf(natStates, 'of TCP')),
    started: Type.Optional(Type.String({ format: 'date-time' })),
    timeoutSeconds: Type.Integer({ minimum: 0, description: 'until it ends when nothing comes' }),
    assured: Type.Boolean({ description: 'both sides have spoken: it is not ended for want of room' }),
    sent: Type.Optional({ ...Amount, description: 'by the inside host; of ICMP without what was fast' }),
    received: Type.Optional({ ...Amount, description: 'to the inside host; of ICMP without what was fast' }),
  },
  { $id: 'NatSession', additionalProperties: false, description: 'A session that NAT translates' },
);
const NatSessionList = Type.Object(
  { items: Type.Array(Type.Unsafe({ $ref: 'NatSession#' })) },
  { $id: 'NatSessionList', additionalProperties: false },
);

const port = (whose: string) =>
  Type.Optional({ ...Port, description: `${whose} port, or the identifier of an ICMP query` });

const query = Type.Object(
  {
    protocol: Type.Optional(
      Type.String({
        pattern: `^(${natProtocols.join('|')}|[0-9]{1,3})$`,
        description: `${natProtocols.join(', ')}, or another protocol's number`,
      }),
    ),
    direction: Type.Optional(oneOf(natDirections, 'which side began')),
    internalAddress: Type.Optional(Address),
    internalPort: port('inside'),
    externalAddress: Type.Optional(Address),
    externalPort: port('outside'),
    remoteAddress: Type.Optional(Address),
    remotePort: Type.Optional(Port),
    state: Type.Optional(oneOf(natStates, 'of TCP')),
    limit: Type.Optional(
      Type.Integer({ minimum: 1, maximum: 10_000_000, description: 'most sessions to list' }),
    ),
  },
  { additionalProperties: false },
);

interface Shape {
  Params: { rdid: string };
  Querystring: Static<typeof query>;
}

export function natSessions(app: FastifyInstance, { store, operations }: ApiContext): void {
  const open = new Map<Readable, Principal['id']>();
  for (const schema of [NatSessionSchema, NatSessionList]) app.addSchema(schema);
  app.addHook('preClose', async () => {
    for (const stream of open.keys()) stream.destroy();
  });

  app.get<Shape>(
    '/v1/routing-domains/:rdid/nat/sessions',
    {
      config: { access: 'domain' },
      exposeHeadRoute: false, // it would read all sessions
      schema: {
        operationId: 'listNatSessions',
        summary: 'List the NAT sessions of a routing domain on this node',
        tags: ['NAT'],
        params: Type.Object({ rdid: pathParameters.rdid }),
        querystring: query,
        response: {
          200: {
            description:
              'Those that pass all filters, in no order; one a line when the client accepts application/x-ndjson',
            content: {
              'application/json': { schema: { $ref: 'NatSessionList#' } },
              [jsonLines]: { schema: { $ref: 'NatSession#' } },
            },
          },
          ...problemResponses(400, 404, 500),
        },
      },
    },
    async (request, reply) => {
      const { rdid } = request.params;
      const { limit = Number.POSITIVE_INFINITY, ...given } = request.query;
      requireDomain(store, rdid);
      refuseTooMany(reply, [...open.values()], request.principal);
      const sessions = operations.natSessions(rdid, readFilter(given));
      if (sessions === undefined)
        throw new HnvError('HNV_NOT_FOUND', `This node has no routing context of routing domain ${rdid}.`);
      const isLines = request.headers.accept?.includes(jsonLines) ?? false;
      const parts = sessions[Symbol.asyncIterator]();
      // What can fail at all fails before the answer begins.
      const first = await parts.next();
      const stream: Readable = Readable.from(
        untilStalled(text(first, parts, limit, isLines), () => stream.destroy()),
      );
      open.set(stream, request.principal.id);
      stream.once('close', () => {
        open.delete(stream);
        void parts.return?.();
      });
      reply.header('cache-control', 'no-store');
      return reply.type(isLines ? jsonLines : 'application/json').send(stream);
    },
  );
}

/** With canonical addresses. Throws HNV_INVALID_FIELD. */
function readFilter(given: Omit<Shape['Querystring'], 'limit'>): NatSessionFilter {
  const filter = { ...given };
  for (const name of ['internalAddress', 'externalAddress', 'remoteAddress'] as const) {
    const written = given[name];
    if (written === undefined) continue;
    const address = canonicalAddress(written);
    if (address === undefined)
      throw new HnvError(
        'HNV_INVALID_FIELD',
        `The parameter ${name} is ${JSON.stringify(written)}, but must be an IPv4 or IPv6 address.`,
        { rule: 'ip-address' },
      );
    filter[name] = address;
  }
  return filter;
}

async function* text(
  first: IteratorResult<NatSession[]>,
  parts: AsyncIterator<NatSession[]>,
  limit: number,
  isLines: boolean,
): AsyncGenerator<string> {
  const [begin, between, end] = isLines ? ['', '\n', '\n'] : ['{"items":[', ',', ']}'];
  let left = limit;
  let before = begin;
  for (let part = first; part.done !== true; part = await parts.next()) {
    const sessions = part.value.slice(0, left);
    left -= sessions.length;
    yield before + sessions.map((session) => JSON.stringify(session)).join(between);
    before = between;
    if (left === 0) break;
  }
  // An empty list has begun nothing.
  if (before === begin) yield isLines ? '' : begin + end;
  else yield end;
}

/** Calls `giveUp` when a part of it is not taken for too long. */
async function* untilStalled(chunks: AsyncIterable<string>, giveUp: () => void): AsyncGenerator<string> {
  for await (const chunk of chunks) {
    const stall = setTimeout(giveUp, stallMs);
    try {
      yield chunk;
    } finally {
      clearTimeout(stall);
    }
  }
}

function refuseTooMany(reply: FastifyReply, open: readonly string[], { id }: Principal): void {
  if (open.filter((other) => other === id).length >= mostOfOne)
    throw tooMany(reply, retryAfter, `You read ${mostOfOne} lists of sessions, and more are not possible`);
  if (open.length >= mostOfAll)
    throw tooMany(
      reply,
      retryAfter,
      `${mostOfAll} lists of sessions are being read, and this node has no more`,
    );
}
