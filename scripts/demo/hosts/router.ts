/** The routers of the VM network: the distributed one that every host is, and a VM with a site behind it. */
import { Capture } from '../../../test/lab/capture.ts';
import type { Hop } from '../../../test/lab/traceroute.ts';
import type { Row } from '../table.ts';
import { type HostsStage, ROUTER, SITE, SITE_NIC } from './stage.ts';

/** TTL of an answer from the site: one less for the router VM, one less for the distributed router. */
const SITE_TTL = 62;

/** traceroute between two subnets, and inside one. */
export async function traceVms({ all }: HostsStage): Promise<Row[]> {
  const from = all.vm(1, 1);
  const other = all.vm(2, 2);
  const neighbour = all.vm(1, 2);
  const routers = [from.spec.gateway, from.spec.gateway6 ?? ''];
  return Promise.all([
    traceRow('traceroute between subnets: the .1, IPv4', await from.traceroute(other.ip), [
      routers[0],
      other.ip,
    ]),
    traceRow('traceroute between subnets: the .1, IPv6', await from.traceroute(other.ip6), [
      routers[1],
      other.ip6,
    ]),
    traceRow('traceroute inside a subnet: no router', await from.traceroute(neighbour.ip), [neighbour.ip]),
  ]);
}

/** All VMs of all hosts ping the site, whose prefixes are routed to the router VM. */
export async function reachSite({ all, vms, router }: HostsStage): Promise<Row[]> {
  const capture = await Capture.start(router.namespace, SITE_NIC, 'icmp or icmp6');
  const ttls = await Promise.all(
    SITE.addresses.map((address) =>
      Promise.all(vms.map(async ({ vm }) => (await vm.ping(address, 1)).ttls[0])),
    ),
  );
  await capture.stop();
  const requests = await capture.decode('icmp.type == 8 || icmpv6.type == 128', ['frame.number']);
  const answered = ttls.map((each) => each.filter((ttl) => ttl === SITE_TTL).length);
  const from = all.vm(1, 1);
  const way = (gateway: string | undefined, nextHop: string, address: string) => [gateway, nextHop, address];
  return [
    {
      what: `VMs reach ${SITE.addresses[0]} behind the router VM`,
      seen: `${answered[0]} of ${vms.length} IPv4, ${answered[1]} of ${vms.length} IPv6; ${requests.length} pings seen in the router VM`,
      ok: answered.every((count) => count === vms.length) && requests.length === 2 * vms.length,
    },
    traceRow(
      'traceroute: the .1 and the router VM, IPv4',
      await from.traceroute(SITE.addresses[0]),
      way(from.spec.gateway, ROUTER.ip, SITE.addresses[0]),
    ),
    traceRow(
      'traceroute: the .1 and the router VM, IPv6',
      await from.traceroute(SITE.addresses[1]),
      way(from.spec.gateway6, ROUTER.ip6, SITE.addresses[1]),
    ),
  ];
}

function traceRow(what: string, hops: readonly Hop[], expected: readonly (string | undefined)[]): Row {
  const seen = hops.map(({ address = '*', refusal }) => (refusal ? `${address} ${refusal}` : address));
  return { what, seen: seen.join(' > '), ok: seen.join() === expected.join() };
}
