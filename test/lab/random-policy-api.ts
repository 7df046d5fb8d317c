/**
 * A policy behind REST under random requests: knows what each must come to, and compares what REST says with that.
 * Problems are answered as lines; none when all is as it must be.
 */
import { isDeepStrictEqual } from 'node:util';
import type { ApiClient, ApiResponse } from './api-client.ts';
import {
  collections,
  documentOf,
  documentOutcome,
  isDocument,
  keyOfPath,
  type Outcome,
  outcomeOf,
  policyDifferences,
  type Resource,
  type Resources,
  SINGLES,
} from './random-policy-model.ts';
import type { Request } from './random-policy-operations.ts';

/** Pages of lists are small, so that there is more than one. */
const PAGE = 3;

interface Item {
  status: { state: string; reason?: string };
  [field: string]: unknown;
}

/** The policy as REST reports it. */
export interface Reported {
  resources: Resources;
  statuses: ReadonlyMap<string, Item['status']>;
}

export class RandomPolicyApi {
  readonly #api: ApiClient;
  #resources: Resources = new Map();
  #etags: ReadonlyMap<string, string> = new Map();
  /** Requests by how they ended, for the summary. */
  readonly counts = { accepted: 0, refused: 0 };

  constructor(api: ApiClient) {
    this.#api = api;
  }

  /** What the policy must be. */
  get resources(): Resources {
    return this.#resources;
  }

  /** Sends it, and answers what is not as it must be. */
  async request(request: Request): Promise<string[]> {
    const outcome = this.outcome(request);
    const revision = await this.#revision();
    const response = await this.send(request);
    const accepted = response.status < 300;
    this.counts[accepted ? 'accepted' : 'refused']++;
    const problems = this.#answered(request, outcome, response);
    const isDry = isDocument(request) && request.dryRun;
    const after = accepted && !isDry && 'resources' in outcome ? outcome.resources : this.#resources;
    problems.push(...(await this.take(after, accepted && !isDocument(request) ? request.path : undefined)));
    if ((!accepted || isDry) && (await this.#revision()) !== revision)
      problems.push(`the revision of the store has changed with a request that ended in ${response.status}`);
    return problems;
  }

  /** What the request must come to. */
  outcome(request: Request): Outcome {
    if (!isDocument(request)) return outcomeOf(this.#resources, request);
    if (request.condition === 'wrong') return { refused: 'HNV_PRECONDITION_FAILED' };
    return documentOutcome(this.#resources, request);
  }

  async send(request: Request): Promise<ApiResponse> {
    const { method, path, condition } = request;
    const body = isDocument(request) ? documentOf(this.#resources, request) : request.body;
    const current = isDocument(request) ? `"${await this.#revision()}"` : (this.#etags.get(path) ?? '"1"');
    const headers = {
      none: {},
      right: { 'if-match': current },
      wrong: { 'if-match': '"999999"' },
      absent: isDocument(request) ? {} : { 'if-none-match': '*' },
    }[condition];
    const query = isDocument(request) && request.dryRun ? '?dryRun=true' : '';
    return this.#api.request(method, path + query, body, headers);
  }

  #answered(request: Request, outcome: Outcome, { status, body }: ApiResponse): string[] {
    const text = `${status} ${JSON.stringify(body)}`;
    if ('refused' in outcome) {
      if (status < 400) return [`must be refused with ${outcome.refused}, and the answer is ${text}`];
      const { code, detail } = body as { code?: string; detail?: string };
      if (detail === undefined || !detail.endsWith('.')) return [`the refusal is no sentence: ${text}`];
      // In which order a document is checked is not said.
      if (isDocument(request) || code === outcome.refused) return [];
      return [`must be refused with ${outcome.refused}, and the answer is ${text}`];
    }
    if (status >= 300) return [`must be accepted, and the answer is ${text}`];
    if (isDocument(request)) return this.#documentAnswered(outcome.resources, body);
    if (request.method === 'DELETE') return [];
    const { status: _, ...item } = body as Item;
    const value = withoutName(item, keyOfPath(request.path).kind);
    const want = outcome.resources.get(request.path)?.value;
    return isDeepStrictEqual(value, want)
      ? []
      : [`the answer is ${text}, and must say ${JSON.stringify(want)}`];
  }

  /** The numbers of the answer are those of the difference. */
  #documentAnswered(after: Resources, body: unknown): string[] {
    const counted = { created: 0, changed: 0, deleted: 0 };
    for (const [path, { value }] of after) {
      const before = this.#resources.get(path)?.value;
      if (before === undefined) counted.created++;
      else if (!isDeepStrictEqual(before, value)) counted.changed++;
    }
    for (const path of this.#resources.keys()) if (!after.has(path)) counted.deleted++;
    const { created, changed, deleted } = body as typeof counted;
    if (isDeepStrictEqual({ created, changed, deleted }, counted)) return [];
    return [
      `the answer counts ${JSON.stringify({ created, changed, deleted })}, and it is ${JSON.stringify(counted)}`,
    ];
  }

  /**
   * Takes these resources for what the policy must be, and compares it with what REST reports. A resource that was
   * `written` by itself may have a new ETag with its old value.
   */
  async take(must: Resources, written?: string): Promise<string[]> {
    const before = this.#resources;
    this.#resources = must;
    const { resources } = await this.report();
    const problems = policyDifferences(resources, must);
    const etags = new Map<string, string>();
    for (const [path, { value }] of resources) {
      const { headers, body } = await this.#api.request('GET', path);
      const { etag } = headers;
      const { status: _, ...item } = body as Item;
      if (!isDeepStrictEqual(withoutName(item, keyOfPath(path).kind), value))
        problems.push(`${path} reads otherwise in a list`);
      if (etag === undefined) {
        problems.push(`${path} has no ETag`);
        continue;
      }
      etags.set(path, etag);
      const same = isDeepStrictEqual(before.get(path)?.value, value);
      const was = this.#etags.get(path);
      if (same && was !== etag && path !== written)
        problems.push(`the ETag of ${path} has changed from ${was} to ${etag}, and the value has not`);
      if (!same && was === etag) problems.push(`the ETag of ${path} has not changed with the value`);
    }
    this.#etags = etags;
    problems.push(...(await this.#policyDocument(resources)));
    return problems;
  }

  /** `GET /v1/policy` says the same as the lists. */
  async #policyDocument(resources: Resources): Promise<string[]> {
    const all = {
      method: 'PUT',
      path: '/v1/policy',
      edits: [],
      without: [],
      dryRun: false,
      condition: 'none',
    } as const;
    const { status, body } = await this.#api.request('GET', '/v1/policy');
    const want = documentOf(resources, all);
    if (status === 200 && isDeepStrictEqual(ordered(withoutEmpty(body)), ordered(want))) return [];
    return [`GET /v1/policy answers ${status} ${JSON.stringify(body)}, and not ${JSON.stringify(want)}`];
  }

  async report(): Promise<Reported> {
    const resources = new Map<string, Resource>();
    const statuses = new Map<string, Item['status']>();
    const take = (path: string, item: Item): void => {
      const { status, ...rest } = item;
      const key = keyOfPath(path);
      resources.set(path, { path, key, value: withoutName(rest, key.kind) });
      statuses.set(path, status);
    };
    const list = async (path: string, name: string): Promise<void> => {
      for (let cursor: string | undefined = ''; cursor !== undefined; ) {
        const page = (await this.#api.get(`${path}?limit=${PAGE}${cursor}`)) as {
          items: Item[];
          next?: string;
        };
        for (const item of page.items) take(`${path}/${String(item[name])}`, item);
        cursor = page.next === undefined ? undefined : `&cursor=${encodeURIComponent(page.next)}`;
      }
    };
    for (const { path, name } of collections([])) await list(path, name);
    const rdids = [...resources.values()].flatMap(({ key: { kind, rdid = '' } }) =>
      kind === 'routingDomain' ? rdid : [],
    );
    for (const { path, name } of collections(rdids).slice(collections([]).length)) await list(path, name);
    for (const rdid of rdids)
      for (const single of SINGLES) {
        const path = `/v1/routing-domains/${rdid}/${single}`;
        const { status, body } = await this.#api.request('GET', path);
        if (status === 200) take(path, body as Item);
      }
    return { resources, statuses };
  }

  async #revision(): Promise<number> {
    return ((await this.#api.get('/v1/status')) as { revision: number }).revision;
  }
}

/** A representation without the field that names the resource. */
function withoutName(item: Record<string, unknown>, kind: string): Record<string, unknown> {
  const named: Record<string, string> = {
    ...{ virtualSubnet: 'vsid', providerAddress: 'address', port: 'interface' },
    ...{ lookupRecord: 'id', customerRoute: 'id', providerRoute: 'id', externalAddressPool: 'name' },
  };
  const { [named[kind] ?? 'rdid']: _, ...value } = item;
  return value;
}

/** Lists that are empty may be left out. */
function withoutEmpty(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutEmpty);
  if (typeof value !== 'object' || value === null) return value;
  const kept = Object.entries(value).filter(([name, field]) => !(isEmptyList(field) && LISTS.has(name)));
  return Object.fromEntries(kept.map(([name, field]) => [name, withoutEmpty(field)]));
}

const isEmptyList = (field: unknown): boolean => Array.isArray(field) && field.length === 0;
const LISTS = new Set([
  ...['providerAddresses', 'providerRoutes', 'externalAddressPools', 'ports', 'routingDomains'],
  ...['virtualSubnets', 'lookupRecords', 'customerRoutes', 'siteConnections'],
]);

/** With the resources of lists in one order. */
function ordered(value: unknown): unknown {
  if (Array.isArray(value)) {
    const items = value.map(ordered);
    return value.every((item) => typeof item === 'object')
      ? items.map((item) => JSON.stringify(item)).sort()
      : items;
  }
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .map(([name, field]): [string, unknown] => [name, ordered(field)])
      .sort(([a], [b]) => (a < b ? -1 : 1)),
  );
}
