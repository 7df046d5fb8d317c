/** VM to VM, each to each other, in both families: pings, and what the TTLs of their answers say about routers between. */
import type { Row } from '../table.ts';
import type { PlacedVm } from './stage.ts';

/** Hop limit that the VMs' stacks send with. */
const TTL = 64;

export interface PairPing {
  from: PlacedVm;
  to: PlacedVm;
  family: 4 | 6;
  /** TTL of the answer; undefined when there was none. */
  ttl: number | undefined;
}

/** Pings once from each VM to both addresses of each other one. */
export async function pingAllPairs(vms: readonly PlacedVm[]): Promise<PairPing[]> {
  const pings: PairPing[] = [];
  for (const from of vms) {
    const others = vms.filter((to) => to !== from);
    const tried = others.flatMap((to) =>
      ([4, 6] as const).map(async (family): Promise<PairPing> => {
        const { ttls } = await from.vm.ping(family === 4 ? to.vm.ip : to.vm.ip6, 1);
        return { from, to, family, ttl: ttls[0] };
      }),
    );
    pings.push(...(await Promise.all(tried)));
  }
  return pings;
}

/** One less for the router between two subnets; inside a subnet there is none. */
export function expectedTtl({ from, to }: { from: PlacedVm; to: PlacedVm }): number {
  return from.subnet === to.subnet ? TTL : TTL - 1;
}

/** Host 3 is the one with Open vSwitch. */
const KINDS = [
  { title: 'One host', has: (a: number, b: number) => a === b },
  { title: 'hnvgw ↔ hnvgw', has: (a: number, b: number) => a !== b && a !== 3 && b !== 3 },
  { title: 'hnvgw ↔ Open vSwitch', has: (a: number, b: number) => a !== b && (a === 3 || b === 3) },
];

/** One row for each kind of pair, and one for all. */
export function pairRows(pings: readonly PairPing[]): Row[] {
  const rows: Row[] = [];
  for (const { title, has } of KINDS) {
    for (const isSame of [true, false]) {
      const found = pings.filter(
        ({ from, to }) => has(from.host, to.host) && (from.subnet === to.subnet) === isSame,
      );
      if (found.length === 0) continue;
      rows.push({
        what: `${title}, ${isSame ? 'same subnet: TTL unchanged' : 'between subnets: TTL one less'}`,
        seen: `${countText(found)}; TTL ${[...new Set(found.map(({ ttl }) => ttl ?? 'none'))].join(', ')}`,
        ok: found.every(isRight),
      });
    }
  }
  rows.push({ what: 'Every VM reaches every other one', seen: countText(pings), ok: pings.every(isRight) });
  return rows;
}

export function isRight(ping: PairPing): boolean {
  return ping.ttl === expectedTtl(ping);
}

function countText(pings: readonly PairPing[]): string {
  const counts = ([4, 6] as const).map((family) => {
    const tried = pings.filter((ping) => ping.family === family);
    return `${tried.filter(({ ttl }) => ttl !== undefined).length} of ${tried.length} pairs IPv${family}`;
  });
  return counts.join(', ');
}
