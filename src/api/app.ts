/**
 * The HTTP application: REST API, its OpenAPI document and a page to read that. It writes to the store and asks
 * `operations`; it never touches the kernel.
 */
import swagger from '@fastify/swagger';
import swaggerUi from '@fastify/swagger-ui';
import Fastify, { type FastifyBaseLogger, type FastifyInstance, LogController } from 'fastify';
import { type ApiLimits, defaultLimits } from '../access/rate-limiter.ts';
import { HnvError } from '../errors.ts';
import { parseDocument } from '../policy/document-text.ts';
import type { Store } from '../store/store.ts';
import { documentationPath, requireAccess } from './authentication.ts';
import { BearerTokens } from './bearer-tokens.ts';
import { collectMethods, refuseOtherMethods } from './method-not-allowed.ts';
import { documentOptions } from './openapi.ts';
import type { Operations } from './operations.ts';
import { parameterCompiler } from './parameters.ts';
import { HttpRefusal, Problem, sendProblem } from './problem.ts';
import { auditRefusals } from './request-audit.ts';
import { RequestLimit } from './request-limit.ts';
import { RequestMetrics } from './request-metrics.ts';
import type { ApiContext } from './resource-routes.ts';
import { Status } from './resource-schemas.ts';
import { audit } from './routes/audit.ts';
import { backup } from './routes/backup.ts';
import { bgp } from './routes/bgp.ts';
import { bgpRoutes } from './routes/bgp-routes.ts';
import { customerRoutes } from './routes/customer-routes.ts';
import { events } from './routes/events.ts';
import { externalAddressPools } from './routes/external-address-pools.ts';
import { forwarding } from './routes/forwarding.ts';
import { gateway } from './routes/gateway.ts';
import { lookupRecords } from './routes/lookup-records.ts';
import { metrics } from './routes/metrics.ts';
import { nat } from './routes/nat.ts';
import { natSessions } from './routes/nat-sessions.ts';
import { policy } from './routes/policy.ts';
import { ports } from './routes/ports.ts';
import { providerAddresses } from './routes/provider-addresses.ts';
import { providerRoutes } from './routes/provider-routes.ts';
import { routingDomains } from './routes/routing-domains.ts';
import { siteConnections } from './routes/site-connections.ts';
import { status } from './routes/status.ts';
import { tokens } from './routes/tokens.ts';
import { virtualSubnets } from './routes/virtual-subnets.ts';
import { refuseUnreadable } from './unreadable-request.ts';

export interface AppOptions extends ApiContext {
  store: Store;
  operations: Operations;
  /** Version of hnvgw, for the OpenAPI document. */
  version: string;
  /** `defaultLimits` when absent. */
  limits?: ApiLimits;
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
  natSessions,
  forwarding,
  bgp,
  bgpRoutes,
  siteConnections,
  providerAddresses,
  providerRoutes,
  externalAddressPools,
  ports,
  policy,
  status,
  events,
  tokens,
  audit,
  backup,
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
    clientErrorHandler: refuseUnreadable,
  });
  app.setErrorHandler(sendProblem);
  app.setNotFoundHandler((request) => {
    const path = request.url.split('?', 1)[0];
    throw new HnvError('HNV_NOT_FOUND', `There is nothing at ${path}.`);
  });
  takeJsonOnly(app);
  const requests = new RequestMetrics(app);
  const { limits = defaultLimits } = options;
  requireAccess(app, {
    tokens: new BearerTokens(options.store, limits.failedLoginsPerMinute),
    limit: new RequestLimit(options.store.audit, limits.requestsPerSecond),
  });
  auditRefusals(app, options.store.audit);

  app.register(swagger, documentOptions(options.version));
  app.register(swaggerUi, { routePrefix: documentationPath });
  app.register(async (api) => {
    api.setValidatorCompiler(parameterCompiler);
    // Schemas of answers are documentation: what is answered is built here and needs no filter.
    api.setSerializerCompiler(() => (data) => JSON.stringify(data));
    const methods = collectMethods(api);
    api.addSchema(Problem);
    api.addSchema(Status);
    for (const family of families) family(api, options);
    metrics(api, options, requests);
    api.get(
      '/openapi.json',
      {
        config: { access: 'anyone' },
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

/** JSON everywhere, and merge patches where they belong. Routes with `rawBody` read it themselves. */
function takeJsonOnly(app: FastifyInstance): void {
  app.removeContentTypeParser('text/plain');
  app.addContentTypeParser('application/json', { parseAs: 'buffer' }, (request, body: Buffer, done) => {
    if (request.routeOptions.config.rawBody) done(null, body);
    else parseBody(body, done);
  });
  app.addContentTypeParser(
    'application/merge-patch+json',
    { parseAs: 'buffer' },
    (request, body: Buffer, done) => {
      if (request.method === 'PATCH') parseBody(body, done);
      else done(new HttpRefusal(415, 'A body of type application/merge-patch+json is for PATCH only'));
    },
  );
}

/** As a policy document is parsed: a nesting that would exhaust the stack, or a name of a prototype, is refused. */
function parseBody(body: Buffer, done: (error: Error | null, value?: unknown) => void): void {
  let value: unknown;
  try {
    value = parseDocument(body);
  } catch (error) {
    done(error as Error);
    return;
  }
  done(null, value);
}
