/**
 * What a packet inside of a tunnel may have, so that what it becomes outside need not be cut: RFC 4303 in tunnel mode, in UDP
 * (RFC 3948), of all that a connection proposes the longest form. Pure.
 */
import { addressFamily } from '../policy/address.ts';
import type { SiteConnectionPlan } from '../policy/plan.ts';
import type { EncryptionAlgorithm, IntegrityAlgorithm } from '../policy/site-connection-resources.ts';
import type { IpsecEngine } from './engine.ts';

/** Of the outer packet. */
const IP_HEADER = { 4: 20, 6: 40 } as const;
/** Any peer may be behind a NAT, and strongSwan's userspace ESP is never without it. */
const UDP_HEADER = 8;
/** SPI and sequence number. */
const ESP_HEADER = 8;
/** Length of the padding, and what the packet inside is: with it, both end a block. */
const ESP_TRAILER = 2;

interface Cipher {
  /** Bytes of the initialization vector in each packet. */
  iv: number;
  /** Bytes that what is encrypted is a multiple of; 4 at least (RFC 4303 section 2.4). */
  block: number;
  /** Bytes of the integrity check of a cipher that brings its own. */
  icv?: number;
}

const AES_CBC: Cipher = { iv: 16, block: 16 }; // RFC 3602
const DES_CBC: Cipher = { iv: 8, block: 8 }; // RFC 2451
const AES_GCM: Cipher = { iv: 8, block: 4, icv: 16 }; // RFC 4106
const CIPHERS: Record<EncryptionAlgorithm, Cipher> = {
  ...{ GCMAES256: AES_GCM, GCMAES128: AES_GCM },
  ...{ AES256: AES_CBC, AES192: AES_CBC, AES128: AES_CBC },
  ...{ DES3: DES_CBC, DES: DES_CBC },
};

/** Bytes of the integrity check, half of the hash (RFC 4868) or 96 bits (RFC 2403, RFC 2404). */
const ICV: Record<IntegrityAlgorithm, number> = { SHA512: 32, SHA384: 24, SHA256: 16, SHA1: 12, MD5: 12 };

/** RFC 8200 section 5. */
const LEAST_IPV6 = 1280;
/**
 * strongSwan's userspace ESP reads from its TUN into a buffer of the MTU that it gave it at the start; what is longer it would
 * cut off (tun_device.c, kernel_libipsec_plugin.c of 5.9.8).
 */
const USERSPACE_BUFFER = 1400;

function innerSize(outer: number, family: 4 | 6, { iv, block, icv = 0 }: Cipher): number {
  const encrypted = outer - IP_HEADER[family] - UDP_HEADER - ESP_HEADER - iv - icv;
  return Math.floor(encrypted / block) * block - ESP_TRAILER;
}

/** For a packet outside of at most `outer` bytes. */
function connectionMtu({ localAddress, quickMode }: SiteConnectionPlan, outer: number): number {
  const proposed = quickMode.encryptionAlgorithms.flatMap((name) => {
    const cipher = CIPHERS[name];
    if (cipher.icv !== undefined) return [cipher];
    return quickMode.integrityAlgorithms.map((integrity) => ({ ...cipher, icv: ICV[integrity] }));
  });
  return Math.min(...proposed.map((cipher) => innerSize(outer, addressFamily(localAddress), cipher)));
}

/**
 * Bytes that `ipsec0` takes, where `ext` takes `externalMtu`. With IPv6 in a tunnel no less than IPv6 needs: should that be too
 * much for `ext`, what is encrypted leaves there in fragments.
 */
export function tunnelMtu(
  connections: readonly SiteConnectionPlan[],
  externalMtu: number,
  engine: IpsecEngine,
): number {
  const fits = Math.min(...connections.map((connection) => connectionMtu(connection, externalMtu)));
  const most = engine === 'userspace' ? Math.min(fits, USERSPACE_BUFFER) : fits;
  const hasIpv6 = connections.some(({ subnets }) =>
    subnets.some(({ prefix }) => addressFamily(prefix) === 6),
  );
  return hasIpv6 ? Math.max(most, LEAST_IPV6) : most;
}
