/**
 * Addresses on the uplink that are no tenant's to have, with whose they are: a context that took one would cut the node, and
 * everybody behind it, off.
 */
import { linkName } from '../linux/links.ts';
import { RouteNetlink } from '../linux/rtnetlink.ts';

/** Each continues the sentence "198.51.100.2 is …". */
export function uplinkAddresses(ifindex: number): Map<string, string> {
  const name = linkName(ifindex) ?? `ifindex ${ifindex}`;
  return RouteNetlink.use((reading) => {
    const nextHops = reading
      .routes()
      .flatMap(({ gateway, ifindex: over, hops = [{ gateway, ifindex: over }] }) =>
        hops.flatMap((hop) => (hop.gateway !== undefined && hop.ifindex === ifindex ? hop.gateway : [])),
      );
    return new Map([
      ...nextHops.map((address) => [address, `the next hop of this node’s routes over ${name}`] as const),
      ...reading
        .addresses(ifindex)
        .map(({ address }) => [address, `an address of this node’s uplink ${name}`] as const),
    ]);
  });
}
