import { test } from 'tap';
import { espProposals, ikeProposals } from '../../src/s2s/proposals.ts';
import { sitePlan } from '../lab/site-plan.ts';

const { mainMode, quickMode } = sitePlan();

test('ciphers with a check of their own and others are never in one proposal, and their order stays', async (t) => {
  const encryptionAlgorithms = ['AES256', 'GCMAES256', 'GCMAES128', 'AES128', 'DES3'] as const;
  t.same(
    ikeProposals({
      ...mainMode,
      encryptionAlgorithms: [...encryptionAlgorithms],
      integrityAlgorithms: ['SHA512', 'SHA1'],
      diffieHellmanGroups: ['ECP256', 'Group14'],
    }),
    [
      'aes256-sha512-sha1-ecp256-modp2048',
      'aes256gcm16-aes128gcm16-prfsha512-prfsha1-ecp256-modp2048',
      'aes128-3des-sha512-sha1-ecp256-modp2048',
    ],
  );
  t.same(
    espProposals({
      ...quickMode,
      encryptionAlgorithms: [...encryptionAlgorithms],
      integrityAlgorithms: ['SHA256'],
      perfectForwardSecrecy: ['Curve25519'],
    }),
    ['aes256-sha256-curve25519', 'aes256gcm16-aes128gcm16-curve25519', 'aes128-3des-sha256-curve25519'],
  );
});

test('where the site may do without an exchange of its own, that is offered, too', async (t) => {
  t.same(espProposals({ ...quickMode, perfectForwardSecrecy: ['ECP256', 'None'] }), [
    'aes256gcm16-aes128gcm16-ecp256-modpnone',
    'aes256-aes128-sha384-sha256-ecp256-modpnone',
  ]);
});

test('without perfect forward secrecy, ESP has no group', async (t) => {
  t.same(espProposals({ ...quickMode, perfectForwardSecrecy: ['None'] }), [
    'aes256gcm16-aes128gcm16',
    'aes256-aes128-sha384-sha256',
  ]);
});
