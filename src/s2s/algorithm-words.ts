/** Algorithms as strongSwan names them in logs and lists, in the words of the resources where those have one. */

const WORDS: Readonly<Record<string, string>> = {
  AES_GCM_16_256: 'GCMAES256',
  AES_GCM_16_128: 'GCMAES128',
  AES_CBC_256: 'AES256',
  AES_CBC_192: 'AES192',
  AES_CBC_128: 'AES128',
  '3DES_CBC': 'DES3',
  DES_CBC: 'DES',
  HMAC_SHA2_512_256: 'SHA512',
  HMAC_SHA2_384_192: 'SHA384',
  HMAC_SHA2_256_128: 'SHA256',
  HMAC_SHA1_96: 'SHA1',
  HMAC_MD5_96: 'MD5',
  PRF_HMAC_SHA2_512: 'SHA512',
  PRF_HMAC_SHA2_384: 'SHA384',
  PRF_HMAC_SHA2_256: 'SHA256',
  PRF_HMAC_SHA1: 'SHA1',
  PRF_HMAC_MD5: 'MD5',
  CURVE_25519: 'Curve25519',
  ECP_384: 'ECP384',
  ECP_256: 'ECP256',
  MODP_4096: 'Group16',
  MODP_3072: 'Group15',
  MODP_2048: 'Group14',
  MODP_2048_256: 'Group24',
  MODP_1024: 'Group2',
  MODP_768: 'Group1',
  KE_NONE: 'None',
};

/** Of a name that has the size of its key at the end, if there are keys of several sizes. */
export function algorithmWord(name: string): string {
  return WORDS[name] ?? name;
}

/** Of proposals as strongSwan logs them: `IKE:AES_CBC_256/HMAC_SHA2_256_128/PRF_HMAC_SHA2_256/MODP_2048, IKE:…`. */
export function proposalWords(proposals: string): string {
  return proposals
    .split(', ')
    .map((proposal) => {
      const names = proposal.slice(proposal.indexOf(':') + 1).split('/');
      const words = names.filter((name) => name !== 'NO_EXT_SEQ').map(algorithmWord);
      // Hash of check and pseudo-random function are one word.
      return [...new Set(words)].join(' ');
    })
    .join(' or ');
}
