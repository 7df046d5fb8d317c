/**
 * Kernel settings of a context. The more namespaces there are, the longer the kernel looks for a file under /proc/sys/net
 * (50 us among a thousand), so that most settings are read from rtnetlink, and files only by their folder.
 */

import type { RouteNetlink } from '../linux/rtnetlink.ts';
import { inFolder } from '../linux/sysctl.ts';
import { externalLink, tenantLink } from '../nat/ruleset.ts';
import type { InsideLinks } from './context-state.ts';

type Setting = readonly [folder: string, name: string, value: string];

/**
 * The context forwards, believes no redirect or router advertisement and sends none. From the uplink it takes an IPv4
 * source only where it would answer it (RFC 3704 strict); for IPv6, which has no such setting, the NAT ruleset does the
 * same. What comes from the tenant was admitted by the encap core, which knows better. IPv6 is on in every context, and
 * silent: without link-local addresses nothing is asked or announced, and what the kernel reports nevertheless (MLD) the
 * NAT ruleset drops, which stands before a link is up.
 */
const SETTINGS: readonly Setting[] = [
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
  ...[tenantLink, externalLink].flatMap((link) =>
    (
      [
        ['addr_gen_mode', '1'],
        ['disable_ipv6', '0'],
        ['accept_ra', '0'],
        ['autoconf', '0'],
        ['accept_redirects', '0'],
        ['accept_dad', '0'],
      ] as const
    ).map(([name, value]) => [`net/ipv6/conf/${link}`, name, value] as const),
  ),
];

/** Of the settings for all links, two go over to each link when they are written; these are in files alone. */
const FILES: readonly Setting[] = SETTINGS.filter(
  ([folder, name]) => folder === 'net/ipv4/conf/all' && name !== 'rp_filter',
);

/** Writes all settings of a new context; for who is in its namespace. */
export function writeSettings(): void {
  write(SETTINGS);
}

/** Puts those settings right that are not; for who is in the namespace. */
export function mendSettings(reading: RouteNetlink, links: InsideLinks): void {
  write(wrongSettings(reading, links).map(({ setting }) => setting));
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
): { setting: Setting; path: string; found: string }[] {
  const found = new Map<string, string>();
  for (const link of [tenantLink, externalLink]) {
    const { ipv4, ipv6 } = links.get(link)?.settings ?? { ipv4: {}, ipv6: {} };
    for (const [name, value] of Object.entries(ipv4)) found.set(`net/ipv4/conf/${link} ${name}`, `${value}`);
    for (const [name, value] of Object.entries(ipv6)) found.set(`net/ipv6/conf/${link} ${name}`, `${value}`);
  }
  const { ipv4, ipv6 } = reading.commonSettings();
  found.set('net/ipv4 ip_forward', `${ipv4.forwarding}`);
  found.set('net/ipv4/conf/all rp_filter', `${ipv4.rp_filter}`);
  found.set('net/ipv6/conf/all forwarding', `${ipv6.forwarding}`);
  for (const [folder, settings] of byFolder(FILES))
    inFolder(folder, (file) => {
      for (const [, name] of settings) found.set(`${folder} ${name}`, file.read(name));
    });
  return SETTINGS.flatMap((setting) => {
    const [folder, name, value] = setting;
    const now = found.get(`${folder} ${name}`);
    return now === undefined || now === value ? [] : { setting, path: `${folder}/${name}`, found: now };
  });
}

/** In the order in which the folders come first. */
function byFolder(settings: readonly Setting[]): Map<string, Setting[]> {
  return Map.groupBy(settings, ([folder]) => folder);
}
