/** A site connection for the tests of store, API and command line, and the secret that must never be seen again. */
import type { SiteConnectionLive } from '../../src/api/operations.ts';
import type { SiteConnection } from '../../src/policy/resources.ts';

/** Nothing else in a test has it in it. */
export const preSharedKey = 'zebra-7Qx!"\\-quartz-31415';

/** As somebody writes it, with all that has a default left out. */
export const siteConnectionBody = {
  destination: '198.51.100.7',
  authentication: { method: 'psk' as const, preSharedKey },
  subnets: [{ prefix: '192.168.50.0/24' }],
};

/** As the store takes it. */
export function siteConnection(
  authentication: Partial<SiteConnection['authentication']> = {},
): SiteConnection {
  return {
    destination: '198.51.100.7',
    authentication: { method: 'psk', preSharedKey, ...authentication },
    subnets: [{ prefix: '192.168.50.0/24', metric: 0 }],
    mainMode: {
      encryptionAlgorithms: ['GCMAES256'],
      integrityAlgorithms: ['SHA384'],
      diffieHellmanGroups: ['ECP384'],
      saLifeTimeSeconds: 28_800,
    },
    quickMode: {
      encryptionAlgorithms: ['GCMAES256'],
      integrityAlgorithms: ['SHA384'],
      perfectForwardSecrecy: ['ECP384'],
      saLifeTimeSeconds: 3600,
    },
    initiate: 'start',
    mobike: false,
  };
}

const since = '2026-01-01T00:00:00.000Z';
/** What the tunnel of one is doing. */
export const liveConnection: SiteConnectionLive = {
  ...{ state: 'connected', since, carries: true, engine: 'userspace' },
  ...{ lastError: 'No answer from 198.51.100.7.', lastErrorAt: since },
  ikeSas: [
    {
      ...{ state: 'ESTABLISHED', initiator: true, ageSeconds: 60, rekeySeconds: 28_000 },
      ...{ localAddress: '203.0.113.1', localPort: 4500, localId: '203.0.113.1' },
      ...{ remoteAddress: '198.51.100.7', remotePort: 4500, remoteId: 'office.example' },
      ...{ natLocal: false, natRemote: true },
      ...{ encryption: 'AES_GCM_16-256', prf: 'PRF_HMAC_SHA2_384', diffieHellmanGroup: 'ECP_384' },
      childSas: [
        {
          ...{ state: 'INSTALLED', ageSeconds: 60, rekeySeconds: 3000, encapsulated: true },
          ...{ spiIn: 'c0ffee01', spiOut: 'c0ffee02', encryption: 'AES_GCM_16-256' },
          ...{ localSubnets: ['10.1.1.0/24'], remoteSubnets: ['192.168.50.0/24'] },
          received: { packets: 3, bytes: 252 },
          sent: { packets: 4, bytes: 336 },
        },
      ],
    },
  ],
};

/** Whatever a secret looks like in the files and texts that it must not be in. */
export function formsOf(secret: string): string[] {
  const escaped = JSON.stringify(secret).slice(1, -1);
  const encodings = (['base64', 'base64url', 'hex'] as const).map((each) =>
    Buffer.from(secret).toString(each),
  );
  return [secret, escaped, secret.slice(2, -2), ...encodings];
}
