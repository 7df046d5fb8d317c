/** What the two sides of a site connection call themselves, when the resource leaves it to the defaults. */
import type { SiteConnection } from './resources.ts';
import { destinationsOf } from './tunnel-addresses.ts';

/** Identities as strongSwan reads them. */
export interface SiteIdentities {
  /** Undefined: the subject of its certificate. */
  localId: string | undefined;
  /** Undefined: whoever has the key, or a certificate that the authorities vouch for. */
  remoteId: string | undefined;
}

export function identitiesOf(connection: SiteConnection, localAddress: string): SiteIdentities {
  const { method, localId, remoteId } = connection.authentication;
  if (method === 'certificate') return { localId, remoteId };
  const [only, ...others] = destinationsOf(connection);
  return {
    localId: localId ?? localAddress,
    remoteId: remoteId ?? (others.length === 0 ? only : undefined),
  };
}
