/** The whole desired state as one document: to read, to replace, and to apply a part of. */
import { Readable } from 'node:stream';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { type Static, Type } from 'typebox';
import { type Principal, sees } from '../../access/principal.ts';
import { HnvError } from '../../errors.ts';
import type { DocumentEntry } from '../../store/store.ts';
import { PolicyBodies } from '../policy-body.ts';
import { describeChanges } from '../policy-difference.ts';
import { policyComponents } from '../policy-schemas.ts';
import { policyStatus } from '../policy-status.ts';
import { policyText } from '../policy-text.ts';
import { entityTag, isFresh, requiredRevision } from '../preconditions.ts';
import { problemResponses } from '../problem.ts';
import { asWriter } from '../request-audit.ts';
import type { ApiContext } from '../resource-routes.ts';
import { etag, ifMatch, json, noneMatchRead } from '../resource-schemas.ts';
import { Wait, waitMs } from '../wait.ts';

const maxBodyBytes = 64 * 1024 * 1024;
const retryAfterSeconds = 5;

const query = Type.Object(
  {
    dryRun: Type.Optional(
      Type.Union([Type.Literal('true'), Type.Literal('false')], {
        description: 'check, and answer what would change, but write nothing',
      }),
    ),
    wait: Type.Optional(Wait),
  },
  { additionalProperties: false },
);
interface Shape {
  Querystring: Static<typeof query>;
}

const path = '/v1/policy';
const tags = ['policy'];
const written = {
  querystring: query,
  tags,
  headers: Type.Object(ifMatch),
  body: { $ref: 'PolicyDocument#' },
  response: {
    200: { ...json('PolicyOutcome', 'What has changed'), headers: etag },
    ...problemResponses(400, 403, 409, 412, 413, 415, 429, 500, 507),
  },
};

export function policy(app: FastifyInstance, context: ApiContext): void {
  const { store } = context;
  const bodies = new PolicyBodies();
  app.addHook('onClose', () => bodies.close());
  for (const component of policyComponents()) app.addSchema(component);

  app.get(
    path,
    {
      config: { access: 'scoped' },
      schema: {
        operationId: 'getPolicy',
        summary: 'Read the whole desired state; a tenant reads its routing domains',
        tags,
        headers: Type.Object(noneMatchRead),
        response: {
          200: { ...json('PolicyDocument', 'The desired state'), headers: etag },
          304: { description: 'The store has the ETag of If-None-Match', headers: etag, type: 'null' },
          ...problemResponses(500),
        },
      },
    },
    (request, reply) => {
      const { state, revision } = store;
      reply.header('etag', entityTag(revision));
      if (isFresh(request.headers, revision)) return reply.code(304).send();
      return reply.type('application/json').send(Readable.from(policyText(state, request.principal)));
    },
  );

  app.put<Shape>(
    path,
    {
      config: { access: 'operator', rawBody: true },
      bodyLimit: maxBodyBytes,
      schema: { operationId: 'putPolicy', summary: 'Replace the whole desired state', ...written },
    },
    (request, reply) => write(request, reply, 'replace'),
  );

  app.post<Shape>(
    path,
    {
      config: { access: 'scoped', rawBody: true },
      bodyLimit: maxBodyBytes,
      schema: {
        operationId: 'applyPolicy',
        summary: 'Create or replace what the document names, and leave the rest',
        ...written,
      },
    },
    (request, reply) => write(request, reply, 'putAll'),
  );

  async function write(request: FastifyRequest<Shape>, reply: FastifyReply, method: 'replace' | 'putAll') {
    const { principal } = request;
    const wait = request.query.wait === undefined ? undefined : waitMs(request.query.wait);
    const dryRun = request.query.dryRun === 'true';
    const ifRevision = requiredRevision(request.headers, 'The policy', store.revision, true);
    const write = async (entries: DocumentEntry[]) => {
      confine(principal, entries);
      const options = {
        dryRun,
        ...asWriter(request),
        ...(ifRevision === undefined ? {} : { ifRevision }),
      };
      return { entries, outcome: await store[method](entries, options) };
    };
    const { entries, outcome } = await bodies.read(request, write).catch((error) => {
      if (error instanceof HnvError && error.code === 'HNV_TOO_MANY_REQUESTS')
        reply.header('retry-after', retryAfterSeconds);
      throw error;
    });
    const { revision, created, changed, deleted, unchanged } = outcome;
    const changes = await describeChanges(outcome.changes);
    const more = created + changed + deleted - changes.length;
    reply.header('etag', entityTag(revision));
    return {
      ...{ revision, dryRun, created, changed, deleted, unchanged, changes },
      ...(more > 0 ? { moreChanges: more } : {}),
      ...(wait === undefined || dryRun
        ? {}
        : { status: await policyStatus(context, principal, entries, outcome, wait) }),
    };
  }
}

/** Throws HNV_FORBIDDEN unless all of it is of routing domains that the principal may write to. */
function confine(principal: Principal, entries: readonly DocumentEntry[]): void {
  if (principal.role !== 'tenant') return;
  for (const { entry, pointer } of entries) {
    if (sees(principal, entry.rdid)) continue;
    const sentence =
      entry.rdid === ''
        ? 'The document has a resource of the node, but the token is for routing domains only.'
        : `rdid: ${entry.rdid} is a routing domain that the token is not for.`;
    throw new HnvError('HNV_FORBIDDEN', sentence, {
      pointer: entry.rdid === '' ? pointer : `${pointer}/rdid`,
      rule: 'token-routing-domains',
    });
  }
}
