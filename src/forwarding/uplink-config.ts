/**
 * The configuration of bgpd for the gateway's own BGP, as bgpConfig() makes that of a domain's: it announces, and learns nothing. An
 * announcement is one line, so that a change of one domain is few.
 */
import type { UplinkBgpConfig } from '../config/uplink-bgp.ts';
import { addressFamily, networkAddress } from '../policy/address.ts';
import { addressOf } from '../policy/forwarding-index.ts';
import { peerLines, routerLines } from './bgp-config.ts';
import { type Announcement, isUsable } from './uplink-announcements.ts';

export type UplinkPeer = UplinkBgpConfig['peers'][number] & {
  /** Its address. */
  name: string;
  password?: string;
};

export interface UplinkPlan {
  asn: number;
  routerId: string;
  gracefulRestartSeconds: number;
  peers: readonly UplinkPeer[];
}

const NOTHING = 'nothing';

type Family = 4 | 6;

export function uplinkConfig(plan: UplinkPlan, announcements: readonly Announcement[]): string[] {
  const byFamily = { 4: [] as Announcement[], 6: [] as Announcement[] };
  for (const one of announcements) byFamily[addressFamily(networkAddress(one.prefix))].push(one);
  const hops = new Set(announcements.flatMap(({ via }) => via ?? []));
  return [
    `route-map ${NOTHING} deny 1`,
    ...[...hops].flatMap(nextHopMap),
    ...plan.peers.flatMap((peer) => outward(plan, peer, byFamily[addressFamily(peer.address)])),
    ...routerLines(plan),
    ...plan.peers.flatMap(peerLines),
    ...([4, 6] as const).flatMap((family) => familyLines(plan, family, byFamily[family])),
  ];
}

const viaMap = (via: string): string => `via-${addressOf(via)}`;
const outMap = ({ name }: UplinkPeer): string => `out-${name}`;

function nextHopMap(via: string): string[] {
  const hop = addressOf(via);
  return [
    `route-map ${viaMap(via)} permit 1`,
    addressFamily(hop) === 4 ? ` set ip next-hop ${hop}` : ` set ipv6 next-hop global ${hop}`,
  ];
}

function outward({ asn }: UplinkPlan, peer: UplinkPeer, announcements: readonly Announcement[]): string[] {
  const word = addressFamily(peer.address) === 4 ? 'ip' : 'ipv6';
  const useless = announcements.filter((one) => !isUsable(one, peer, asn));
  const list = `useless-${peer.name}`;
  return [
    ...useless.map(({ prefix }) => `${word} prefix-list ${list} permit ${prefix}`),
    ...(useless.length === 0
      ? []
      : [`route-map ${outMap(peer)} deny 1`, ` match ${word} address prefix-list ${list}`]),
    `route-map ${outMap(peer)} permit 2`,
  ];
}

/** Networks before peers, which hear at once of all that there is. */
function familyLines(
  { peers }: UplinkPlan,
  family: Family,
  announcements: readonly Announcement[],
): string[] {
  return [
    ` address-family ipv${family} unicast`,
    ...announcements.map(
      ({ prefix, via }) => `  network ${prefix}${via === undefined ? '' : ` route-map ${viaMap(via)}`}`,
    ),
    ...peers
      .filter(({ address }) => addressFamily(address) === family)
      .flatMap((peer) =>
        [
          'activate',
          // Next hops are as said; without one it is this node.
          'attribute-unchanged next-hop',
          `route-map ${NOTHING} in`,
          `route-map ${outMap(peer)} out`,
        ].map((line) => `  neighbor ${peer.address} ${line}`),
      ),
  ];
}
