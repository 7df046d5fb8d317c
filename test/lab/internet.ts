/**
 * The outside: a router with web servers on the far side of the gateway's uplink. Public addresses of tenants in
 * 198.51.100.0/24 are on the shared link and found by ARP; those in 203.0.113.0/25 are routed to the gateway. With both
 * families, the same goes for 2001:db8:100::/64, found by ND, and 2001:db8:200::/64.
 */
import type { Lab } from './lab.ts';
import type { Namespace } from './namespace.ts';
import { type FetchResult, fetchFrom } from './vm.ts';
import { startWebSite } from './web-site.ts';

/** The internet's router on the uplink, and a web server. */
export const INTERNET_ADDRESS = '198.51.100.1';
/** A web server that is further away than the uplink. */
export const FAR_ADDRESS = '203.0.113.200';
/** The gateway node's own address on the uplink. */
export const UPLINK_ADDRESS = '198.51.100.2';
/** Public addresses that are routed to the gateway node. */
export const ROUTED_PREFIX = '203.0.113.0/25';

/** The same in IPv6. */
export const INTERNET_ADDRESS6 = '2001:db8:100::1';
export const FAR_ADDRESS6 = '2001:db8:300::200';
export const UPLINK_ADDRESS6 = '2001:db8:100::2';
export const ROUTED_PREFIX6 = '2001:db8:200::/64';

export interface InternetOptions {
  /** IPv6 beside IPv4. */
  dualStack?: boolean;
  /**
   * The gateway's uplink is a NIC with a multicast filter (a macvlan), as real ones are and veth is not: it takes frames
   * of groups that were joined alone. A capture on such a NIC opens its filter.
   */
  filtersMulticast?: boolean;
}

/** The NIC below an uplink that filters multicast. */
const BELOW_UPLINK = 'wire0';

export class Internet {
  /** The interface to the gateway. */
  static readonly nic = 'lan0';
  readonly namespace: Namespace;

  private constructor(namespace: Namespace) {
    this.namespace = namespace;
  }

  /** Makes the internet and joins it to the gateway's namespace, where the uplink is called `uplink`. */
  static async create(
    lab: Lab,
    gateway: Namespace,
    uplink: string,
    options: InternetOptions = {},
  ): Promise<Internet> {
    const namespace = await lab.namespace('inet');
    const { dualStack = false, filtersMulticast = false } = options;
    await lab.veth(namespace, Internet.nic, gateway, filtersMulticast ? BELOW_UPLINK : uplink);
    if (filtersMulticast)
      await gateway.ipBatch([
        `link set ${BELOW_UPLINK} addrgenmode none`,
        `link add ${uplink} link ${BELOW_UPLINK} up type macvlan mode private`,
      ]);
    await namespace.ipBatch([
      `addr add ${INTERNET_ADDRESS}/24 dev ${Internet.nic}`,
      `addr add ${FAR_ADDRESS}/32 dev lo`,
      `route add ${ROUTED_PREFIX} via ${UPLINK_ADDRESS}`,
    ]);
    await gateway.ipBatch([
      `addr add ${UPLINK_ADDRESS}/24 dev ${uplink}`,
      `route add default via ${INTERNET_ADDRESS}`,
    ]);
    const servers = [`${INTERNET_ADDRESS}:80`, `${FAR_ADDRESS}:80`];
    if (dualStack) {
      await namespace.ipBatch([
        `addr add ${INTERNET_ADDRESS6}/64 dev ${Internet.nic} nodad`,
        `addr add ${FAR_ADDRESS6}/128 dev lo`,
        `route add ${ROUTED_PREFIX6} via ${UPLINK_ADDRESS6}`,
      ]);
      await gateway.ipBatch([
        `addr add ${UPLINK_ADDRESS6}/64 dev ${uplink} nodad`,
        `route add default via ${INTERNET_ADDRESS6}`,
      ]);
      servers.push(`[${INTERNET_ADDRESS6}]:80`, `[${FAR_ADDRESS6}]:80`);
    }
    await startWebSite(namespace, 'internet', servers);
    return new Internet(namespace);
  }

  /** Gets a URL from the internet's side. */
  fetch(url: string, timeoutMs = 5_000): Promise<FetchResult> {
    return fetchFrom(this.namespace, url, timeoutMs);
  }
}
