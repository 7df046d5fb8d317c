/** On-premises networks of the tenants: the same prefix behind strongSwan routers of their own, one of them behind a NAT. */
import { startEcho } from '../../../test/lab/echo.ts';
import type { Site } from '../../../test/lab/site.ts';
import { addSite, connectionTo, SiteDomain, tunnelTo } from '../../../test/lab/site-domains.ts';
import type { DemoTenant, Stage } from './stage.ts';

/** Public addresses of Contoso's and Fabrikam's site; the latter's is its NAT's. */
export const SITE_ADDRESSES = ['192.0.2.10', '192.0.2.20'] as const;
/** What the host at a site serves, and the first VM of a tenant. The second VM has a web site. */
export const FILES_PORT = 445;
export const SQL_PORT = 1433;
export const CONNECTION = 'office';

/** A tenant with its site, and what both ends of their tunnel are told. */
export interface Branch {
  tenant: DemoTenant;
  domain: SiteDomain;
  site: Site;
  key: string;
}

/** Builds both sites, without tunnels, and servers in VMs and sites that tell whose they are. */
export function buildSites(stage: Stage): Promise<[Branch, Branch]> {
  const [contoso, fabrikam] = stage.tenants;
  return Promise.all([
    buildSite(stage, contoso, SITE_ADDRESSES[0], false),
    buildSite(stage, fabrikam, SITE_ADDRESSES[1], true),
  ]);
}

async function buildSite(
  stage: Stage,
  tenant: DemoTenant,
  address: string,
  isBehindNat: boolean,
): Promise<Branch> {
  const { name, machines } = tenant;
  const site = await addSite(stage, { name: `${name}-site`, addresses: [address], isBehindNat });
  await Promise.all([
    startEcho(site.host, site.spec.name, [`tcp:0.0.0.0:${FILES_PORT}`]),
    startEcho(machines[0].namespace, machines[0].name, [`tcp:0.0.0.0:${SQL_PORT}`]),
  ]);
  return { tenant, domain: new SiteDomain(stage.gateway, tenant, machines), site, key: `the key of ${name}` };
}

/** Tells gateway and site of their tunnel. Nobody can call a site behind a NAT: it begins itself. */
export async function joinSite({ tenant, domain, site, key }: Branch): Promise<void> {
  const begins = site.spec.isBehindNat ?? false;
  const putConnection = () =>
    domain.putConnection(CONNECTION, connectionTo(site, key, { initiate: begins ? 'never' : 'start' }));
  const setTunnels = () => site.setTunnels([tunnelTo(tenant.externalAddress, site, key, { begins })]);
  // Who begins is told last.
  for (const tell of begins ? [putConnection, setTunnels] : [setTunnels, putConnection]) await tell();
}
