/** Which routing domains the change of a resource concerns. */

import type { DesiredState } from '../policy/state.ts';
import { isNodeKind } from './keys.ts';
import type { ResourceKey } from './store.ts';

/** RDIDs, and whether the change concerns the node's own links and so every domain. */
export interface Touched {
  readonly domains: Set<string>;
  node: boolean;
}

/** Notes what the resource, as it is in the state, concerns: nothing when it is not there. */
export function touch(touched: Touched, state: DesiredState, key: ResourceKey): void {
  if (!isNodeKind(key.kind)) {
    touched.domains.add(key.rdid ?? '');
    return;
  }
  // A pool is what policies are given addresses from when they are written; the kernel has none.
  if (key.kind === 'externalAddressPool') return;
  if (key.kind !== 'port') {
    touched.node = true;
    return;
  }
  const port = state.ports.get(key.id ?? '');
  if (port === undefined) return;
  const rdid = state.vsidOwners.get(port.virtualSubnetId ?? 0);
  if (rdid === undefined) touched.node = true;
  else touched.domains.add(rdid);
}
