/** Routing domains as people name them: by RDID, or by a name that only one of them has. */
import { HnvError } from '../errors.ts';
import type { Api } from './api.ts';
import type { Options } from './command.ts';
import { UsageError } from './failures.ts';
import { didYouMean } from './suggest.ts';

export interface Domain {
  readonly rdid: string;
  readonly name: string;
}

/** The option of commands that are about a routing domain. */
export const domainOption = {
  domain: {
    type: 'string',
    short: 'd',
    value: 'DOMAIN',
    complete: 'domain',
    summary: 'the routing domain: its RDID, or its name if only one has it',
  },
} as const satisfies Options;

const rdidForm = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

/** All that the token may see. */
export function listDomains(api: Api): Promise<Domain[]> {
  return api.list<Domain>('/v1/routing-domains');
}

/** The RDID. Throws HNV_NOT_FOUND when no domain has the name, UsageError when several have. */
export async function resolveDomain(api: Api, given: string): Promise<string> {
  if (rdidForm.test(given)) return given.toLowerCase();
  const domains = await listDomains(api);
  const [found, ...others] = domains.filter(({ name }) => name === given);
  if (found === undefined) {
    const names = domains.map(({ name }) => name);
    throw new HnvError(
      'HNV_NOT_FOUND',
      `No routing domain has the name ${given}${didYouMean(given, names)} (hnvgw get routing-domains shows them).`,
    );
  }
  if (others.length === 0) return found.rdid;
  const rdids = [found, ...others].map(({ rdid }) => rdid).join(', ');
  throw new UsageError(`several routing domains have the name ${given}; name one by its RDID: ${rdids}`);
}
