/** BGP of a routing domain as TypeBox schemas (see resources.ts). */
import { type Static, Type } from 'typebox';
import { closed, IpAddress, IpPrefix, ResourceId, resourceIdPattern } from './fields.ts';

/** RFC 6793; 0, 23456 and 4294967295 are nobody's (RFC 7607, RFC 6793, RFC 7300). */
export const AutonomousSystem = Type.Integer({
  minimum: 1,
  maximum: 4_294_967_294,
  description: 'autonomous system number of 32 bits',
});

/** RFC 1997, RFC 8642. */
const Community = Type.String({
  pattern: '^([1-9]\\d{0,4}:\\d{1,5}|no-export|no-advertise|local-AS)$',
  description:
    'BGP community, ASN:VALUE with an ASN of 1 or more (RFC 1997), no-export, no-advertise or local-AS',
});

const md5Key = { minLength: 1, maxLength: 80, pattern: '^[!-~]+$' } as const;

const policyNames = (what: string) =>
  Type.Array(Type.String({ pattern: resourceIdPattern }), {
    ...{ maxItems: 32, default: [] },
    description: `names of policies for ${what}, the first that matches decides; what none matches is allowed`,
  });

/** Add-BgpPeer. */
export const BgpPeer = Type.Object(
  {
    name: ResourceId,
    address: IpAddress,
    asn: AutonomousSystem,
    localAddress: Type.Optional(
      Type.String({
        minLength: 2,
        maxLength: 45,
        description:
          'address of the routing context that the session is from: one of its forwarding or of its gateway; by default the one that is in ' +
          'the subnet of the peer, or through a tunnel that of its gateway',
      }),
    ),
    password: Type.Optional(
      Type.Union([Type.String({ ...md5Key, description: 'a key' }), Type.Null({ description: 'null' })], {
        writeOnly: true,
        description:
          'key of TCP-MD5 (RFC 2385), 1 to 80 of printable ASCII without blanks; goes in and never comes out: who leaves it out in a change keeps ' +
          'the one that is there for the peer of that name, and null takes it away',
      }),
    ),
    holdTimeSeconds: Type.Integer({
      ...{ minimum: 3, maximum: 65_535, default: 90 },
      description:
        'seconds without a message after which the session ends; a third of it is between keepalives (RFC 4271 section 10)',
    }),
    multihop: Type.Optional(
      Type.Integer({
        ...{ minimum: 2, maximum: 255 },
        description:
          'most hops to a peer of another AS that is on no subnet of the routing context: behind a next hop of forwarding there is no ' +
          'default, through a tunnel it is 2',
      }),
    ),
    maximumPrefixes: Type.Integer({
      ...{ minimum: 1, maximum: 1_000_000, default: 1000 },
      description:
        'most prefixes of each family that are taken; with one more the session ends, and begins again after a minute',
    }),
    bfd: Type.Optional(
      Type.Object(
        {
          intervalMilliseconds: Type.Integer({ minimum: 50, maximum: 60_000, default: 300 }),
          multiplier: Type.Integer({ minimum: 2, maximum: 255, default: 3 }),
        },
        { ...closed, description: 'the session ends when BFD (RFC 5880) finds the peer gone' },
      ),
    ),
    ingressPolicies: policyNames('what the peer tells'),
    egressPolicies: policyNames('what the peer is told'),
  },
  closed,
);

/** Add-BgpRoutingPolicy. What has several conditions matches when each of them does. */
export const BgpPolicy = Type.Object(
  {
    name: ResourceId,
    type: Type.Union([Type.Literal('Allow'), Type.Literal('Deny'), Type.Literal('ModifyAttribute')]),
    matchPrefixes: Type.Optional(
      Type.Array(IpPrefix, { minItems: 1, maxItems: 256, description: 'these prefixes and all within them' }),
    ),
    matchAsnRanges: Type.Optional(
      Type.Array(Type.Object({ from: AutonomousSystem, to: AutonomousSystem }, closed), {
        minItems: 1,
        maxItems: 16,
        description: 'an AS of one of these ranges began the route',
      }),
    ),
    matchCommunities: Type.Optional(
      Type.Array(Community, { minItems: 1, maxItems: 16, description: 'the route has one of these' }),
    ),
    newLocalPreference: Type.Optional(Type.Integer({ minimum: 0, maximum: 4_294_967_295 })),
    newMed: Type.Optional(Type.Integer({ minimum: 0, maximum: 4_294_967_295 })),
    addCommunities: Type.Optional(Type.Array(Community, { minItems: 1, maxItems: 16 })),
    removeAllCommunities: Type.Optional(Type.Boolean()),
    prependAsn: Type.Optional(
      Type.Integer({
        minimum: 1,
        maximum: 10,
        description: 'how often the own ASN is put in front of the path',
      }),
    ),
  },
  closed,
);

/** Add-BgpRouter. */
export const Bgp = Type.Object(
  {
    asn: AutonomousSystem,
    routerId: Type.Optional(
      Type.String({
        ...{ minLength: 7, maxLength: 15 },
        description:
          'BGP identifier, written as an IPv4 address; the first IPv4 address of forwarding or gateway by default',
      }),
    ),
    peers: Type.Array(BgpPeer, { maxItems: 64, default: [] }),
    networks: Type.Optional(
      Type.Array(IpPrefix, {
        maxItems: 256,
        description:
          'prefixes of the tenant that peers are told; without it those that forwarding advertises, or without forwarding all of its virtual subnets but gateway subnets',
      }),
    ),
    hostRoutes: Type.Boolean({
      default: false,
      description: 'whether peers are told each address of a lookup record within networks, too',
    }),
    policies: Type.Array(BgpPolicy, { maxItems: 64, default: [] }),
    maximumPaths: Type.Integer({
      ...{ minimum: 1, maximum: 64, default: 8 },
      description: 'most routes to one prefix that share its traffic (ECMP)',
    }),
    gracefulRestartSeconds: Type.Integer({
      ...{ minimum: 1, maximum: 3600, default: 120 },
      description:
        'how long both sides go on forwarding while the BGP speaker of one is started anew (RFC 4724)',
    }),
  },
  closed,
);

export type BgpPeer = Static<typeof BgpPeer>;
export type BgpPolicy = Static<typeof BgpPolicy>;
export type Bgp = Static<typeof Bgp>;
