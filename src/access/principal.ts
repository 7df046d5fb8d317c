/** Who makes a request, and what it may touch. */
import type { TokenRole } from '../store/tokens.ts';

export interface Principal {
  /** Id of the token, or `local` for whoever may open the node's unix socket. */
  readonly id: string;
  readonly role: TokenRole;
  /** RDIDs of a tenant; undefined for roles that see all. */
  readonly routingDomains?: ReadonlySet<string>;
}

/** Whoever asks without proof of who that is: sees nothing. Its id is that of no token. */
export const nobody: Principal = { id: '-', role: 'tenant', routingDomains: new Set() };

/** Whoever may open the node's unix socket is root on this machine, and could read the store itself. */
export const localPrincipal: Principal = { id: 'local', role: 'admin' };

/**
 * What a route asks of a principal; every route declares one.
 * `anyone`: no token needed. `scoped`: any token; the handler itself shows only what `sees` allows. `domain`: any token, but
 * for a tenant only the RDIDs of its own (else 404, as if there were none). `operator`: admin and operator.
 * `admin`: admin alone.
 */
export type Access = 'anyone' | 'scoped' | 'domain' | 'operator' | 'admin';

/** Whether the principal may know of the routing domain; what belongs to none (undefined) is not for tenants. */
export function sees(principal: Principal, rdid: string | undefined): boolean {
  const { routingDomains } = principal;
  return routingDomains === undefined || (rdid !== undefined && routingDomains.has(rdid));
}
