/**
 * Answers the methods that a path does not have with 405 and the ones that it has (RFC 9110, section 15.5.6). To be
 * registered after all routes.
 */
import type { FastifyInstance, HTTPMethods } from 'fastify';
import { HttpRefusal } from './problem.ts';

const allMethods: HTTPMethods[] = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'];

/** Notes the methods of every route that is added from now on, by path. */
export function collectMethods(app: FastifyInstance): Map<string, Set<string>> {
  const methods = new Map<string, Set<string>>();
  app.addHook('onRoute', ({ url, method }) => {
    const known = methods.get(url) ?? new Set();
    for (const each of [method].flat()) known.add(each);
    methods.set(url, known);
  });
  return methods;
}

/** Adds the routes that refuse. */
export function refuseOtherMethods(
  app: FastifyInstance,
  methods: ReadonlyMap<string, ReadonlySet<string>>,
): void {
  for (const [url, known] of [...methods]) {
    const allowed = [...known].join(', ');
    const refused = allMethods.filter((method) => !known.has(method));
    app.route({
      method: refused,
      url,
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
