/** From a forwarding policy to the plan of it. */
import { addressFamily, addressOrder, contains } from '../address.ts';
import { addressOf, uplinkOf, vlanKey } from '../forwarding-index.ts';
import { advertisedPrefixes, forwardingRoutes, prefixFamily } from '../forwarding-routes.ts';
import { sorted } from '../order.ts';
import type { ContextPlan, ForwardingPlan } from '../plan.ts';
import type { Forwarding } from '../resources.ts';
import { derivedMac } from '../router.ts';
import type { DomainState } from '../state.ts';
import type { CompileNode } from './node.ts';

/** Undefined when it cannot be yet. `pending` gets a sentence for what it waits for, and for each prefix that is left out. */
export function compileForwarding(
  domain: DomainState,
  forwarding: Forwarding,
  context: ContextPlan,
  node: CompileNode,
  pending: string[],
): ForwardingPlan | undefined {
  const waits = waitsFor(domain.rdid, forwarding, node);
  if (waits !== undefined) {
    pending.push(`Forwarding waits ${waits}.`);
    return undefined;
  }
  const { vlanId, addresses } = forwarding;
  const taken = new Set(context.tenantPrefixes);
  return {
    uplink: uplinkOf(forwarding, node.uplinks),
    ...(vlanId === undefined ? {} : { vlanId }),
    mac: derivedMac(`forwarding ${domain.rdid}`),
    addresses: sorted(addresses, (address) => String(addressFamily(addressOf(address)))),
    routes: forwardingRoutes(forwarding, domain.nat).filter(({ prefix }) => !taken.has(prefix)),
    advertise: advertisedPrefixes(domain, forwarding).filter((prefix) =>
      isAdvertised(prefix, forwarding, context, node, pending),
    ),
  };
}

/** What others had first only an older configuration of the node has let this one have as well. */
function waitsFor(
  rdid: string,
  forwarding: Forwarding,
  { uplinks, forwardings, uplinkAddresses }: CompileNode,
): string | undefined {
  const { vlanId, addresses } = forwarding;
  const uplink = uplinkOf(forwarding, uplinks);
  if (uplink === '') return 'for an uplink: the configuration of this node names none';
  if (uplinks.length > 0 && !uplinks.includes(uplink))
    return `for interface ${uplink}, which the configuration of this node does not give to forwarding`;
  if (vlanId !== undefined) {
    const isOwn = forwardings.vlans.get(vlanKey(uplink, vlanId)) === rdid;
    return isOwn ? undefined : `for VLAN ${vlanId} of ${uplink}, which another routing domain has`;
  }
  for (const address of addresses.map(addressOf)) {
    const whose = uplinkAddresses?.get(address);
    if (whose !== undefined) return `for another address: ${address} is ${whose}`;
  }
  return undefined;
}

function isAdvertised(
  prefix: string,
  { vlanId, advertise }: Forwarding,
  { addresses }: ContextPlan,
  { uplinkAddresses = new Map() }: CompileNode,
  pending: string[],
): boolean {
  const family = prefixFamily(prefix);
  if (!addresses.some((address) => addressFamily(address) === family)) {
    if (advertise !== undefined)
      pending.push(`Forwarding of ${prefix} waits for an IPv${family} address of the gateway.`);
    return false;
  }
  if (vlanId !== undefined) return true;
  const within = sorted(uplinkAddresses.keys(), addressOrder).find((address) => contains(prefix, address));
  if (within === undefined) return true;
  pending.push(
    `Forwarding of ${prefix} waits for another prefix: ${within}, which is in it, is ${uplinkAddresses.get(within)}.`,
  );
  return false;
}
