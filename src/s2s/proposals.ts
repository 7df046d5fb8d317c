/** Algorithms of a site connection as the proposals that strongSwan takes (proposal strings of swanctl.conf), in the order of preference. */
import type {
  EncryptionAlgorithm,
  IntegrityAlgorithm,
  MainMode,
  PerfectForwardSecrecyGroup,
  QuickMode,
} from '../policy/site-connection-resources.ts';

const ENCRYPTION: Record<EncryptionAlgorithm, string> = {
  GCMAES256: 'aes256gcm16',
  GCMAES128: 'aes128gcm16',
  AES256: 'aes256',
  AES192: 'aes192',
  AES128: 'aes128',
  DES3: '3des',
  DES: 'des',
};
const INTEGRITY: Record<IntegrityAlgorithm, string> = {
  SHA512: 'sha512',
  SHA384: 'sha384',
  SHA256: 'sha256',
  SHA1: 'sha1',
  MD5: 'md5',
};
const GROUP: Record<PerfectForwardSecrecyGroup, string> = {
  Curve25519: 'curve25519',
  ECP384: 'ecp384',
  ECP256: 'ecp256',
  Group16: 'modp4096',
  Group15: 'modp3072',
  Group14: 'modp2048',
  Group24: 'modp2048s256',
  Group2: 'modp1024',
  Group1: 'modp768',
  None: 'modpnone',
};

/** Of the IKE SA. A cipher with a check of its own takes the hashes for the pseudo-random function alone. */
export function ikeProposals({
  encryptionAlgorithms,
  integrityAlgorithms,
  diffieHellmanGroups,
}: MainMode): string[] {
  const hashes = integrityAlgorithms.map((one) => INTEGRITY[one]);
  return ofOneKind(encryptionAlgorithms).map((ciphers) =>
    proposal(
      ciphers,
      hasOwnCheck(ciphers[0]) ? hashes.map((hash) => `prf${hash}`) : hashes,
      diffieHellmanGroups,
    ),
  );
}

/** Of the ESP SAs. With None, new keys may be made of the IKE SA's. */
export function espProposals({
  encryptionAlgorithms,
  integrityAlgorithms,
  perfectForwardSecrecy,
}: QuickMode): string[] {
  const hashes = integrityAlgorithms.map((one) => INTEGRITY[one]);
  const groups = perfectForwardSecrecy.every((one) => one === 'None') ? [] : perfectForwardSecrecy;
  return ofOneKind(encryptionAlgorithms).map((ciphers) =>
    proposal(ciphers, hasOwnCheck(ciphers[0]) ? [] : hashes, groups),
  );
}

function proposal(
  ciphers: readonly EncryptionAlgorithm[],
  hashes: readonly string[],
  groups: readonly PerfectForwardSecrecyGroup[],
): string {
  return [...ciphers.map((one) => ENCRYPTION[one]), ...hashes, ...groups.map((one) => GROUP[one])].join('-');
}

/** A proposal has either ciphers that check integrity themselves or others (RFC 7296 section 3.3): runs of one kind keep the order. */
function ofOneKind(ciphers: readonly EncryptionAlgorithm[]): EncryptionAlgorithm[][] {
  const runs: EncryptionAlgorithm[][] = [];
  for (const cipher of ciphers) {
    const run = runs.at(-1);
    if (run !== undefined && hasOwnCheck(run[0]) === hasOwnCheck(cipher)) run.push(cipher);
    else runs.push([cipher]);
  }
  return runs;
}

function hasOwnCheck(cipher: EncryptionAlgorithm | undefined): boolean {
  return cipher === 'GCMAES256' || cipher === 'GCMAES128';
}
