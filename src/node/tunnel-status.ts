/** The state of a tunnel as the status of its site connection. */
import type { ResourceStatus, SiteConnectionState } from '../api/operations.ts';

export function tunnelStatus({ state, since, lastError }: SiteConnectionState): ResourceStatus {
  switch (state) {
    // One that listens is as it was asked for: it is another's turn.
    case 'connected':
    case 'listening':
      return { state: 'ready', since };
    case 'connecting':
      return { state: 'pending', reason: lastError ?? 'The tunnel is being set up.', since };
    case 'failed':
      return { state: 'failed', reason: lastError ?? 'The tunnel could not be set up.', since };
  }
}
