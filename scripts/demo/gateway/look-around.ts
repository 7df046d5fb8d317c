/** The words around the demo: what is being shown, and how to look at it from another terminal. */
import { contextNames } from '../../../src/gateway/names.ts';
import { FAR_ADDRESS, INTERNET_ADDRESS } from '../../../test/lab/internet.ts';
import { PROVIDER_NIC } from '../../../test/lab/ovs-host.ts';
import {
  CONTOSO,
  FABRIKAM,
  GATEWAY_ADDRESS,
  HOST_ADDRESSES,
  MAPPED_PORT,
} from '../../../test/lab/topology.ts';
import { CONNECTION, SITE_ADDRESSES } from './sites.ts';
import type { Stage } from './stage.ts';

/** What the lab looks like: hosts, gateway and internet side by side, with what joins them. */
export const PICTURE: readonly string[] = [
  'Two tenants with the same addresses reach the internet, and their own sites, through one gateway.',
  '',
  ...sideBySide([
    [`host 1  ${HOST_ADDRESSES[0]}`],
    [`  Contoso   10.1.1.11  VSID ${CONTOSO.vsid}`],
    [`  Fabrikam  10.1.1.11  VSID ${FABRIKAM.vsid}`, '', `gateway  ${GATEWAY_ADDRESS}`, '', 'internet'],
    [
      '',
      '-- NVGRE --',
      `  Contoso   ${CONTOSO.externalAddress}`,
      '-- uplink --',
      `  router  ${INTERNET_ADDRESS}`,
    ],
    [
      `host 2  ${HOST_ADDRESSES[1]}`,
      '',
      `  Fabrikam  ${FABRIKAM.externalAddress}`,
      '',
      `  server  ${FAR_ADDRESS}`,
    ],
    [`  Contoso   10.1.1.12  VSID ${CONTOSO.vsid}`, '', '', '-- IPsec --', 'sites  both 192.168.50.0/24'],
    [`  Fabrikam  10.1.1.12  VSID ${FABRIKAM.vsid}`, '', '', '', `  Contoso   ${SITE_ADDRESSES[0]}`],
    [
      `  Fabrikam  10.1.1.13  VSID ${FABRIKAM.vsid}`,
      ...['', '', ''],
      `  Fabrikam  ${SITE_ADDRESSES[1]}, behind a NAT`,
    ],
  ]),
];

function sideBySide(lines: readonly (readonly string[])[]): string[] {
  const widths = [0, 1, 2, 3, 4].map((part) => Math.max(...lines.map((line) => line[part]?.length ?? 0)));
  return lines.map((line) => `  ${line.map((part, i) => part.padEnd(widths[i] ?? 0)).join('  ')}`.trimEnd());
}

/** Commands for another terminal. */
export function lookAround({ lab, tenants, gateway, internet, hosts }: Stage): string[] {
  const curl = `curl --unix-socket ${gateway.api.socketPath} http://localhost`;
  const [{ machines, externalAddress, rdid }] = tenants;
  const enter = (path: string) => `nsenter --net=${path}`;
  const context = contextNames(gateway.instance, rdid).netns;
  return [
    `  All namespaces (${lab.name}-*: the lab; ${gateway.instance}-*: the gateway's contexts, one a tenant)`,
    '    ip netns',
    "  The gateway's REST API: state of the node, what it was told, its OpenAPI document",
    `    ${curl}/v1/status`,
    `    ${curl}/v1/routing-domains/${rdid}/lookup-records`,
    `    ${curl}/openapi.json`,
    '  The same document as a web page: http://localhost:8000/docs, once a port leads to the socket',
    `    ssh -N -L 8000:${gateway.api.socketPath} root@this-machine`,
    `  Inside Contoso's VM (ls /run/netns shows the others)`,
    `    ${enter(machines[0].namespace.path)} curl http://${FAR_ADDRESS}/`,
    '  On the internet, to a mapped port',
    `    ${enter(internet.namespace.path)} curl http://${externalAddress}:${MAPPED_PORT}/`,
    `  Contoso's context: its NAT rules and its sessions`,
    `    ip netns exec ${context} nft list ruleset`,
    `    ip netns exec ${context} conntrack -L`,
    `  The tunnel to Contoso's site: its state and its SAs`,
    `    ${curl}/v1/routing-domains/${rdid}/site-connections/${CONNECTION}/sas`,
    '  The tunnels on the wire, while something of the above runs',
    `    ${enter(hosts[0].namespace.path)} tshark -ni ${PROVIDER_NIC} -f 'proto gre'`,
  ];
}
