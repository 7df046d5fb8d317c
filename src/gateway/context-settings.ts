/**
 * Kernel settings of a context. The more namespaces there are, the longer the kernel looks for a file under /proc/sys/net
 * (50 us among a thousand), so that most settings are read from rtnetlink, and files only by their folder.
 */

import type { RouteNetlink } from '../linux/rtnetlink.ts';
import { inFolder } from '../linux/sysctl.ts';
import { isLooped } from '../nat/looped.ts';
import { externalLink, forwardingLink, tenantLink } from '../nat/ruleset.ts';
import type { NatPlan } from '../policy/plan.ts';
import type { InsideLinks } from './context-state.ts';

export type Setting = readonly [folder: string, name: string, value: string];

const ipv6Settings = (link: string): Setting[] => {
  const folder = `net/ipv6/conf/${link}`;
  return [
    [folder, 'addr_gen_mode', '1'],
    [folder, 'disable_ipv6', '0'],
    [folder, 'accept_ra', '0'],
    [folder, 'autoconf', '0'],
    [folder, 'accept_redirects', '0'],
    [folder, 'accept_dad', '0'],
  ];
};

/**
 * The context forwards, believes no redirect or router advertisement and sends none. From the uplink it takes an IPv4
 * source only where it would answer it (RFC 3704 strict); for IPv6, which has no such setting, the NAT ruleset does the
 * same. What comes from the tenant was admitted by the encap core, which knows better. IPv6 is on in every context, and
 * silent: without link-local addresses nothing is asked or announced on `hnv` and `ext`, and what the kernel reports nevertheless (MLD) the
 * NAT ruleset drops, which stands before a link is up.
 */
const COMMON: readonly Setting[] = [
  ['net/ipv4', 'ip_forward', '1'],
  ['net/ipv4/conf/all', 'rp_filter', '0'],
  [`net/ipv4/conf/${tenantLink}`, 'rp_filter', '0'],
  [`net/ipv4/conf/${externalLink}`, 'rp_filter', '1'],
  ['net/ipv4/conf/all', 'accept_redirects', '0'],
  ['net/ipv4/conf/all', 'send_redirects', '0'],
  [`net/ipv4/conf/${tenantLink}`, 'send_redirects', '0'],
  [`net/ipv4/conf/${externalLink}`, 'send_redirects', '0'],
  ['net/ipv6/conf/all', 'addr_gen_mode', '1'], // before IPv6 may be on
  ['net/ipv6/conf/all', 'disable_ipv6', '0'],
  ['net/ipv6/conf/all', 'forwarding', '1'],
  ...[tenantLink, externalLink].flatMap(ipv6Settings),
];

const MULTIPATH = 'fib_multipath_hash_policy';

/**
 * Of `fwd`, and of a context that has it. It takes sources as `ext` does, answers and asks for its own addresses alone, and
 * when its first address of a subnet goes the others stay. Flows are spread over next hops by addresses and ports.
 */
const FORWARDING: readonly Setting[] = [
  [`net/ipv4/conf/${forwardingLink}`, 'rp_filter', '1'],
  [`net/ipv4/conf/${forwardingLink}`, 'send_redirects', '0'],
  [`net/ipv4/conf/${forwardingLink}`, 'arp_ignore', '1'],
  [`net/ipv4/conf/${forwardingLink}`, 'arp_announce', '2'],
  [`net/ipv4/conf/${forwardingLink}`, 'promote_secondaries', '1'],
  ...ipv6Settings(forwardingLink),
  ['net/ipv4', MULTIPATH, '1'],
  ['net/ipv6', MULTIPATH, '1'],
];

const TRACKING = 'net/netfilter';

/**
 * Sessions tell when they began and what they carried. Whether a transport's checksum is right is its receiver's to say: a router
 * passes on what is damaged, on the fast path, which does not look at it, as on the slow one.
 */
const TRACKED: readonly Setting[] = [
  [TRACKING, 'nf_conntrack_acct', '1'],
  [TRACKING, 'nf_conntrack_timestamp', '1'],
  [TRACKING, 'nf_conntrack_checksum', '0'],
];

/** States of a TCP connection that begins or ends. Behind a reset (`close`) the kernel waits for 10 s, whatever is asked for. */
const TRANSIENT = [
  ...['syn_sent', 'syn_recv', 'fin_wait', 'close_wait', 'last_ack', 'time_wait'],
  ...['unacknowledged', 'max_retrans'],
];

/** How long a silent session is kept; `udp` is until it is answered. */
function timeoutSettings({ icmp, tcpEstablished, tcpTransient, udp }: NatPlan['timeouts']): Setting[] {
  const seconds: [name: string, value: number][] = [
    ['icmp_timeout', icmp],
    ['icmpv6_timeout', icmp],
    ['udp_timeout', udp],
    ['udp_timeout_stream', udp],
    ['tcp_timeout_established', tcpEstablished],
    ...TRANSIENT.map((state): [string, number] => [`tcp_timeout_${state}`, tcpTransient]),
  ];
  return seconds.map(([name, value]) => [TRACKING, `nf_conntrack_${name}`, `${value}`]);
}

/**
 * Connection tracking does not see what takes the fast path: it must not judge by sequence numbers, neither segments nor resets,
 * which it would have dropped as invalid. A reset that is not exactly in sequence leaves a session 10 s.
 */
const windowSettings = (isFast: boolean): Setting[] =>
  ['be_liberal', 'ignore_invalid_rst'].map((name) => [
    TRACKING,
    `nf_conntrack_tcp_${name}`,
    isFast ? '1' : '0',
  ]);

/** All settings of a context; `hasForwarding`: it has the link `fwd`; `isFast`: its flows may be fast. */
export function settingsOf(nat: NatPlan | undefined, hasForwarding = false, isFast = false): Setting[] {
  const acceptsOwn = nat !== undefined && isLooped(nat, 4);
  return [
    ...COMMON,
    // What comes back from the uplink under an address of the domain's own.
    [`net/ipv4/conf/${externalLink}`, 'accept_local', acceptsOwn ? '1' : '0'],
    ...TRACKED,
    ...windowSettings(isFast),
    ...(hasForwarding ? FORWARDING : []),
    ...(nat === undefined ? [] : timeoutSettings(nat.timeouts)),
  ];
}

/** Of the settings for all links, two go over to each link when they are written; these are in files alone, as are those of conntrack and multipath. */
function isInFileAlone([folder, name]: Setting): boolean {
  return (
    folder === TRACKING || name === MULTIPATH || (folder === 'net/ipv4/conf/all' && name !== 'rp_filter')
  );
}

/** Writes all settings of a new context; for who is in its namespace. */
export function writeSettings(settings: readonly Setting[]): void {
  write(settings);
}

/** Puts those settings right that are not; for who is in the namespace. */
export function mendSettings(reading: RouteNetlink, links: InsideLinks, settings: readonly Setting[]): void {
  write(wrongSettings(reading, links, settings).map(({ setting }) => setting));
}

function write(settings: readonly Setting[]): void {
  for (const [folder, ofFolder] of byFolder(settings))
    inFolder(folder, (file) => {
      for (const [, name, value] of ofFolder) file.write(name, value);
    });
}

/** Settings that are not as they should be, with what they are. */
export function wrongSettings(
  reading: RouteNetlink,
  links: InsideLinks,
  wanted: readonly Setting[],
): { setting: Setting; path: string; found: string }[] {
  const found = new Map<string, string>();
  for (const link of [tenantLink, externalLink, forwardingLink]) {
    const { ipv4, ipv6 } = links.get(link)?.settings ?? { ipv4: {}, ipv6: {} };
    for (const [name, value] of Object.entries(ipv4)) found.set(`net/ipv4/conf/${link} ${name}`, `${value}`);
    for (const [name, value] of Object.entries(ipv6)) found.set(`net/ipv6/conf/${link} ${name}`, `${value}`);
  }
  const { ipv4, ipv6 } = reading.commonSettings();
  found.set('net/ipv4 ip_forward', `${ipv4.forwarding}`);
  found.set('net/ipv4/conf/all rp_filter', `${ipv4.rp_filter}`);
  found.set('net/ipv6/conf/all forwarding', `${ipv6.forwarding}`);
  for (const [folder, settings] of byFolder(wanted.filter(isInFileAlone)))
    inFolder(folder, (file) => {
      for (const [, name] of settings) found.set(`${folder} ${name}`, file.read(name));
    });
  return wanted.flatMap((setting) => {
    const [folder, name, value] = setting;
    const now = found.get(`${folder} ${name}`);
    return now === undefined || now === value ? [] : { setting, path: `${folder}/${name}`, found: now };
  });
}

/** In the order in which the folders come first. */
function byFolder(settings: readonly Setting[]): Map<string, Setting[]> {
  return Map.groupBy(settings, ([folder]) => folder);
}
