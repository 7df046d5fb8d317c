/** Forwarding and BGP for tests: what is given, and the defaults of all else. */
import { normalize } from '../../src/policy/normalize.ts';
import type { Bgp, BgpPeer, Forwarding } from '../../src/policy/resources.ts';

/** As bodies of REST may be. */
export type ForwardingInput = Partial<Forwarding>;
export interface BgpInput extends Omit<Partial<Bgp>, 'peers'> {
  peers?: (Pick<BgpPeer, 'name' | 'address' | 'asn'> & Partial<BgpPeer>)[];
}

/** On VLAN 100, with a router as next hop. */
export const onVlan = (more: ForwardingInput = {}): Forwarding =>
  normalize('forwarding', {
    ...{ vlanId: 100, addresses: ['192.0.2.2/24'], nextHops: ['192.0.2.1'] },
    ...more,
  });

/** On the untagged network. */
export const untagged = (more: ForwardingInput = {}): Forwarding =>
  normalize('forwarding', {
    ...{ addresses: ['192.0.2.2/24'], nextHops: ['192.0.2.1'], advertise: ['10.1.1.0/24'] },
    ...more,
  });

export const bgpPolicy = (more: BgpInput = {}): Bgp => normalize('bgp', { asn: 64512, ...more } as Bgp);
