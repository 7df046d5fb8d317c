/** Site connections by themselves: their normal form, the rules of their own fields, and secrets that are left out. */
import { generateKeyPairSync } from 'node:crypto';
import t from 'tap';
import { withKeptSecret } from '../../src/policy/kept-secret.ts';
import { normalize } from '../../src/policy/normalize.ts';
import { readCertificates, readPrivateKey, readRevocationLists } from '../../src/policy/pem.ts';
import {
  diffieHellmanGroups,
  encryptionAlgorithms,
  integrityAlgorithms,
  type SiteConnection,
} from '../../src/policy/resources.ts';
import { checkPut } from '../../src/policy/rules.ts';
import { natPolicy } from '../lab/nat-policy.ts';
import {
  authorityCertificate,
  otherPrivateKey,
  revocationList,
  siteCertificate,
  sitePrivateKey,
} from '../lab/site-certificates.ts';
import { anyPeer, certificates, hq, psk, SITE_SECRET, type SiteInput, site } from '../lab/site-policy.ts';
import { CONTOSO, put, refusalOf, stateOf } from './policy-state.ts';

t.test('the normal form has canonical addresses and prefixes, and all defaults', async (t) => {
  t.strictSame(
    site({
      destination: ['2001:DB8::1', '2001:db8:0::2'],
      localAddress: '2001:DB8:F::1',
      subnets: [
        { prefix: '192.168.50.0/24', metric: 7 },
        { prefix: 'FD00:50::/64' },
        { prefix: '10.0.0.0/8' },
      ],
      localSubnets: ['FD00:1::/64', '10.1.1.0/24'],
      mainMode: { encryptionAlgorithms: ['AES256', 'GCMAES256', 'AES256'] },
    }),
    {
      destination: ['2001:db8::1', '2001:db8::2'],
      localAddress: '2001:db8:f::1',
      authentication: psk(),
      subnets: [
        { prefix: '192.168.50.0/24', metric: 7 },
        { prefix: 'fd00:50::/64', metric: 0 },
        { prefix: '10.0.0.0/8', metric: 0 },
      ],
      localSubnets: ['fd00:1::/64', '10.1.1.0/24'],
      mainMode: {
        encryptionAlgorithms: ['AES256', 'GCMAES256'],
        integrityAlgorithms: ['SHA384', 'SHA256'],
        diffieHellmanGroups: ['Curve25519', 'ECP384', 'ECP256', 'Group14'],
        saLifeTimeSeconds: 28_800,
      },
      quickMode: {
        encryptionAlgorithms: ['GCMAES256', 'GCMAES128', 'AES256', 'AES128'],
        integrityAlgorithms: ['SHA384', 'SHA256'],
        perfectForwardSecrecy: ['Curve25519', 'ECP384', 'ECP256', 'Group14', 'None'],
        saLifeTimeSeconds: 3600,
      },
      initiate: 'start',
      mobike: false,
    },
  );
  t.equal(site({ destination: [hq] }).destination, hq, 'a list of one is none');
  t.equal(site(anyPeer()).destination, 'any');
});

t.test('PEM comes out as its blocks alone, and a key as PKCS #8', async (t) => {
  const pair = generateKeyPairSync('rsa', { modulusLength: 2048 });
  t.match(readPrivateKey(String(pair.privateKey.export({ type: 'pkcs1', format: 'pem' }))), {
    asymmetricKeyType: 'rsa',
  });
  const comment = `subject=CN = x\n${SITE_SECRET}\r\n`;
  const { authentication } = site({
    authentication: certificates({
      certificate: comment + siteCertificate.replaceAll('\n', '\r\n') + authorityCertificate,
      privateKey: comment + sitePrivateKey,
      certificateAuthorities: authorityCertificate.trim() + comment + authorityCertificate,
      revocationLists: comment + revocationList.replaceAll('\n', '\n\n'),
    }),
  });
  t.strictSame(
    authentication,
    certificates({
      certificate: siteCertificate + authorityCertificate,
      certificateAuthorities: authorityCertificate + authorityCertificate,
      revocationLists: revocationList,
    }),
  );
});

t.test('what is no PEM of its kind is not read', async (t) => {
  const cut = (text: string) => text.replace(/\n.{10}/, '\n');
  const withoutEnd = siteCertificate.replace('-----END', '-----FIN');
  for (const text of [
    '',
    'x',
    withoutEnd,
    cut(siteCertificate),
    revocationList,
    siteCertificate + sitePrivateKey,
  ])
    t.equal(readCertificates(text), undefined, text);
  const dsa = generateKeyPairSync('x25519').privateKey.export({ type: 'pkcs8', format: 'pem' });
  const locked = generateKeyPairSync('ed25519').privateKey.export({
    ...{ type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc', passphrase: 'x' },
  });
  for (const text of ['', siteCertificate, cut(sitePrivateKey), String(dsa), String(locked)])
    t.equal(readPrivateKey(text), undefined, text);
  const relabelled = siteCertificate.replaceAll('CERTIFICATE', 'X509 CRL');
  const empty = '-----BEGIN X509 CRL-----\n-----END X509 CRL-----\n';
  const endless = '-----BEGIN X509 CRL-----\nMIAA\n-----END X509 CRL-----\n';
  for (const text of ['', siteCertificate, relabelled, cut(revocationList), empty, endless])
    t.equal(readRevocationLists(text), undefined, text);
  const der = Buffer.from(revocationList.split('\n').slice(1, -2).join(''), 'base64');
  const block = (bytes: Buffer) =>
    `-----BEGIN X509 CRL-----\n${bytes.toString('base64')}\n-----END X509 CRL-----`;
  for (let length = 0; length < der.length; length++)
    t.equal(readRevocationLists(block(der.subarray(0, length))), undefined, `${length} bytes of a list`);
  t.strictSame(readRevocationLists(block(der)), [der]);
  t.equal(readRevocationLists(block(Buffer.concat([der, der]))), undefined);
});

/** What, the connection, rule, pointer. */
const alone: [what: string, more: SiteInput, rule: string, pointer: string][] = [
  ['a word for an address', { destination: 'hq' }, 'ip-address', '/destination'],
  ['a multicast destination', { destination: [hq, '224.0.0.1'] }, 'address-unicast', '/destination/1'],
  ['"any" in a list', { destination: ['any'] }, 'destination-any', '/destination/0'],
  [
    'a destination twice',
    { destination: ['2001:db8::1', '2001:DB8::1'] },
    'destination-once',
    '/destination/1',
  ],
  ['both families', { destination: [hq, '2001:db8::1'] }, 'destination-family', '/destination/1'],
  ['a link-local local address', { localAddress: '169.254.0.1' }, 'address-unicast', '/localAddress'],
  ['a local address of IPv6', { localAddress: '2001:db8::1' }, 'local-address-family', '/localAddress'],
  ['host bits', { subnets: [{ prefix: '192.168.50.1/24' }] }, 'prefix-host-bits', '/subnets/0/prefix'],
  ['everything', { subnets: [{ prefix: '::/0' }] }, 'prefix-unicast', '/subnets/0/prefix'],
  [
    'a prefix twice',
    { subnets: [{ prefix: 'fd00::/64' }, { prefix: 'FD00::/64' }] },
    'site-prefix-once',
    '/subnets/1/prefix',
  ],
  [
    'a local prefix twice',
    { localSubnets: ['10.1.0.0/16', '10.1.0.0/16'] },
    'site-prefix-once',
    '/localSubnets/1',
  ],
  ['a local prefix of IPv6 alone', { localSubnets: ['fd00::/64'] }, 'local-subnet-family', '/localSubnets/0'],
  [
    'a site of both families for local prefixes of one',
    { subnets: [{ prefix: '10.9.0.0/16' }, { prefix: 'fd00:9::/64' }], localSubnets: ['10.1.0.0/16'] },
    'local-subnet-family',
    '/localSubnets',
  ],
  ['to begin with any peer', { ...anyPeer(), initiate: 'start' }, 'initiate-any', '/initiate'],
  ['to end when idle', { idleDisconnectSeconds: 60 }, 'idle-disconnect-start', '/idleDisconnectSeconds'],
  ...(['certificate', 'privateKey', 'certificateAuthorities', 'revocationLists'] as const).map(
    (field): (typeof alone)[number] => [
      `${field} with a key`,
      { authentication: psk({ [field]: certificates({ revocationLists: revocationList })[field] }) },
      'authentication-method',
      `/authentication/${field}`,
    ],
  ),
  [
    'a key with certificates',
    { authentication: certificates({ preSharedKey: SITE_SECRET }) },
    'authentication-method',
    '/authentication/preSharedKey',
  ],
  ...['%any', '%any6', '*', '::', '0::0', '0.0.0.0', '{0}:x', 'a\nb', '\u0085'].map(
    (remoteId): (typeof alone)[number] => [
      `the identity ${JSON.stringify(remoteId)}`,
      { authentication: psk({ remoteId }) },
      'identity',
      '/authentication/remoteId',
    ],
  ),
  ['a wrong own identity', { authentication: psk({ localId: '*' }) }, 'identity', '/authentication/localId'],
  [
    'any peer without identity',
    { ...anyPeer(), authentication: psk() },
    'remote-id-required',
    '/authentication/remoteId',
  ],
  [
    'no certificate',
    { authentication: { method: 'certificate', certificateAuthorities: authorityCertificate } },
    'certificate-required',
    '/authentication/certificate',
  ],
  [
    'no authority',
    { authentication: { method: 'certificate', certificate: siteCertificate } },
    'certificate-required',
    '/authentication/certificateAuthorities',
  ],
  ...(['certificate', 'certificateAuthorities', 'privateKey', 'revocationLists'] as const).map(
    (field): (typeof alone)[number] => [
      `a word for ${field}`,
      { authentication: certificates({ [field]: SITE_SECRET }) },
      'pem',
      `/authentication/${field}`,
    ],
  ),
  [
    'a chain whose second certificate is of no authority',
    { authentication: certificates({ certificate: siteCertificate + siteCertificate }) },
    'certificate-authority',
    '/authentication/certificate',
  ],
  [
    'an authority that is none',
    { authentication: certificates({ certificateAuthorities: authorityCertificate + siteCertificate }) },
    'certificate-authority',
    '/authentication/certificateAuthorities',
  ],
  [
    'another key',
    { authentication: certificates({ privateKey: otherPrivateKey }) },
    'private-key-certificate',
    '/authentication/privateKey',
  ],
];
for (const [what, more, rule, pointer] of alone) {
  t.test(`${what} is refused by ${rule}`, async (t) => {
    const refusal = refusalOf(() => site(more));
    t.match(refusal, { code: 'HNV_INVALID_FIELD', rule, pointer });
    t.ok(refusal.message.startsWith(`${pointer.slice(1)}: `), refusal.message);
    t.match(refusal.message, /^\S.*\.$/s);
    for (const secret of [SITE_SECRET, 'PRIVATE KEY', sitePrivateKey.slice(40, 60)])
      t.notOk(refusal.message.includes(secret), refusal.message);
  });
}

t.test('identities that strongSwan takes for one side are accepted', async (t) => {
  for (const remoteId of [
    'branch.example',
    'O=Müller, CN=*',
    '@#0102',
    'keyid:x',
    '192.0.2.1',
    '%anyone',
    '::1',
  ])
    t.equal(site({ authentication: psk({ remoteId }) }).authentication.remoteId, remoteId);
  site({ ...anyPeer(), authentication: certificates() });
  site({ initiate: 'onTraffic', idleDisconnectSeconds: 60 });
});

t.test('a secret that is left out stays, and there must be one', async (t) => {
  const without = site({ authentication: { method: 'psk' } });
  const required = (pointer: string) => ({ code: 'HNV_INVALID_FIELD', rule: 'secret-required', pointer });
  t.strictSame(withKeptSecret(without, site()), site());
  t.strictSame(withKeptSecret(site({ authentication: psk({ preSharedKey: 'another key' }) }), site()), {
    ...site(),
    authentication: psk({ preSharedKey: 'another key' }),
  });
  const ofCertificate = site({ authentication: certificates() });
  for (const held of [undefined, ofCertificate])
    t.match(
      refusalOf(() => withKeptSecret(without, held)),
      required('/authentication/preSharedKey'),
    );

  const { privateKey: _, ...withoutKey } = certificates();
  const renewed = site({ authentication: { ...withoutKey, revocationLists: revocationList } });
  t.equal(withKeptSecret(renewed, ofCertificate).authentication.privateKey, sitePrivateKey);
  for (const held of [undefined, site()])
    t.match(
      refusalOf(() => withKeptSecret(renewed, held)),
      required('/authentication/privateKey'),
    );
  const other = site({ authentication: { ...withoutKey, certificate: authorityCertificate } });
  const refusal = refusalOf(() => withKeptSecret(other, ofCertificate));
  t.match(refusal, required('/authentication/privateKey'));
  t.match(refusal.message, /does not belong to the new certificate/);
});

t.test('broken algorithms need the configuration', async (t) => {
  const nat = natPolicy({ externalAddresses: [{ ipAddress: '203.0.113.10' }] });
  const state = stateOf([put('nat', CONTOSO, undefined, nat)]);
  const key = { kind: 'siteConnection', rdid: CONTOSO, id: 'new' } as const;
  const broken: [SiteInput, string][] = [
    [{ mainMode: { encryptionAlgorithms: ['AES256', 'DES3'] } }, '/mainMode/encryptionAlgorithms/1'],
    [{ mainMode: { integrityAlgorithms: ['MD5'] } }, '/mainMode/integrityAlgorithms/0'],
    [{ mainMode: { diffieHellmanGroups: ['Group14', 'Group2'] } }, '/mainMode/diffieHellmanGroups/1'],
    [{ mainMode: { diffieHellmanGroups: ['Group24'] } }, '/mainMode/diffieHellmanGroups/0'],
    [{ quickMode: { encryptionAlgorithms: ['DES'] } }, '/quickMode/encryptionAlgorithms/0'],
    [{ quickMode: { integrityAlgorithms: ['SHA256', 'MD5'] } }, '/quickMode/integrityAlgorithms/1'],
    [{ quickMode: { perfectForwardSecrecy: ['Group1'] } }, '/quickMode/perfectForwardSecrecy/0'],
  ];
  for (const [more, pointer] of broken) {
    const refusal = refusalOf(() => checkPut(state, key, site(more)));
    t.match(refusal, { code: 'HNV_INVALID_FIELD', rule: 'weak-algorithm', pointer });
    t.match(refusal.message, /ipsec\.allowWeakAlgorithms/);
    checkPut({ ...state, allowsWeakAlgorithms: true }, key, site(more));
  }
  checkPut(
    state,
    key,
    site({ quickMode: { integrityAlgorithms: ['SHA1'], perfectForwardSecrecy: ['None'] } }),
  );
});

/** A generator of numbers below a limit, the same for a seed. */
function random(seed: number): (limit: number) => number {
  let state = seed;
  return (limit) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * limit);
  };
}

t.test('normalizing leaves the argument alone, and normalizing again changes nothing', async (t) => {
  for (let seed = 0; seed < 300; seed++) {
    const below = random(seed);
    const some = <T>(all: readonly T[]): T[] =>
      Array.from({ length: 1 + below(all.length) }, () => all[below(all.length)] as T);
    const maybe = <T>(value: T): T | undefined => (below(2) === 0 ? value : undefined);
    const prefixes = Array.from({ length: 1 + below(8) }, (_, n) =>
      below(2) === 0 ? `192.168.${n}.0/${24 + below(8)}` : `FD00:${n}::/${64 + below(64)}`,
    );
    const isIpv6 = below(2) === 0;
    const address = (n: number) => (isIpv6 ? `2001:DB8:0::${n + 1}` : `198.51.100.${n + 1}`);
    const initiate = (['start', 'onTraffic', 'never'] as const)[below(3)];
    const value = structuredClone({
      destination: below(2) === 0 ? address(0) : Array.from({ length: 1 + below(8) }, (_, n) => address(n)),
      localAddress: maybe(address(99)),
      authentication:
        below(2) === 0
          ? psk({ localId: 'us' })
          : certificates({ revocationLists: maybe(revocationList) } as SiteConnection['authentication']),
      subnets: prefixes.map((prefix) => ({ prefix, metric: maybe(below(65_536)) })),
      mainMode: maybe({
        encryptionAlgorithms: some(encryptionAlgorithms),
        diffieHellmanGroups: maybe(some(diffieHellmanGroups)),
      }),
      quickMode: maybe({
        integrityAlgorithms: some(integrityAlgorithms),
        perfectForwardSecrecy: maybe(['None']),
      }),
      initiate: maybe(initiate),
      idleDisconnectSeconds: initiate === 'start' ? undefined : maybe(60),
      mobike: maybe(true),
    });
    // As JSON has it, without what is undefined.
    const body = JSON.parse(JSON.stringify(value)) as SiteConnection;
    if (body.initiate === undefined) delete body.idleDisconnectSeconds;
    const before = structuredClone(body);
    const once = normalize('siteConnection', body);
    t.strictSame(body, before);
    t.strictSame(normalize('siteConnection', once), once);
  }
});
