/** The resources that the kernel does not have as they were asked for: an operator's first look. */
import type { SettledStatus, StatusProblem, WaitedFor } from '../api/operations.ts';
import type { DesiredState } from '../policy/state.ts';
import { resourcePath } from '../store/resource-path.ts';
import type { ResourceKey } from '../store/store.ts';

/** Most that are listed: one cause may be the trouble of very many. */
const listed = 100;

/** `statusOf` is asked for what came of the last try: what waits for its turn is no problem. */
export function findProblems(
  state: DesiredState,
  statusOf: (resource: WaitedFor) => SettledStatus,
): StatusProblem[] {
  const problems: StatusProblem[] = [];
  for (const key of wholes(state)) {
    const { notReady } = statusOf({ key, revision: 0 });
    problems.push(...notReady.map((each) => ({ path: resourcePath(each.key), ...each.status })));
    if (problems.length >= listed) break;
  }
  return problems.slice(0, listed);
}

/** What belongs to the node comes before the domains, which often stand on it; a domain stands for all that it has. */
function* wholes(state: DesiredState): Generator<ResourceKey> {
  for (const id of state.providerAddresses.keys()) yield { kind: 'providerAddress', id };
  for (const id of state.providerRoutes.keys()) yield { kind: 'providerRoute', id };
  for (const id of state.ports.keys()) yield { kind: 'port', id };
  for (const rdid of state.domains.keys()) yield { kind: 'routingDomain', rdid };
}
