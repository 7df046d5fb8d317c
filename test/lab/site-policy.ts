/** Site connections for tests: what is given, and the defaults of all else. */
import { normalize } from '../../src/policy/normalize.ts';
import type { SiteConnection } from '../../src/policy/resources.ts';
import { authorityCertificate, siteCertificate, sitePrivateKey } from './site-certificates.ts';

/** As a body of REST may be. */
export interface SiteInput
  extends Omit<Partial<SiteConnection>, 'authentication' | 'subnets' | 'mainMode' | 'quickMode'> {
  authentication?: Partial<SiteConnection['authentication']>;
  subnets?: { prefix: string; metric?: number }[];
  mainMode?: Partial<SiteConnection['mainMode']>;
  quickMode?: Partial<SiteConnection['quickMode']>;
}

export const SITE_SECRET = 'a key that nobody may see';
/** Peers. */
export const [hq, branch] = ['198.51.100.7', '198.51.100.8'];

export const psk = (more: Partial<SiteConnection['authentication']> = {}) => ({
  ...({ method: 'psk', preSharedKey: SITE_SECRET } as const),
  ...more,
});
export const certificates = (more: Partial<SiteConnection['authentication']> = {}) => ({
  ...({ method: 'certificate', certificate: siteCertificate, privateKey: sitePrivateKey } as const),
  ...{ certificateAuthorities: authorityCertificate, ...more },
});
export const anyPeer = (remoteId = 'branch.example'): SiteInput => ({
  ...{ destination: 'any', initiate: 'never', authentication: psk({ remoteId }) },
});

/** A connection to `hq` with a key. */
export const siteInput = (more: SiteInput = {}): SiteConnection =>
  ({
    destination: hq,
    authentication: psk(),
    subnets: [{ prefix: '192.168.50.0/24' }],
    ...more,
  }) as SiteConnection;
/** The same in its normal form. */
export const site = (more: SiteInput = {}): SiteConnection => normalize('siteConnection', siteInput(more));
