/**
 * The configuration of bgpd that a plan asks for, as FRR's `show running-config` has it (8.4 to 10), but for the sequence numbers
 * of lists and the order of lines, which mean nothing here. It has passwords: it is for memory and bgpd's socket alone.
 */
import { addressFamily, networkAddress } from '../policy/address.ts';
import type { BgpPeerPlan, BgpPlan } from '../policy/plan.ts';
import { filterLines, routeMapNames } from './bgp-filters.ts';

/** Seconds between two tries to reach a peer; FRR would wait for two minutes. */
const CONNECT_SECONDS = 5;
/** Seconds from a change of policies until routes are looked at anew, so that all of it counts at once. */
const POLICY_DELAY_SECONDS = 1;
/** Minutes after which a peer that has told too many prefixes is tried again. */
const LIMIT_MINUTES = 1;
/** What FRR does not show, as it is so anyway. */
const DEFAULT = { restartSeconds: 120, stalePathSeconds: 360, paths: 256 } as const;

/** Blank at the beginning: in the block above. */
export function bgpConfig(plan: BgpPlan): string[] {
  return [
    ...filterLines(plan),
    ...routerLines(plan),
    // Paths through different neighbour ASes share traffic as well.
    ...(plan.maximumPaths > 1 ? [' bgp bestpath as-path multipath-relax'] : []),
    ...plan.peers.flatMap(peerLines),
    ...familyLines(plan, 4),
    ...familyLines(plan, 6),
  ];
}

/** What is for all peers. */
export function routerLines({
  asn,
  routerId,
  gracefulRestartSeconds: seconds,
}: Pick<BgpPlan, 'asn' | 'routerId' | 'gracefulRestartSeconds'>): string[] {
  return [
    `bgp route-map delay-timer ${POLICY_DELAY_SECONDS}`,
    `router bgp ${asn}`,
    ` bgp router-id ${routerId}`,
    ' no bgp default ipv4-unicast',
    // A peer that has just started may have nothing else: else bgpd waits for a second before it tells a peer anything.
    ' coalesce-time 0',
    ...(seconds === DEFAULT.restartSeconds ? [] : [` bgp graceful-restart restart-time ${seconds}`]),
    ...(seconds === DEFAULT.stalePathSeconds ? [] : [` bgp graceful-restart stalepath-time ${seconds}`]),
    ' bgp graceful-restart',
    ' bgp graceful-restart preserve-fw-state',
    // Own networks need no route here: the data plane has them.
    ' no bgp network import-check',
  ];
}

/** Without `localAddress` the kernel finds one. */
export function peerLines(
  peer: Pick<BgpPeerPlan, 'address' | 'asn' | 'holdTimeSeconds' | 'multihop' | 'bfd' | 'password'> &
    Partial<Pick<BgpPeerPlan, 'localAddress'>>,
): string[] {
  const { asn, localAddress, holdTimeSeconds, multihop, bfd, password } = peer;
  const keepalive = Math.floor(holdTimeSeconds / 3);
  return [
    `remote-as ${asn}`,
    ...(multihop === undefined ? [] : [`ebgp-multihop ${multihop}`]),
    ...(localAddress === undefined ? [] : [`update-source ${localAddress}`]),
    // After what makes it another session of BFD.
    ...(bfd === undefined ? [] : ['bfd', `bfd profile ${bfdProfile(bfd)}`]),
    `timers ${keepalive} ${holdTimeSeconds}`,
    `timers connect ${CONNECT_SECONDS}`,
    ...(password === undefined ? [] : [`password ${password}`]),
  ].map((line) => ` neighbor ${peer.address} ${line}`);
}

function familyLines({ peers, networks, maximumPaths }: BgpPlan, family: 4 | 6): string[] {
  const paths =
    maximumPaths === DEFAULT.paths ? [] : ['', ' ibgp'].map((kind) => `maximum-paths${kind} ${maximumPaths}`);
  return [
    ` address-family ipv${family} unicast`,
    ...[
      ...networks
        .filter((prefix) => addressFamily(networkAddress(prefix)) === family)
        .map((prefix) => `network ${prefix}`),
      ...peers.filter(({ address }) => addressFamily(address) === family).flatMap(activation),
      ...paths,
    ].map((line) => `  ${line}`),
  ];
}

/** A session has the routes of the family of its addresses. */
function activation(peer: BgpPeerPlan): string[] {
  const names = routeMapNames(peer);
  return [
    'activate',
    `maximum-prefix ${peer.maximumPrefixes} restart ${LIMIT_MINUTES}`,
    `route-map ${names.in} in`,
    `route-map ${names.out} out`,
  ].map((line) => `neighbor ${peer.address} ${line}`);
}

/** Name of the profile of bfdd that has these times: bgpd knows none itself. */
function bfdProfile({ intervalMilliseconds, multiplier }: NonNullable<BgpPeerPlan['bfd']>): string {
  return `every-${intervalMilliseconds}-${multiplier}`;
}

/** Commands of bfdd, in its configuration mode, that make the profiles that the peers have. */
export function bfdCommands(peers: readonly Pick<BgpPeerPlan, 'bfd'>[]): string[] {
  const profiles = new Map(
    peers.flatMap(({ bfd }) => (bfd === undefined ? [] : [[bfdProfile(bfd), bfd] as const])),
  );
  return [...profiles].flatMap(([name, { intervalMilliseconds, multiplier }]) => [
    'bfd',
    `profile ${name}`,
    `detect-multiplier ${multiplier}`,
    `receive-interval ${intervalMilliseconds}`,
    `transmit-interval ${intervalMilliseconds}`,
    'exit',
    'exit',
  ]);
}
