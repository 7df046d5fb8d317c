/** `list-sas` of a real charon (fixtures/charon-list-sas.json): after the first packets, after rekeying, and at a peer that is not there. */
import { readFileSync } from 'node:fs';
import { test } from 'tap';
import { readIkeSas } from '../../src/s2s/sa-reading.ts';
import type { ViciMessage } from '../../src/s2s/vici-message.ts';

const lists: Record<string, ViciMessage[]> = JSON.parse(
  readFileSync(new URL('fixtures/charon-list-sas.json', import.meta.url), 'utf8'),
);
const listOf = (name: string): ViciMessage[] => lists[name] ?? [];

const SUBNETS = {
  localSubnets: ['192.168.1.0/24', 'fd01::/64'],
  remoteSubnets: ['192.168.2.0/24', 'fd02::/64'],
};

test('an SA of IKE and the one of ESP that it has made', async (t) => {
  t.same(readIkeSas(listOf('first'), 'site'), [
    {
      ...{ state: 'ESTABLISHED', initiator: true, ageSeconds: 0, rekeySeconds: 24_062 },
      ...{ localAddress: '10.9.0.1', localPort: 4500, localId: '10.9.0.1' },
      ...{ remoteAddress: '10.9.0.2', remotePort: 4500, remoteId: '10.9.0.2' },
      ...{ natLocal: false, natRemote: true },
      ...{ encryption: 'GCMAES256', prf: 'SHA384', diffieHellmanGroup: 'Curve25519' },
      childSas: [
        {
          ...{ state: 'INSTALLED', ageSeconds: 0, rekeySeconds: 3087 },
          ...{ spiIn: '7b0e8f06', spiOut: 'dedae918', encapsulated: true, encryption: 'GCMAES256' },
          ...SUBNETS,
          received: { packets: 2, bytes: 168 },
          sent: { packets: 2, bytes: 168 },
        },
      ],
    },
  ]);
});

test('a key that was made by an exchange of its own has a group', async (t) => {
  const [sa] = readIkeSas(listOf('rekeyed'), 'site');
  t.match(sa?.childSas, [
    { state: 'DELETED', spiIn: '7b0e8f06' },
    { state: 'INSTALLED', diffieHellmanGroup: 'Curve25519', ...SUBNETS },
  ]);
});

test('before the peers have agreed on anything, there are no algorithms', async (t) => {
  t.match(readIkeSas(listOf('connecting'), 'site'), [
    { state: 'CONNECTING', encryption: '', prf: '', diffieHellmanGroup: '', ageSeconds: 0, childSas: [] },
  ]);
});

test('other connections’ SAs are left out', async (t) => {
  t.same(readIkeSas(listOf('first'), 'sit'), []);
});

test('algorithms that the resources have no word for are shown as strongSwan calls them; a late rekeying is due now', async (t) => {
  const [item] = structuredClone(listOf('first'));
  const ike = {
    ...(item?.site as ViciMessage),
    'encr-alg': 'AES_CBC',
    'integ-alg': 'AES_CMAC_96',
    'rekey-time': '-3',
  };
  t.match(readIkeSas([{ site: { ...ike, 'dh-group': 'ECP_521' } }], 'site'), [
    { encryption: 'AES256', integrity: 'AES_CMAC_96', diffieHellmanGroup: 'ECP_521', rekeySeconds: 0 },
  ]);
});
