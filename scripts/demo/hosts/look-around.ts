/** The words around act two: what is being shown, and how to look at it from another terminal. */
import { PROVIDER_NIC } from '../../../test/lab/node-process.ts';
import { machinesOf, providerAddress, THREE_SUBNETS } from '../../../test/lab/vm-network.ts';
import { columns } from '../table.ts';
import { type HostsStage, ROUTER, SITE } from './stage.ts';

/** Three hosts and their VMs, side by side. */
export const PICTURE: readonly string[] = [
  'One VM network of three subnets on three hosts: its VMs reach each other, each host is the router between the subnets.',
  '',
  ...picture().map((line) => `  ${line}`.trimEnd()),
];

function picture(): string[] {
  const machines = machinesOf(THREE_SUBNETS, 4);
  const hosts = ['node 1', 'node 2', 'host 3'].map((name, index) => `${name}  ${providerAddress(4, index)}`);
  const under = ['hnvgw host', 'hnvgw host', 'Open vSwitch'];
  const lines = THREE_SUBNETS.subnets.map(({ vsid }) => [
    ...[0, 1, 2].map((host) => {
      const machine = machines.find((each) => each.host === host && each.spec.vsid === vsid);
      return `  ${machine?.spec.ip}  ${machine?.spec.ip6}`;
    }),
    `VSID ${vsid}`,
  ]);
  const router = ['', `  router VM  ${ROUTER.ip}`, '', `VSID ${ROUTER.vsid}; behind it ${SITE.prefixes[0]}`];
  const [heads = '', , ...rest] = columns(hosts, [under.map((each) => `  ${each}`), ...lines, router]);
  return [heads, ...rest];
}

/** Commands for another terminal. */
export function lookAround({ all, router }: HostsStage): string[] {
  const [first] = all.nodes;
  const curl = `curl --unix-socket ${first.api.socketPath} http://localhost`;
  const rdid = all.networks[0]?.rdid;
  const vm = all.vm(1, 1);
  const enter = (path: string) => `nsenter --net=${path}`;
  return [
    `  Node 1's REST API: its state, what it has learned, what it forwarded and dropped`,
    `    ${curl}/v1/status`,
    `    ${curl}/v1/routing-domains/${rdid}/lookup-records`,
    `    ${curl}/v1/routing-domains/${rdid}/counters`,
    `  Inside a VM on node 1 (${all.vm(2, 1).ip} is on node 2 by now): to another subnet, to the site behind the router VM`,
    `    ${enter(vm.namespace.path)} traceroute -n ${all.vm(3, 3).ip}`,
    `    ${enter(vm.namespace.path)} traceroute -n ${SITE.addresses[1]}`,
    `  Inside the router VM`,
    `    ${enter(router.namespace.path)} tcpdump -ni any icmp or icmp6`,
    '  The tunnels on the wire, while something of the above runs',
    `    ${enter(first.namespace.path)} tshark -ni ${PROVIDER_NIC} -f 'proto 47'`,
  ];
}
