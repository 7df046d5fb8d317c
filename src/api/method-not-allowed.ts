/**
 * Answers the methods that a path does not have with 405 and the ones that it has (RFC 9110, section 15.5.6). To be
 * registered after all routes.
 */
import type { FastifyInstance, HTTPMethods } from 'fastify';
import type { Access } from '../access/principal.ts';
import { HttpRefusal } from './problem.ts';

const allMethods: HTTPMethods[] = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'];

interface Path {
  readonly methods: Set<string>;
  /** What its routes say of their purpose may be known to anyone when one of them is for anyone. */
  access: Access;
}

/** Notes the methods of every route that is added from now on, by path. */
export function collectMethods(app: FastifyInstance): Map<string, Path> {
  const methods = new Map<string, Path>();
  app.addHook('onRoute', ({ url, method, config }) => {
    const known = methods.get(url) ?? { methods: new Set(), access: 'scoped' };
    for (const each of [method].flat()) known.methods.add(each);
    if (config?.access === 'anyone') known.access = 'anyone';
    methods.set(url, known);
  });
  return methods;
}

/** Adds the routes that refuse. */
export function refuseOtherMethods(app: FastifyInstance, paths: ReadonlyMap<string, Path>): void {
  for (const [url, { methods, access }] of [...paths]) {
    const allowed = [...methods].join(', ');
    const refused = allMethods.filter((method) => !methods.has(method));
    app.route({
      method: refused,
      url,
      config: { access },
      schema: { hide: true },
      // Before the body is read, whatever type it has.
      onRequest: async (request, reply) => {
        reply.header('allow', allowed);
        throw new HttpRefusal(405, `${request.method} is not possible here; possible are ${allowed}`);
      },
      handler: (_request, reply) => reply,
    });
  }
}
