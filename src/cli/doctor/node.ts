/** How a running node is, by its own word. */
import type { TLSSocket } from 'node:tls';
import type {
  FastPathStatus,
  NodeEvent,
  NodeStatus,
  ResourceStatus,
  StatusProblem,
} from '../../api/operations.ts';
import type { Api } from '../api.ts';
import { pastEvents } from '../event-stream.ts';
import { ApiProblem } from '../failures.ts';
import type { Item } from '../resources.ts';
import { certificateFinding, type Finding, messageOf, note, ok, wrong } from './finding.ts';

/** A token that ends within a minute more or less is no matter. */
const clockToleranceMs = 10_000;
/** Objects of a kind that are told of one by one. */
const told = 5;

/** Checks of the node behind the API; nothing more when it does not answer. */
export async function checkNode(api: Api): Promise<Finding[]> {
  const findings: Finding[] = [];
  try {
    findings.push(...(await checkConnection(api)));
    findings.push(...(await checkWithin(api)));
  } catch (error) {
    findings.push(wrong(messageOf(error)));
  }
  return findings;
}

async function checkWithin(api: Api): Promise<Finding[]> {
  const status = await permitted<NodeStatus>(api, '/v1/status');
  const isAdmin = (await permitted(api, '/v1/tokens?limit=1')) !== undefined;
  const role = isAdmin ? 'an administrator' : status === undefined ? 'a tenant' : 'an operator';
  const findings = [ok(`The API at ${api.server.name} takes you for ${role}.`)];
  if (status === undefined) {
    findings.push(note('More can be told to operators and administrators only.'));
    return [...findings, ...(await checkObjects(api, ['routing-domains']))];
  }
  return [
    ...findings,
    ...checkStatus(status),
    ...(await checkObjects(
      api,
      ['provider-addresses', 'provider-routes', 'ports', 'routing-domains'],
      status,
    )),
    ...checkDrift(await pastEvents(api, { type: 'drift' })),
  ];
}

/** Of the first answer: the clock of the node, and its certificate. */
async function checkConnection(api: Api): Promise<Finding[]> {
  const answer = await api.stream('GET', '/healthz');
  answer.resume();
  const findings: Finding[] = [];
  const skew = Math.abs(Date.parse(answer.headers.date ?? '') - Date.now());
  if (skew > clockToleranceMs)
    findings.push(
      wrong(`The clocks here and there differ by ${Math.round(skew / 1000)} s.`, 'Synchronize both.'),
    );
  const socket = answer.socket as Partial<TLSSocket>;
  const validTo = socket.getPeerCertificate?.().valid_to;
  if (validTo !== undefined) findings.push(certificateFinding(`of ${api.server.name}`, validTo));
  return findings;
}

function checkStatus(status: NodeStatus): Finding[] {
  const { role, instance, version, ready, revision, appliedRevision, warnings, fastPath } = status;
  const name = `The ${role} ${instance} (version ${version})`;
  const state = !ready
    ? wrong(
        `${name} is starting: the kernel has not followed the store yet.`,
        'Wait; its log tells what it does.',
      )
    : revision === appliedRevision
      ? ok(`${name} is ready, and the kernel has what the store says.`)
      : note(`${name} is ready; the kernel is at revision ${appliedRevision} of ${revision}.`);
  return [
    state,
    ...(fastPath === undefined || !ready ? [] : [checkFastPath(fastPath)]),
    ...warnings.map((warning) => note(warning)),
  ];
}

/** A gateway is whole without it, and slower. */
function checkFastPath({ reason, interfaces }: FastPathStatus): Finding {
  if (reason !== undefined) return note(`There is no fast path: ${reason}.`);
  const words = interfaces.map(({ name, carrier, reason: why }) =>
    carrier === 'native' ? `${name} (native)` : `${name} (generic: ${why})`,
  );
  return ok(`Established connections take the fast path between ${words.join(', ')}.`);
}

/** Operators are told by the node what is not ready, also of what a routing domain has; a tenant sees its domains alone. */
async function checkObjects(api: Api, kinds: readonly string[], status?: NodeStatus): Promise<Finding[]> {
  const findings: Finding[] = [];
  for (const kind of kinds) {
    const items = await api.list<Item>(`/v1/${kind}`);
    const bad = (status?.problems ?? problemsOf(kind, items)).filter(({ path }) =>
      path.startsWith(`/v1/${kind}/`),
    );
    // The node lists the first ones, but counts all routing domains.
    const { pending, failed } = status?.routingDomains ?? { pending: 0, failed: 0 };
    const isReady = bad.length === 0 && (kind !== 'routing-domains' || pending + failed === 0);
    const words = kind.replace('-', ' ');
    if (items.length === 1 && isReady)
      findings.push(ok(`The one ${words.replace(/(address)es$|s$/, '$1')} is ready.`));
    else if (items.length > 0 && isReady) findings.push(ok(`All ${items.length} ${words} are ready.`));
    if (items.length === 0 && kind === 'provider-addresses')
      findings.push(note('The node has no provider address, so no tunnel ends here.', 'hnvgw help apply.'));
    for (const { path, state, reason = 'no reason is given' } of bad.slice(0, told)) {
      const sentence = `${path.replace(/^\/v1\//, '')} is ${state}: ${reason}`;
      findings.push(state === 'failed' ? wrong(sentence) : note(sentence));
    }
    if (bad.length > told)
      findings.push(note(`${bad.length - told} more of the ${words} are not ready.`, `hnvgw get ${kind}.`));
  }
  return findings;
}

function problemsOf(kind: string, items: readonly Item[]): StatusProblem[] {
  return items
    .map((item) => ({ path: `/v1/${kind}/${item.rdid}`, ...(item.status as ResourceStatus) }))
    .filter(({ state }) => state !== 'ready');
}

function checkDrift(events: readonly NodeEvent[]): Finding[] {
  const found = events.filter(({ what }) => what !== 'mended');
  const last = found.at(-1);
  if (last === undefined) return [ok('Nobody has changed the kernel by hand lately.')];
  return [
    note(
      `${found.length} times the kernel was not as programmed, last at ${last.at}: ${last.reason ?? 'no reason is given'}`,
      'Find out who changes it; hnvgw events --type drift shows what.',
    ),
  ];
}

/** Undefined when the role is not enough. */
async function permitted<T>(api: Api, path: string): Promise<T | undefined> {
  try {
    return await api.json<T>('GET', path);
  } catch (error) {
    if (error instanceof ApiProblem && error.problem.status === 403) return undefined;
    throw error;
  }
}
