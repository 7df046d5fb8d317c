/** Plans of forwarding and BGP for tests: what a policy's defaults are compiled to, with what a test is about. */
import type { BgpPeerPlan, BgpPlan, ForwardingPlan } from '../../src/policy/plan.ts';

export function forwardingPlan(more: Partial<ForwardingPlan> = {}): ForwardingPlan {
  return {
    uplink: 'uplink',
    vlanId: 100,
    mac: '02:00:00:00:77:01',
    addresses: ['192.0.2.10/24', '2001:db8:77::10/64'],
    routes: [],
    advertise: [],
    ...more,
  };
}

const bgpPeer = (address: string): BgpPeerPlan => ({
  ...{ name: address, address, asn: 65_010, localAddress: '192.0.2.10', holdTimeSeconds: 90 },
  ...{ maximumPrefixes: 1000, ingressPolicies: [], egressPolicies: [], by: 'forwarding' },
});

/** With peers at these addresses. */
export function bgpPlan(...peers: string[]): BgpPlan {
  return {
    ...{ asn: 65_001, routerId: '192.0.2.10', peers: peers.map(bgpPeer), networks: [], policies: [] },
    ...{ maximumPaths: 8, gracefulRestartSeconds: 120, own: [], taken: [] },
  };
}
