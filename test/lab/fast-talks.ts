/** Who may talk with whom under a random policy: each protocol and family, from either side, by NAT and without it. */
import { addressAt } from './address.ts';
import { CraftedConversation, type Talk } from './crafted-conversation.ts';
import type { Crafted } from './crafted-packet.ts';
import type { FastTenant, Service } from './fast-policy.ts';
import { RandomNumbers } from './random-nat.ts';

const PROTOCOLS = ['tcp', 'udp', 'ping'] as const;
type Way = Pick<Talk, 'tenant' | 'family' | 'protocol' | 'isForwarded' | 'opener'> & {
  service: Service | undefined;
};

/** All kinds of conversations of the tenants. */
export function waysOf(tenants: readonly FastTenant[]): Way[] {
  const ways: Way[] = [];
  for (const tenant of tenants)
    for (const family of [4, 6] as const)
      for (const protocol of PROTOCOLS) {
        const common = { tenant, family, protocol, service: undefined };
        if (tenant.network !== undefined)
          for (const opener of ['inside', 'outside'] as const)
            ways.push({ ...common, isForwarded: true, opener });
        if (tenant.ports[family] !== 'none') ways.push({ ...common, isForwarded: false, opener: 'inside' });
        for (const service of tenant.services)
          if (service.family === family && (service.protocol ?? protocol) === protocol)
            ways.push({ ...common, isForwarded: false, opener: 'outside', service });
      }
  return ways;
}

/** A conversation of that kind; `number` tells it from all others. */
export function talkOf(way: Way, number: number, numbers: RandomNumbers): Talk {
  const { tenant, family, protocol, isForwarded, opener, service } = way;
  const vm = service?.vm ?? numbers.pick(tenant.vms);
  const outside = { address: remoteOf(way, number), port: numbers.between(1, 0xffff) };
  const own = isForwarded ? 'all' : tenant.ports[family];
  // Of a block, a port that stays as it is; or the only one, which any becomes.
  const [first, last] = typeof own === 'string' || own[0] === own[1] ? [5000, 0xffff] : own;
  const port = service?.port ?? numbers.between(first, last);
  if (protocol === 'ping') outside.port = port;
  const inside = { address: vm.addresses[family], port: service?.insidePort ?? port };
  const seen = service && { address: service.address, port };
  const talk = { tenant, vm, family, protocol, isForwarded, opener, inside, outside };
  return { ...talk, seen: isForwarded ? { ...inside } : seen };
}

/** Whether the fast path knows such conversations at all. Echoes it takes without connection tracking, which does not know NPTv6. */
export function isKindFast({ tenant, family, protocol, isForwarded }: Talk): boolean {
  return protocol === 'ping' || isForwarded || family === 4 || !tenant.hasNptv6;
}

/** An address that no other conversation is with. */
function remoteOf({ tenant, family, isForwarded }: Way, number: number): string {
  const low = (number % 250) + 1;
  const high = Math.floor(number / 250) + 1;
  const net = isForwarded ? tenant.network?.prefixes[family] : undefined;
  if (family === 4) return `${net === undefined ? '100.70' : '172.20'}.${high}.${low}`;
  return addressAt(`${net === undefined ? '2001:db8:900' : '2001:db8:f00'}:${high}::/64`, low);
}

/**
 * A packet that shows when all before it is done: a UDP datagram of one of the tenants to the internet, with options, which passes a
 * gateway as others do, but never by the fast path. Its data is the caller's.
 */
export function markerOf(tenants: readonly FastTenant[]): Crafted {
  const tenant = tenants.find(({ ports }) => ports[4] === 'all');
  if (tenant === undefined) throw new Error('nobody has a whole address');
  const [vm] = tenant.vms;
  const marker = new CraftedConversation(
    {
      ...{ tenant, vm, family: 4, protocol: 'udp', isForwarded: false, opener: 'inside', seen: undefined },
      ...{ inside: { address: vm.addresses[4], port: 4000 }, outside: { address: '100.69.0.1', port: 9 } },
    },
    new RandomNumbers(1),
  ).odd('inside');
  marker.ip.options = Buffer.alloc(4, 1);
  marker.ip.ttl = 64;
  marker.padding = marker.trailer = Buffer.alloc(0);
  return marker;
}
