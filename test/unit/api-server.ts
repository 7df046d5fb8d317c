/** The API over real HTTP with a real store, and a privileged side that the test decides about. */
import { type ApiLimits, defaultLimits } from '../../src/access/rate-limiter.ts';
import { buildApp } from '../../src/api/app.ts';
import type {
  BgpRoute,
  BgpState,
  NatSession,
  NatSessionFilter,
  NatUse,
  NodeStatus,
  Operations,
  ResourceStatus,
  SettledStatus,
  SiteConnectionLive,
  SiteConnectionState,
  WaitedFor,
} from '../../src/api/operations.ts';
import { trustSocket } from '../../src/api/origin.ts';
import { Journal } from '../../src/node/journal.ts';
import type { StoreCapacity } from '../../src/store/capacity.ts';
import { resourcePath } from '../../src/store/resource-path.ts';
import { openStore } from '../../src/store/sqlite.ts';
import type { ResourceKey, Store } from '../../src/store/store.ts';
import { UPLINK_NIC } from '../lab/gateway-node.ts';
import { type TypedApi, typedApi } from '../lab/typed-api.ts';
import { Conformance, type OpenApi } from './api-conformance.ts';
import { bgpBody, forwardingBody } from './routed-domain.ts';
import { siteConnectionBody } from './site-connection.ts';
import { capacity as largeCapacity, storePath } from './store-folder.ts';

const since = '2026-01-01T00:00:00.000Z';

export const natSession: NatSession = {
  protocol: 'tcp',
  direction: 'outbound',
  ...{ internalAddress: '10.1.1.11', internalPort: 40000 },
  ...{ externalAddress: '203.0.113.1', externalPort: 2000 },
  ...{ remoteAddress: '198.51.100.9', remotePort: 443 },
  state: 'established',
  started: since,
  timeoutSeconds: 7440,
  assured: true,
  sent: { packets: 10, bytes: 1000 },
  received: { packets: 9, bytes: 9000 },
};

async function* parts<T>(all: readonly T[]): AsyncGenerator<T[]> {
  for (let from = 0; from < all.length; from += 100) yield all.slice(from, from + 100);
}

/** Says `pending` at once and `ready` to those who wait. */
export class StandInOperations implements Operations {
  readonly waits: { key: ResourceKey; revision: number; timeoutMs: number }[] = [];
  ready = true;
  failure: Error | undefined;
  readonly events: Journal;

  constructor(store: Store) {
    this.events = new Journal(store);
  }

  nodeStatus(): NodeStatus {
    if (this.failure !== undefined) throw this.failure;
    return {
      version: '0.1.0',
      role: 'gateway',
      instance: 'hg',
      ready: this.ready,
      appliedRevision: 3,
      revision: 4,
      routingDomains: { ready: 1, pending: 0, failed: 0 },
      warnings: ['eth0 leaves 1458 bytes for packets of VMs.'],
      features: [{ name: 'tcx', present: false, note: 'clsact is used' }],
      unattributedDrops: { vsidUnknown: 2 },
      recentDrops: [{ at: since, reason: 'vsidUnknown', interface: 'eth0', length: 60, head: '0200' }],
      started: since,
      uptimeSeconds: 60,
      storeBytes: 8192,
      sequencer: { queueLength: 2, retries: 5 },
      drift: this.events.drift,
      fastPath: {
        interfaces: [
          { name: 'eth0', carrier: 'native' },
          { name: 'eth1', carrier: 'generic', reason: 'a veth is a virtual link' },
        ],
      },
      problems: [{ path: `${contosoPath}/nat`, state: 'failed', reason: 'no memory', since }],
    };
  }

  isReady(): boolean {
    return this.ready;
  }

  contextDrops(): number {
    return 0;
  }

  /** What natUse() and natSessions() answer; undefined as on a node without the domain's gateway. */
  nat: { use: NatUse; sessions: NatSession[] } | undefined = {
    use: { sessions: 7, refused: { limit: 1, ports: 2, bindings: 3 } },
    sessions: [natSession],
  };
  /** Filters that sessions were asked for with, and whether that list has been given up or read to its end. */
  readonly lists: { filter: NatSessionFilter; isOver: boolean }[] = [];

  natUse(): NatUse | undefined {
    return this.nat?.use;
  }

  natSessions(_rdid: string, filter: NatSessionFilter): AsyncIterable<NatSession[]> | undefined {
    return this.nat === undefined ? undefined : this.#list(this.nat.sessions, filter);
  }

  /** What siteConnections() and siteConnection() answer, of whatever domain. */
  readonly tunnels = new Map<string, SiteConnectionLive>();

  siteConnections(): ReadonlyMap<string, SiteConnectionState> {
    return this.tunnels;
  }

  async siteConnection(_rdid: string, name: string): Promise<SiteConnectionLive | undefined> {
    return this.tunnels.get(name);
  }

  /** What bgp() and bgpRoutes() answer, of whatever domain; undefined as where it does not run. */
  speaker: { state: BgpState; routes: BgpRoute[] } | undefined;
  /** What uplinkBgp() answers. */
  uplinkSpeaker: BgpState | undefined;

  bgp(): BgpState | undefined {
    return this.speaker?.state;
  }

  bgpRoutes(): AsyncIterable<BgpRoute[]> | undefined {
    return this.speaker && parts(this.speaker.routes);
  }

  uplinkBgp(): BgpState | undefined {
    return this.uplinkSpeaker;
  }

  async *#list(sessions: readonly NatSession[], filter: NatSessionFilter): AsyncGenerator<NatSession[]> {
    const list = { filter, isOver: false };
    this.lists.push(list);
    try {
      yield* parts(sessions);
    } finally {
      list.isOver = true;
    }
  }

  resourceStatus(): ResourceStatus {
    return { state: 'pending', reason: 'not programmed yet', since };
  }

  domainCounters() {
    const direction = { packets: 1, bytes: 84 };
    return {
      decapsulated: direction,
      encapsulated: direction,
      fast: { packets: 2 },
      local: direction,
      drops: { spoofedSource: 1 },
    };
  }

  async settled(key: ResourceKey, revision: number, timeoutMs: number): Promise<ResourceStatus> {
    this.waits.push({ key, revision, timeoutMs });
    return { state: 'ready', since };
  }

  /** What is not ready when somebody waits for many: by path. */
  readonly notReady = new Map<string, ResourceStatus>();

  async allSettled(
    all: readonly WaitedFor[],
    _revision: number,
    timeoutMs: number,
  ): Promise<SettledStatus[]> {
    return all.map(({ key, revision }) => {
      this.waits.push({ key, revision, timeoutMs });
      const status = this.notReady.get(resourcePath(key));
      return status === undefined
        ? { state: 'ready', notReady: [] }
        : { state: status.state, notReady: [{ key, status }] };
    });
  }
}

/** JSON of an answer; which fields there are depends on the path, and is what the tests are about. */
export interface AnswerBody {
  items: { [field: string]: unknown; id: string; status: object }[];
  next?: string;
  rdid: string;
  name: string;
  labels: Record<string, string>;
  staticMappings: object[];
  /** Of a resource: what the kernel has. Of a problem: the HTTP status. */
  status: unknown;
  type: string;
  title: string;
  detail: string;
  code: string;
  rule: string;
}

/** An answer with what tests look at. `body` is undefined when there is none, and text when it is no JSON. */
export interface Answer {
  status: number;
  type: string | null;
  headers: Headers;
  body: AnswerBody;
}

export interface RunningApi {
  base: string;
  store: Store;
  operations: StandInOperations;
  document: OpenApi;
  /** Which answers there have been: `operationId status`. */
  answered: Set<string>;
  /** fetch() whose answers are held against the document. */
  fetch: typeof fetch;
  /** The client that is generated from the document. */
  typed: TypedApi;
  /** Objects are sent as JSON, strings as they are. Of a stream of events, which would not end, nothing is read. */
  request(method: string, path: string, body?: unknown, headers?: Record<string, string>): Promise<Answer>;
}

/** Runs until the test ends. Every answer is held against the OpenAPI document: one that is not in it is an error. */
export async function runApi(
  t: { teardown(done: () => unknown): void },
  capacity: StoreCapacity = largeCapacity,
  limits: ApiLimits = defaultLimits,
): Promise<RunningApi> {
  const settings = { uplinks: [UPLINK_NIC], allowsWeakAlgorithms: false };
  const store = await openStore({ path: storePath(t), capacity, settings });
  const operations = new StandInOperations(store);
  const app = buildApp({ store, operations, version: '0.1.0', limits });
  t.teardown(async () => {
    await app.close();
    await store.close();
  });
  // Requests of these tests come as over the unix socket of the node.
  app.server.on('connection', trustSocket);
  const base = await app.listen({ host: '127.0.0.1', port: 0 });
  const document = JSON.parse(JSON.stringify(app.swagger())) as OpenApi;
  const conformance = new Conformance(document);
  const answered = new Set<string>();
  const conforming: typeof fetch = async (input, init) => {
    const response = await fetch(input, init);
    const { status, headers } = response;
    const isJson = /[/+]json/.test(headers.get('content-type') ?? '');
    const body = isJson ? JSON.parse((await response.clone().text()) || 'null') : undefined;
    const path = String(input).slice(base.length);
    const seen = conformance.check({ method: init?.method ?? 'GET', path, status, headers, body });
    if (seen !== undefined) answered.add(seen);
    return response;
  };
  const typed = typedApi({ baseUrl: base, fetch: conforming });
  const request: RunningApi['request'] = async (method, path, body, headers = {}) => {
    const response = await conforming(base + path, {
      method,
      headers: { ...(body === undefined ? {} : { 'content-type': 'application/json' }), ...headers },
      ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
    });
    const type = response.headers.get('content-type');
    const isStream = type === 'text/event-stream';
    if (isStream) await response.body?.cancel();
    const text = isStream ? '' : await response.text();
    const isJson = /[/+]json/.test(type ?? '') && text !== '';
    return {
      status: response.status,
      type: type?.split(';')[0] ?? null,
      headers: response.headers,
      body: isJson ? JSON.parse(text) : text || undefined,
    };
  };
  return { base, store, operations, document, answered, fetch: conforming, typed, request };
}

export const contosoPath = '/v1/routing-domains/11111111-0000-0000-0000-00000000000a';
export const fabrikamPath = '/v1/routing-domains/22222222-0000-0000-0000-00000000000b';

/** Valid bodies of every kind, by path: a whole tenant, in an order that can be written. */
export const tenant: [path: string, body: Record<string, unknown>][] = [
  ['/v1/provider-addresses/192.0.2.1', { interface: 'eth0', prefixLength: 24 }],
  ['/v1/provider-addresses/2001:db8::1', { interface: 'eth0', prefixLength: 64, vlanId: 7 }],
  [
    '/v1/provider-routes/fabric',
    { interface: 'eth0', destinationPrefix: '198.51.100.0/24', nextHop: '192.0.2.254' },
  ],
  [contosoPath, { name: 'Contoso', labels: { tier: 'gold' } }],
  [
    `${contosoPath}/virtual-subnets/5001`,
    { addressPrefixes: ['10.1.1.0/24', '2001:db8:1::/64'], providerMulticastAddress: '239.1.0.1' },
  ],
  [`${contosoPath}/virtual-subnets/5002`, { addressPrefixes: ['10.254.254.0/29'], isGatewaySubnet: true }],
  [
    `${contosoPath}/lookup-records/web1`,
    {
      customerAddress: '10.1.1.11',
      virtualSubnetId: 5001,
      macAddress: '02-00-00-AA-BB-CC',
      providerAddress: '192.0.2.11',
    },
  ],
  [
    `${contosoPath}/customer-routes/default`,
    { virtualSubnetId: 5002, destinationPrefix: '0.0.0.0/0', nextHop: '10.254.254.2' },
  ],
  [`${contosoPath}/gateway`, { virtualSubnetId: 5002, customerAddresses: ['10.254.254.2'] }],
  [
    `${contosoPath}/nat`,
    {
      externalAddresses: [{ ipAddress: '203.0.113.1' }],
      staticMappings: [
        {
          protocol: 'tcp',
          externalIpAddress: '203.0.113.1',
          externalPort: 8080,
          internalIpAddress: '10.1.1.11',
          internalPort: 80,
        },
      ],
    },
  ],
  [`${contosoPath}/forwarding`, forwardingBody],
  [`${contosoPath}/site-connections/office`, siteConnectionBody],
  [`${contosoPath}/bgp`, bgpBody],
  [
    '/v1/ports/tap0.1',
    {
      virtualSubnetId: 5001,
      macAddress: '02-00-00-AA-BB-01',
      customerAddresses: ['10.1.1.21', '2001:db8:1::21'],
      learn: true,
    },
  ],
  ['/v1/ports/uplink-of-vm7', {}],
];

/** Writes the whole tenant. */
export async function putTenant(api: RunningApi): Promise<void> {
  for (const [path, body] of tenant) {
    const answer = await api.request('PUT', path, body);
    if (answer.status !== 201) throw new Error(`${path}: ${JSON.stringify(answer.body)}`);
  }
}
