/** IPsec site-to-site connections of a routing domain, as TypeBox schemas (see resources.ts). */
import { type Static, Type } from 'typebox';
import { closed, IpAddress, IpPrefix } from './fields.ts';

/** What IKE peers tell each other apart by, as strongSwan reads it: address, DNS name, mail address or distinguished name. */
const Identity = (description: string) =>
  Type.Optional(Type.String({ minLength: 1, maxLength: 255, description }));

const Pem = (maxLength: number, description: string, options: object = {}) =>
  Type.Optional(Type.String({ minLength: 1, maxLength, description, ...options }));

/** Of fields with a secret: they are shown to nobody (secrets.ts), and are sealed on disk. */
const secret = { writeOnly: true } as const;

/** Add-VpnS2SInterface -AuthenticationMethod. */
export const SiteAuthentication = Type.Object(
  {
    method: Type.Union([Type.Literal('psk'), Type.Literal('certificate')]),
    preSharedKey: Type.Optional(
      Type.String({
        minLength: 8,
        maxLength: 256,
        ...secret,
        description:
          'of method psk; goes in and never comes out: who leaves it out in a change keeps the one that is there',
      }),
    ),
    certificate: Pem(
      65_536,
      'of method certificate: certificate of this side in PEM, followed by those between it and its root, if any',
    ),
    privateKey: Pem(
      16_384,
      'of method certificate: private key of the certificate in PEM, without pass phrase; goes in and never comes out: who ' +
        'leaves it out in a change keeps the one that is there',
      secret,
    ),
    certificateAuthorities: Pem(
      65_536,
      'of method certificate: certificates in PEM that the certificate of the site must come from',
    ),
    revocationLists: Pem(
      262_144,
      'of method certificate: revocation lists (CRL) of these authorities in PEM; with them, the certificate of the site ' +
        'must be proved good by one that is current',
    ),
    localId: Identity('identity of this side; by default localAddress, or the subject of the certificate'),
    remoteId: Identity(
      'identity of the site; by default its destination, or with a certificate whatever that says',
    ),
  },
  { ...closed, description: 'how the two sides prove who they are' },
);

const literals = <T extends string>(values: readonly T[]) =>
  Type.Unsafe<T>(Type.Union(values.map((one) => Type.Literal(one))));

/** In the order of preference. GCMAES: AES in Galois counter mode with a tag of 16 bytes (RFC 4106, RFC 5282). */
export const encryptionAlgorithms = [
  'GCMAES256',
  'GCMAES128',
  'AES256',
  'AES192',
  'AES128',
  'DES3',
  'DES',
] as const;
export const integrityAlgorithms = ['SHA512', 'SHA384', 'SHA256', 'SHA1', 'MD5'] as const;
/** ECP256, ECP384: groups 19 and 20 (RFC 5903); Curve25519: group 31 (RFC 8031). */
export const diffieHellmanGroups = [
  'Curve25519',
  'ECP384',
  'ECP256',
  'Group16',
  'Group15',
  'Group14',
  'Group24',
  'Group2',
  'Group1',
] as const;

const algorithms = <T extends string>(values: readonly T[], fallback: readonly T[], description: string) =>
  Type.Array(literals(values), { minItems: 1, maxItems: values.length, default: [...fallback], description });

/** Many devices have no such exchange unless they are told to. */
export const perfectForwardSecrecyGroups = [...diffieHellmanGroups, 'None'] as const;

const SAFE_ENCRYPTION = ['GCMAES256', 'GCMAES128', 'AES256', 'AES128'] as const;
const SAFE_INTEGRITY = ['SHA384', 'SHA256'] as const;
const SAFE_GROUPS = ['Curve25519', 'ECP384', 'ECP256', 'Group14'] as const;

const OFFERED = 'in the order of preference; algorithms that are broken need ipsec.allowWeakAlgorithms';

/** Proposal of the IKE SA (Add-VpnS2SInterface calls it main mode, as IKEv1 did). */
export const MainMode = Type.Object(
  {
    encryptionAlgorithms: algorithms(encryptionAlgorithms, SAFE_ENCRYPTION, `ciphers, ${OFFERED}`),
    integrityAlgorithms: algorithms(
      integrityAlgorithms,
      SAFE_INTEGRITY,
      `hashes of integrity check and pseudo-random function, ${OFFERED}`,
    ),
    diffieHellmanGroups: algorithms(diffieHellmanGroups, SAFE_GROUPS, `groups, ${OFFERED}`),
    saLifeTimeSeconds: Type.Integer({
      minimum: 60,
      maximum: 604_800,
      default: 28_800,
      description: 'seconds after which the IKE SA is made anew',
    }),
  },
  closed,
);

/** Proposal of the ESP SAs (quick mode). */
export const QuickMode = Type.Object(
  {
    encryptionAlgorithms: algorithms(encryptionAlgorithms, SAFE_ENCRYPTION, `ciphers, ${OFFERED}`),
    integrityAlgorithms: algorithms(
      integrityAlgorithms,
      SAFE_INTEGRITY,
      `hashes of the integrity check of ciphers that have none, ${OFFERED}`,
    ),
    perfectForwardSecrecy: Type.Array(literals(perfectForwardSecrecyGroups), {
      ...{ minItems: 1, maxItems: perfectForwardSecrecyGroups.length },
      default: [...SAFE_GROUPS, 'None'],
      description: `groups of the exchange that each new key is made with; with "None" among them the site may do without, ${OFFERED}`,
    }),
    saLifeTimeSeconds: Type.Integer({
      minimum: 10,
      maximum: 172_800,
      default: 3600,
      description: 'seconds after which new keys are made',
    }),
    saLifeTimeKiloBytes: Type.Optional(
      Type.Integer({
        minimum: 1024,
        maximum: 2_147_483_647,
        description: 'kilobytes after which new keys are made; without it the time alone decides',
      }),
    ),
  },
  closed,
);

export const SiteSubnet = Type.Object(
  {
    prefix: IpPrefix,
    metric: Type.Integer({
      minimum: 0,
      maximum: 65535,
      default: 0,
      description:
        'of several connections with the prefix that are up, the one with the lowest carries its packets',
    }),
  },
  closed,
);

/** Add-VpnS2SInterface. */
export const SiteConnection = Type.Object(
  {
    destination: Type.Union([IpAddress, Type.Array(IpAddress, { minItems: 1, maxItems: 8 })], {
      description:
        'address of the peer, or several, which are tried in turn; "any": the peer may have any address, and begins itself',
    }),
    localAddress: Type.Optional(
      Type.String({
        minLength: 2,
        maxLength: 45,
        description:
          'external address of the NAT of this routing domain that the tunnel ends at; by default the first of the family of the ' +
          'destination, whole ones first',
      }),
    ),
    authentication: SiteAuthentication,
    subnets: Type.Array(SiteSubnet, {
      minItems: 1,
      maxItems: 64,
      description: 'prefixes of the site',
    }),
    localSubnets: Type.Optional(
      Type.Array(IpPrefix, {
        minItems: 1,
        maxItems: 64,
        description: 'prefixes that the site may reach; by default those of the virtual subnets',
      }),
    ),
    mainMode: Type.Object(MainMode.properties, { ...closed, default: {}, description: 'the IKE SA' }),
    quickMode: Type.Object(QuickMode.properties, { ...closed, default: {}, description: 'the ESP SAs' }),
    txBandwidthKbps: Type.Optional(
      Type.Integer({
        minimum: 8,
        maximum: 100_000_000,
        description:
          'most that is sent to the site, kilobits a second of packets as they are inside of the tunnel',
      }),
    ),
    rxBandwidthKbps: Type.Optional(
      Type.Integer({
        minimum: 8,
        maximum: 100_000_000,
        description:
          'most that is taken from the site, kilobits a second of packets as they are inside of the tunnel',
      }),
    ),
    initiate: Type.Union([Type.Literal('start'), Type.Literal('onTraffic'), Type.Literal('never')], {
      default: 'start',
      description: 'when this side begins: at once and always again, when a packet is for the site, or never',
    }),
    idleDisconnectSeconds: Type.Optional(
      Type.Integer({
        minimum: 10,
        maximum: 86_400,
        description:
          'seconds without a packet after which the tunnel is taken down; not with initiate "start"',
      }),
    ),
    mobike: Type.Boolean({
      default: false,
      description: 'whether the peer may change its address in an open connection (RFC 4555)',
    }),
  },
  closed,
);

export type PerfectForwardSecrecyGroup = (typeof perfectForwardSecrecyGroups)[number];
export type EncryptionAlgorithm = (typeof encryptionAlgorithms)[number];
export type IntegrityAlgorithm = (typeof integrityAlgorithms)[number];
export type DiffieHellmanGroup = (typeof diffieHellmanGroups)[number];
export type SiteAuthentication = Static<typeof SiteAuthentication>;
export type MainMode = Static<typeof MainMode>;
export type QuickMode = Static<typeof QuickMode>;
export type SiteSubnet = Static<typeof SiteSubnet>;
export type SiteConnection = Static<typeof SiteConnection>;
