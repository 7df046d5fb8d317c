/** What a packet inside of a tunnel may have, held against the sizes of what it becomes. */
import t from 'tap';
import type { EncryptionAlgorithm, IntegrityAlgorithm } from '../../src/policy/site-connection-resources.ts';
import { tunnelMtu } from '../../src/s2s/tunnel-mtu.ts';
import { sitePlan } from '../lab/site-plan.ts';

type Proposals = [encryption: EncryptionAlgorithm[], integrity?: IntegrityAlgorithm[]];

function proposing(
  [encryptionAlgorithms, integrityAlgorithms = ['SHA256']]: Proposals,
  more: Partial<ReturnType<typeof sitePlan>> = {},
) {
  const { quickMode } = sitePlan();
  return sitePlan({ quickMode: { ...quickMode, encryptionAlgorithms, integrityAlgorithms }, ...more });
}

const IPV6 = { localAddress: '2001:db8:100::101', destinations: ['2001:db8:9::9'] };

/** What an inner packet becomes: RFC 4303 section 2, in UDP (RFC 3948), in IP. */
function outerSize(inner: number, ip: number, iv: number, block: number, icv: number): number {
  const padded = Math.ceil((inner + 2) / block) * block;
  return ip + 8 + 8 + iv + padded + icv;
}

// [proposals, bytes of initialization vector, block, check, MTU inside of 1,500 outside over IPv4, over IPv6]
const forms: [Proposals, iv: number, block: number, icv: number, over4: number, over6: number][] = [
  [[['GCMAES256']], 8, 4, 16, 1438, 1418],
  [[['GCMAES128']], 8, 4, 16, 1438, 1418],
  [[['AES256'], ['SHA512']], 16, 16, 32, 1406, 1390],
  [[['AES256'], ['SHA384']], 16, 16, 24, 1422, 1390],
  [[['AES192'], ['SHA256']], 16, 16, 16, 1422, 1406],
  [[['AES128'], ['SHA1']], 16, 16, 12, 1422, 1406],
  [[['DES3'], ['SHA1']], 8, 8, 12, 1438, 1422],
  [[['DES'], ['MD5']], 8, 8, 12, 1438, 1422],
];

t.test('each form just fits: what is inside fills the outer packet but for less than a block', async (t) => {
  for (const [proposals, iv, block, icv, over4, over6] of forms)
    for (const [ip, mtu, local] of [
      [20, over4, {}],
      [40, over6, IPV6],
    ] as const) {
      const what = `${proposals.flat().join(' ')} over ${ip === 20 ? 'IPv4' : 'IPv6'}`;
      t.equal(tunnelMtu([proposing(proposals, local)], 1500, 'kernel'), mtu, what);
      t.ok(outerSize(mtu, ip, iv, block, icv) <= 1500, what);
      t.ok(outerSize(mtu + 1, ip, iv, block, icv) > 1500, what);
    }
});

t.test('the longest form of all that is proposed decides, of all connections', async (t) => {
  const gcm = proposing([['GCMAES256']]);
  const both = proposing([
    ['GCMAES256', 'AES256'],
    ['SHA256', 'SHA512'],
  ]);
  t.equal(tunnelMtu([both], 1500, 'kernel'), 1406);
  t.equal(tunnelMtu([gcm, both], 1500, 'kernel'), 1406);
  t.equal(tunnelMtu([gcm, proposing([['GCMAES128']], IPV6)], 1500, 'kernel'), 1418);
  t.equal(
    tunnelMtu([proposing([['GCMAES256'], ['SHA512']])], 1500, 'kernel'),
    1438,
    'GCM has a check of its own',
  );
});

t.test('strongSwan’s userspace ESP takes no more than 1,400', async (t) => {
  const gcm = proposing([['GCMAES256']]);
  t.equal(tunnelMtu([gcm], 9000, 'kernel'), 8938);
  t.equal(tunnelMtu([gcm], 9000, 'userspace'), 1400);
  t.equal(tunnelMtu([gcm], 1400, 'userspace'), 1338);
});

t.test('with IPv6 inside no less than 1,280', async (t) => {
  const gcm: Proposals = [['GCMAES256']];
  const dual = proposing(gcm, {
    subnets: [
      { prefix: '192.168.50.0/24', metric: 0 },
      { prefix: 'fd00:50::/48', metric: 0 },
    ],
  });
  t.equal(tunnelMtu([proposing(gcm)], 1300, 'kernel'), 1238);
  t.equal(tunnelMtu([dual], 1300, 'kernel'), 1280);
  t.equal(tunnelMtu([proposing(gcm), dual], 1300, 'userspace'), 1280);
  t.equal(tunnelMtu([dual], 1500, 'kernel'), 1438);
});
