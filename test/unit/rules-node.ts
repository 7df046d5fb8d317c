/** APIs whose rules can be broken: with the tenants of the lab and what stands beside them, and a full one. */
import { isDeepStrictEqual } from 'node:util';
import { newSecret, writeToken } from '../../src/access/secret.ts';
import type { StoreCapacity } from '../../src/store/capacity.ts';
import { fillNode, fullCapacity } from '../lab/node-rule-breakers.ts';
import { provisionNeighbours, type RuleBreaker } from '../lab/rule-breakers.ts';
import { namedValue } from '../lab/rule-document.ts';
import { provisionTenants } from '../lab/topology.ts';
import { type RunningApi, runApi } from './api-server.ts';
import { cheapHash } from './guarded-api.ts';
import { snapshot } from './store-folder.ts';

interface Teardown {
  teardown(done: () => unknown): void;
}

async function runProvisioned(
  t: Teardown,
  capacity: StoreCapacity | undefined,
  provision: (api: { put(path: string, body: unknown): Promise<unknown> }) => Promise<void>,
): Promise<RunningApi> {
  const api = await runApi(t, capacity);
  const put = async (path: string, body: unknown) => {
    const answer = await api.request('PUT', path, body);
    if (answer.status !== 201) throw new Error(`${path}: ${JSON.stringify(answer.body)}`);
  };
  await provision({ put });
  return api;
}

/** For the rules of resources, tokens, lists and documents. */
export function runTenants(t: Teardown): Promise<RunningApi> {
  return runProvisioned(t, undefined, async (api) => {
    await provisionTenants(api);
    await provisionNeighbours(api);
  });
}

/** For the rules of capacity. */
export function runFull(t: Teardown): Promise<RunningApi> {
  return runProvisioned(t, fullCapacity, fillNode);
}

let tokensMade = 0;

/** The token that a breaker is asked with, of its tenant: made past the API so that checking it costs little. */
export async function tokenOf({ store }: RunningApi, { tenant }: RuleBreaker): Promise<string | undefined> {
  if (tenant === undefined) return undefined;
  const id = `tenant-${++tokensMade}`;
  const secret = newSecret();
  const hash = cheapHash(secret);
  const created = new Date().toISOString();
  await store.tokens.put({ id, role: 'tenant', routingDomains: [tenant], created, hash });
  return writeToken({ id, secret });
}

/** Whether the store is still as it was when this was called. */
export function unchanged({ store }: RunningApi): () => boolean {
  const { revision } = store;
  const state = snapshot(store.state);
  const tokens = store.tokens.all.size;
  return () =>
    store.revision === revision &&
    isDeepStrictEqual(snapshot(store.state), state) &&
    store.tokens.all.size === tokens;
}

/** What the message should name and does not. */
export function missingWords(message: string, breaker: RuleBreaker): string[] {
  const value = namedValue(breaker);
  const field = breaker.pointer?.split('/').at(-1);
  const wanted = [...(value === undefined ? [] : [value]), ...(field === undefined ? [] : [field])];
  return wanted.filter((word) => !message.includes(word));
}
