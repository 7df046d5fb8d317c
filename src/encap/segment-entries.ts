/** The data plane's map entries for a domain's network without NAT (kernel/network.h). Pure. */
import { addressBytes, addressFamily, macBytes, prefixBytes } from '../policy/address.ts';
import type { ForwardingPlan } from '../policy/plan.ts';
import { linkLocalAddress } from '../policy/router.ts';
import type { Add, SegmentAttachment } from './entries.ts';
import {
  encodeForwarded,
  encodeInterfaceKey,
  encodeRouteKey,
  encodeSegment,
  encodeSegmentAddressKey,
  encodeSegmentKey,
  encodeSegmentPort,
} from './layout.generated.ts';

const PADDING = new Uint8Array(2);
const DOMAIN_BITS = 32;
/** VLAN of a segment's key that stands for the untagged network. */
const UNTAGGED = 0;
/** What is for everybody in a VLAN: broadcasts, and all multicasts of IPv6 (kernel/layout.h). */
const BROADCAST_MAC = 'ff:ff:ff:ff:ff:ff';
const IPV6_GROUPS_MAC = '33:33:00:00:00:00';

/** What the context is on its network without NAT, and what of the tenant's is routed there. */
export function addForwarding(
  add: Add,
  domain: number,
  { vlanId, mac: text, addresses, advertise }: ForwardingPlan,
  at: SegmentAttachment,
): void {
  const on = { ifindex: at.uplinkIfindex, vlan: vlanId ?? UNTAGGED };
  const segment = encodeSegment({ domain, ifindex: at.ifindex });
  const groups = vlanId === undefined ? [] : [BROADCAST_MAC, IPV6_GROUPS_MAC];
  for (const mac of [text, ...groups])
    add('segments', encodeSegmentKey({ ...on, mac: macBytes(mac), pad: PADDING }), segment);
  const own = addresses.map((address) => address.slice(0, address.indexOf('/')));
  if (own.some((address) => addressFamily(address) === 6)) own.push(linkLocalAddress(text));
  for (const address of own)
    add('segment_addresses', encodeSegmentAddressKey({ ...on, address: addressBytes(address) }), segment);
  add(
    'segment_ports',
    encodeInterfaceKey({ ifindex: at.ifindex }),
    encodeSegmentPort({
      domain,
      uplinkIfindex: at.uplinkIfindex,
      vlan: on.vlan,
      mac: macBytes(text),
      pad: PADDING,
    }),
  );
  for (const prefix of advertise) {
    const { bytes: address, length } = prefixBytes(prefix);
    add(
      'forwarded',
      encodeRouteKey({ prefixLength: DOMAIN_BITS + length, domain, address }),
      encodeForwarded({ known: 1 }),
    );
  }
}
