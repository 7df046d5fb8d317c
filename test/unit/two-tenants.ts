/** Two tenants of one node: Contoso as in the other tests, and Fabrikam, none of whose names occurs anywhere else. */
import type { RequestOptions } from 'node:http';
import { tenant } from './api-server.ts';
import { ask } from './guarded-api.ts';
import { contoso, fabrikam } from './store-folder.ts';

const fabrikamPath = `/v1/routing-domains/${fabrikam}`;

const fabrikamResources: [path: string, body: Record<string, unknown>][] = [
  [fabrikamPath, { name: 'Fabrikam', description: 'Zeppelins', labels: { tier: 'platinum' } }],
  [`${fabrikamPath}/virtual-subnets/6001`, { addressPrefixes: ['172.22.1.0/24'] }],
  [`${fabrikamPath}/virtual-subnets/6002`, { addressPrefixes: ['172.22.254.0/29'], isGatewaySubnet: true }],
  [
    `${fabrikamPath}/lookup-records/hangar`,
    {
      customerAddress: '172.22.1.77',
      virtualSubnetId: 6001,
      macAddress: '02-00-00-77-77-77',
      providerAddress: '192.0.2.77',
    },
  ],
  [
    `${fabrikamPath}/customer-routes/skyway`,
    { virtualSubnetId: 6002, destinationPrefix: '0.0.0.0/0', nextHop: '172.22.254.2' },
  ],
  [`${fabrikamPath}/gateway`, { virtualSubnetId: 6002, customerAddresses: ['172.22.254.2'] }],
  [`${fabrikamPath}/nat`, { externalAddresses: [{ ipAddress: '203.0.113.77' }] }],
  [
    `${fabrikamPath}/site-connections/mooring`,
    {
      destination: '198.51.100.177',
      authentication: { method: 'psk', preSharedKey: 'helium-77-ballast' },
      subnets: [{ prefix: '172.23.0.0/16' }],
    },
  ],
  ['/v1/ports/tap77', { virtualSubnetId: 6001, macAddress: '02-00-00-77-77-78' }],
];

/** Whatever tells of Fabrikam. */
export const signsOfFabrikam = [
  fabrikam,
  /Fabrikam|Zeppelins|platinum|hangar|skyway|mooring|helium|tap77/,
  /\b600[12]\b/,
  /172\.2[23]\.|198\.51\.100\.177|203\.0\.113\.77|192\.0\.2\.77|77[:-]77/,
  /another routing domain|other tenant/i,
];

/** A routing domain that is not there. */
export const unknownDomain = '33333333-0000-0000-0000-00000000000c';

export { contoso, fabrikam };

/** Writes both tenants. */
export async function putTwoTenants(to: RequestOptions): Promise<void> {
  for (const [path, body] of [...tenant, ...fabrikamResources]) {
    const answer = await ask(to, { method: 'PUT', path, body });
    if (answer.status !== 201) throw new Error(`${path}: ${answer.text}`);
  }
}
