/**
 * The outside: a router with web servers on the far side of the gateway's uplink. Public addresses of tenants in
 * 198.51.100.0/24 are on the shared link and found by ARP; those in 203.0.113.0/25 are routed to the gateway.
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

export class Internet {
  /** The interface to the gateway. */
  static readonly nic = 'lan0';
  readonly namespace: Namespace;

  private constructor(namespace: Namespace) {
    this.namespace = namespace;
  }

  /** Makes the internet and joins it to the gateway's namespace, where the uplink is called `uplink`. */
  static async create(lab: Lab, gateway: Namespace, uplink: string): Promise<Internet> {
    const namespace = await lab.namespace('inet');
    await lab.veth(namespace, Internet.nic, gateway, uplink);
    await namespace.ipBatch([
      `addr add ${INTERNET_ADDRESS}/24 dev ${Internet.nic}`,
      `addr add ${FAR_ADDRESS}/32 dev lo`,
      `route add ${ROUTED_PREFIX} via ${UPLINK_ADDRESS}`,
    ]);
    await gateway.ipBatch([
      `addr add ${UPLINK_ADDRESS}/24 dev ${uplink}`,
      `route add default via ${INTERNET_ADDRESS}`,
    ]);
    await startWebSite(namespace, 'internet', [`${INTERNET_ADDRESS}:80`, `${FAR_ADDRESS}:80`]);
    return new Internet(namespace);
  }

  /** Gets a URL from the internet's side. */
  fetch(url: string, timeoutMs = 5_000): Promise<FetchResult> {
    return fetchFrom(this.namespace, url, timeoutMs);
  }
}
