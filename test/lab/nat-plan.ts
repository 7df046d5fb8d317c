/** Plans of NAT for tests: what a policy's defaults are compiled to, with what a test is about. */
import type { NatPlan } from '../../src/policy/plan.ts';

export function natPlan(more: Partial<NatPlan> = {}): NatPlan {
  return {
    externalAddresses: [],
    prefixes: [],
    portMappings: [],
    oneToOne: [],
    timeouts: { icmp: 60, tcpEstablished: 7440, tcpTransient: 240, udp: 300 },
    filtering: { tcp: 'addressAndPortDependent', udp: 'addressAndPortDependent' },
    hairpinning: 'local',
    algs: [],
    peers: [],
    sitePrefixes: [],
    ...more,
  };
}
