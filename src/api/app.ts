/**
 * The HTTP application: REST API, its OpenAPI document and a page to read that. It writes to the store and asks
 * `operations`; it never touches the kernel.
 */
import swagger from '@fastify/swagger';
import swaggerUi from '@fastify/swagger-ui';
import Fastify, { type FastifyBaseLogger, type FastifyInstance, LogController } from 'fastify';
import { HnvError } from '../errors.ts';
import type { Store } from '../store/store.ts';
import { collectMethods, refuseOtherMethods } from './method-not-allowed.ts';
import type { Operations } from './operations.ts';
import { parameterCompiler } from './parameters.ts';
import { HttpRefusal, Problem, sendProblem } from './problem.ts';
import type { ApiContext } from './resource-routes.ts';
import { Status } from './resource-schemas.ts';
import { customerRoutes } from './routes/customer-routes.ts';
import { gateway } from './routes/gateway.ts';
import { lookupRecords } from './routes/lookup-records.ts';
import { nat } from './routes/nat.ts';
import { ports } from './routes/ports.ts';
import { providerAddresses } from './routes/provider-addresses.ts';
import { providerRoutes } from './routes/provider-routes.ts';
import { routingDomains } from './routes/routing-domains.ts';
import { status } from './routes/status.ts';
import { virtualSubnets } from './routes/virtual-subnets.ts';

export interface AppOptions extends ApiContext {
  store: Store;
  operations: Operations;
  /** Version of hnvgw, for the OpenAPI document. */
  version: string;
  /** Where failures of this node are logged; nowhere when absent. */
  logger?: FastifyBaseLogger;
}

const families = [
  routingDomains,
  virtualSubnets,
  lookupRecords,
  customerRoutes,
  gateway,
  nat,
  providerAddresses,
  providerRoutes,
  ports,
  status,
];

const maxBodyBytes = 1024 * 1024;
/** Longer than every valid parameter, percent-encoded too, so that a wrong one is told its rule and not "not found". */
const maxParameterLength = 1024;

/** Makes the app; the caller lets it listen and closes it. */
export function buildApp(options: AppOptions): FastifyInstance {
  const app: FastifyInstance = Fastify({
    ...(options.logger === undefined ? { logger: false } : { loggerInstance: options.logger }),
    logController: new LogController({ disableRequestLogging: true }),
    bodyLimit: maxBodyBytes,
    routerOptions: { maxParamLength: maxParameterLength },
    frameworkErrors: sendProblem,
  });
  app.setErrorHandler(sendProblem);
  app.setNotFoundHandler((request) => {
    const path = request.url.split('?', 1)[0];
    throw new HnvError('HNV_NOT_FOUND', `There is nothing at ${path}.`);
  });
  takeJsonOnly(app);

  app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: {
        title: 'hnvgw',
        description: 'Multi-tenant gateway and host for Hyper-V Network Virtualization (NVGRE)',
        version: options.version,
        license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
      },
    },
    refResolver: {
      buildLocalReference: (schema, _base, _fragment, index) => String(schema.$id ?? `def-${index}`),
    },
  });
  app.register(swaggerUi, { routePrefix: '/docs' });
  app.register(async (api) => {
    api.setValidatorCompiler(parameterCompiler);
    // Schemas of answers are documentation: what is answered is built here and needs no filter.
    api.setSerializerCompiler(() => (data) => JSON.stringify(data));
    const methods = collectMethods(api);
    api.addSchema(Problem);
    api.addSchema(Status);
    for (const family of families) family(api, options);
    api.get(
      '/openapi.json',
      {
        schema: {
          operationId: 'getOpenApi',
          summary: 'Read this document',
          tags: ['node'],
          response: {
            200: {
              description: 'OpenAPI 3.1',
              content: { 'application/json': { schema: { type: 'object' } } },
            },
          },
        },
      },
      () => app.swagger(),
    );
    refuseOtherMethods(api, methods);
  });
  return app;
}

/** JSON everywhere, and merge patches where they belong. */
function takeJsonOnly(app: FastifyInstance): void {
  app.removeContentTypeParser('text/plain');
  const parseJson = app.getDefaultJsonParser('error', 'error');
  app.addContentTypeParser('application/merge-patch+json', { parseAs: 'string' }, (request, body, done) => {
    if (request.method === 'PATCH') parseJson(request, body.toString(), done);
    else done(new HttpRefusal(415, 'A body of type application/merge-patch+json is for PATCH only'));
  });
}
