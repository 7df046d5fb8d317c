/** Plans of site connections for tests: what a policy's defaults are compiled to, with what a test is about. */
import type { SiteConnectionPlan } from '../../src/policy/plan.ts';

export function sitePlan(more: Partial<SiteConnectionPlan> = {}): SiteConnectionPlan {
  return {
    name: 'branch',
    localAddress: '198.51.100.101',
    destinations: ['203.0.113.9'],
    authentication: { method: 'psk', localId: '198.51.100.101', remoteId: '203.0.113.9' },
    localPrefixes: ['10.1.1.0/24'],
    subnets: [{ prefix: '192.168.50.0/24', metric: 0 }],
    mainMode: {
      encryptionAlgorithms: ['GCMAES256'],
      integrityAlgorithms: ['SHA256'],
      diffieHellmanGroups: ['Curve25519'],
      saLifeTimeSeconds: 28_800,
    },
    quickMode: {
      encryptionAlgorithms: ['GCMAES256', 'GCMAES128', 'AES256', 'AES128'],
      integrityAlgorithms: ['SHA384', 'SHA256'],
      perfectForwardSecrecy: ['Curve25519'],
      saLifeTimeSeconds: 3600,
    },
    initiate: 'start',
    mobike: false,
    ...more,
  };
}
