/**
 * The routes of one family of resources: list, read, create or replace, patch, remove. What is the same for all
 * families is here; a file of `routes/` says only what is its family's own.
 */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { compileSchema, fieldName } from '../config/schema-violation.ts';
import { HnvError } from '../errors.ts';
import { normalize } from '../policy/normalize.ts';
import { type ResourceKind, type ResourceTypes, resourceSchemas } from '../policy/resources.ts';
import { withoutSecrets } from '../policy/secrets.ts';
import type { ResourceKey, Store, StoredResource } from '../store/store.ts';
import { cursorOf, readCursor } from './cursor.ts';
import { mergePatch } from './merge-patch.ts';
import type { Operations, ResourceStatus } from './operations.ts';
import { entityTag, isFresh, requiredRevision } from './preconditions.ts';
import { asWriter, auditOf } from './request-audit.ts';
import {
  isInDomain,
  keyOf,
  nameOf,
  namingField,
  noSuchResource,
  type PathValues,
  type ResourceFamily,
} from './resource-family.ts';
import { defaultLimit, operationSchemas, resourceComponents } from './resource-schemas.ts';
import { waitMs } from './wait.ts';

/** What the routes work on. */
export interface ApiContext {
  readonly store: Store;
  readonly operations: Operations;
}

interface Shape {
  Params: PathValues;
  Querystring: { wait?: string; limit?: number; cursor?: string };
}
type Request = FastifyRequest<Shape>;

/** Adds the routes of a family to the app. */
export function resourceRoutes<K extends ResourceKind>(
  app: FastifyInstance,
  context: ApiContext,
  family: ResourceFamily<K>,
): void {
  const { store, operations } = context;
  const { kind, parameter } = family;
  const readBody = bodyReader(kind);
  const naming = namingField(family);
  // What belongs to no routing domain is the node's own.
  const config = { access: isInDomain(family) || kind === 'routingDomain' ? 'domain' : 'operator' } as const;
  const listAccess = kind === 'routingDomain' ? 'scoped' : config.access;
  const schemas = operationSchemas(family);
  for (const component of resourceComponents(family)) app.addSchema(component);

  const represent = ({ key, value }: StoredResource<K>, status: ResourceStatus) => ({
    [naming]: nameOf(key),
    ...withoutSecrets(kind, value),
    status,
  });
  const current = (resource: StoredResource<K>) =>
    represent(resource, operations.resourceStatus(resource.key, resource.revision));
  const read = (key: ResourceKey<K>): StoredResource<K> => {
    const resource = store.get(key);
    if (resource === undefined) throw noSuchResource(key);
    return resource;
  };
  /** A tenant's routing domains. */
  const listOwn = (own: ReadonlySet<string>, after = '', limit: number): StoredResource<K>[] => {
    const rdids = [...own].filter((rdid) => rdid > after && store.state.domains.has(rdid)).sort();
    return rdids.slice(0, limit).map((rdid) => read({ kind, rdid }));
  };
  const written = async (reply: FastifyReply, resource: StoredResource<K>, wait: number | undefined) => {
    reply.header('etag', entityTag(resource.revision));
    if (wait === undefined) return current(resource);
    return represent(resource, await operations.settled(resource.key, resource.revision, wait));
  };

  if (parameter !== undefined) {
    app.get<Shape>(family.path, { schema: schemas.list, config: { access: listAccess } }, (request) => {
      const { rdid } = request.params;
      const { limit = defaultLimit, cursor } = request.query;
      if (isInDomain(family)) requireDomain(store, rdid);
      const after = cursor === undefined ? undefined : readCursor(cursor);
      const own = rdid === undefined ? request.principal.routingDomains : undefined;
      const found =
        own === undefined
          ? store.list(kind, {
              ...(rdid === undefined ? {} : { rdid }),
              ...(after === undefined ? {} : { after }),
              limit: limit + 1,
            })
          : listOwn(own, after, limit + 1);
      const page = found.slice(0, limit);
      const last = page.at(-1);
      const items = page.map(current);
      if (found.length <= limit || last === undefined) return { items };
      return { items, next: cursorOf(String(nameOf(last.key))) };
    });
  }

  const onePath = parameter === undefined ? family.path : `${family.path}/:${parameter}`;

  app.get<Shape>(onePath, { schema: schemas.get, config }, (request, reply) => {
    const resource = read(keyOf(family, request.params));
    reply.header('etag', entityTag(resource.revision));
    if (isFresh(request.headers, resource.revision)) return reply.code(304).send();
    return current(resource);
  });

  app.put<Shape>(onePath, { schema: schemas.put, config }, async (request, reply) => {
    const key = keyOf(family, request.params);
    const wait = waitOf(request);
    const value = readBody(request.body);
    const required = requiredRevision(request.headers, key, store.get(key)?.revision ?? 0);
    const { resource, created } = await store.put(key, value, {
      ...ifRevision(required),
      ...asWriter(request),
    });
    reply.code(created ? 201 : 200);
    return written(reply, resource, wait);
  });

  app.patch<Shape>(onePath, { schema: schemas.patch, config }, async (request, reply) => {
    const key = keyOf(family, request.params);
    const wait = waitOf(request);
    const writer = asWriter(request);
    // Merged into what is there now; when another write came in between, merged again into what that one left.
    for (;;) {
      const before = read(key);
      requiredRevision(request.headers, key, before.revision);
      const value = readBody(mergePatch(before.value, request.body));
      const put = await store
        .put(key, value, { ifRevision: before.revision, ...writer })
        .catch(unlessChanged);
      if (put !== undefined) return written(reply, put.resource, wait);
    }
  });

  app.delete<Shape>(onePath, { schema: schemas.delete, config }, async (request, reply) => {
    const key = keyOf(family, request.params);
    const wait = waitOf(request);
    const required = requiredRevision(request.headers, key, read(key).revision);
    const { revision } = await store.delete(key, { ...ifRevision(required), audit: auditOf(request) });
    if (wait !== undefined) await operations.settled(key, revision, wait);
    return reply.code(204).send();
  });
}

/** Throws HNV_NOT_FOUND unless the store has the domain. */
export function requireDomain(store: Store, rdid = ''): void {
  if (!store.state.domains.has(rdid)) throw noSuchResource({ kind: 'routingDomain', rdid });
}

/** Milliseconds to wait for the kernel. Read before anything is written, since a wrong one refuses the request. */
function waitOf(request: Request): number | undefined {
  const { wait } = request.query;
  return wait === undefined ? undefined : waitMs(wait);
}

function ifRevision(required: number | undefined): { ifRevision?: number } {
  return required === undefined ? {} : { ifRevision: required };
}

function unlessChanged(error: unknown): undefined {
  if (error instanceof HnvError && error.code === 'HNV_PRECONDITION_FAILED') return undefined;
  throw error;
}

/** Turns a body into a value that the store takes. Throws HNV_INVALID_FIELD. */
function bodyReader<K extends ResourceKind>(kind: K): (body: unknown) => ResourceTypes[K] {
  const check = compileSchema(resourceSchemas[kind]);
  return (body) => {
    const checked = check(body);
    if ('value' in checked) return normalize(kind, checked.value as ResourceTypes[K]);
    const { pointer, rule, reason } = checked.violation;
    throw new HnvError('HNV_INVALID_FIELD', `${fieldName(pointer, 'The body')} ${reason}.`, {
      pointer,
      rule,
    });
  };
}
