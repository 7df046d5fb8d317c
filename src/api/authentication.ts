/**
 * Who makes a request, and whether the route is for them. Every route declares its `access`; one hook holds all of them to
 * it, before the body is read. For a tenant, a routing domain that is not its own does not exist.
 */
import type { FastifyInstance, FastifyReply, FastifyRequest, RouteOptions } from 'fastify';
import { type Access, localPrincipal, nobody, type Principal, sees } from '../access/principal.ts';
import { HnvError } from '../errors.ts';
import type { BearerTokens } from './bearer-tokens.ts';
import { isLocal, originOf } from './origin.ts';
import type { RequestLimit } from './request-limit.ts';
import { noSuchResource } from './resource-family.ts';

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Whom the route is for. */
    access: Access;
  }
  interface FastifyRequest {
    /** Who asks; `nobody` on routes for anyone. */
    principal: Principal;
  }
}

/** Where the pages of a plugin lie that knows of no access; they say nothing of this node. */
export const documentationPath = '/docs';

export interface Gate {
  readonly tokens: BearerTokens;
  readonly limit: RequestLimit;
}

/** Has every route that is added from now on declare its access, and holds requests to it. */
export function requireAccess(app: FastifyInstance, { tokens, limit }: Gate): void {
  app.decorateRequest('principal');
  app.addHook('onRoute', checkDeclaration);
  app.addHook('onRequest', async (request, reply) => {
    request.principal = nobody;
    const access = request.is404 ? 'anyone' : request.routeOptions.config.access;
    if (access !== 'anyone') request.principal = await identify(request, reply, tokens);
    limit.check(request, reply);
    authorize(request, access);
  });
}

function checkDeclaration(route: RouteOptions & { routePath: string; path: string; prefix: string }): void {
  if (route.prefix.startsWith(documentationPath)) route.config = { access: 'anyone' };
  const access = route.config?.access;
  const name = `${route.method} ${route.url}`;
  if (access === undefined) throw new Error(`${name} does not say whom it is for`);
  if (access === 'domain' && !/\/:rdid(\/|$)/.test(route.url)) {
    throw new Error(`${name} is for the tenants of a routing domain, but names none`);
  }
}

/** A token is judged wherever it comes from: a proxy in front of the unix socket hands on its clients' tokens. */
function identify(
  request: FastifyRequest,
  reply: FastifyReply,
  tokens: BearerTokens,
): Principal | Promise<Principal> {
  if (isLocal(request) && request.headers.authorization === undefined) return localPrincipal;
  return tokens.authenticate(request, reply, originOf(request));
}

function authorize({ principal, params }: FastifyRequest, access: Access): void {
  if (access === 'domain') {
    // As it was sent, but for the case. What is no RDID at all is none of a tenant's either.
    const rdid = (params as { rdid: string }).rdid.toLowerCase();
    if (!sees(principal, rdid)) throw noSuchResource({ kind: 'routingDomain', rdid });
  } else if (access === 'operator' && principal.role === 'tenant') {
    throw new HnvError('HNV_FORBIDDEN', 'This is for operators and administrators only.');
  } else if (access === 'admin' && principal.role !== 'admin') {
    throw new HnvError('HNV_FORBIDDEN', 'This is for administrators only.');
  }
}
