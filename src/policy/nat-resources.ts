/** NAT of a routing domain and pools of external addresses, as TypeBox schemas (see resources.ts). */
import { type Static, Type } from 'typebox';
import { closed, IpAddress, IpPrefix, Port, resourceIdPattern } from './fields.ts';

/** Add-NetNatExternalAddress. */
export const ExternalAddress = Type.Object(
  {
    ipAddress: IpAddress,
    portStart: Type.Optional(
      Type.Integer({
        minimum: 1,
        maximum: 65535,
        description:
          'first TCP and UDP port and ICMP identifier of the block that this routing domain has of the address; without ' +
          'portStart and portEnd it has the whole address, with all protocols',
      }),
    ),
    portEnd: Type.Optional(Type.Integer({ minimum: 1, maximum: 65535, description: 'last of the block' })),
  },
  closed,
);

/** Addresses, or port blocks of addresses, that routing domains with "auto" are given one of. Its name is the resource's id. */
export const ExternalAddressPool = Type.Object(
  {
    prefixes: Type.Array(IpPrefix, {
      minItems: 1,
      maxItems: 64,
      description:
        'IPv4 or IPv6 prefixes, all addresses of which are given out, the first and the last ones too, so none that the uplink or ' +
        'its routers have; at most 65,536 in all',
    }),
    portBlockSize: Type.Optional(
      Type.Integer({
        minimum: 64,
        maximum: 64512,
        description:
          'ports of each block that addresses are shared in, from port 1024 on; without it each address is given out whole',
      }),
    ),
  },
  closed,
);

/** Add-NetNatStaticMapping. */
export const StaticMapping = Type.Object(
  {
    protocol: Type.Union([Type.Literal('tcp'), Type.Literal('udp')]),
    externalIpAddress: IpAddress,
    externalPort: Port,
    internalIpAddress: IpAddress,
    internalPort: Port,
    remoteExternalIpAddressPrefix: Type.Optional(IpPrefix),
  },
  closed,
);

/** One external address that stands for one inside address, with all protocols and ports, both ways. */
export const OneToOne = Type.Object(
  {
    externalIpAddress: IpAddress,
    internalIpAddress: IpAddress,
  },
  closed,
);

/** IPv6 that is not translated, or by its prefix alone (NPTv6, RFC 6296). */
export const ExternalPrefix = Type.Object(
  {
    prefix: Type.String({
      minLength: 4,
      maxLength: 49,
      description: 'IPv6 prefix that is routed to this domain from outside',
    }),
    internalPrefix: Type.Optional(
      Type.String({
        minLength: 4,
        maxLength: 49,
        description:
          'IPv6 prefix inside that `prefix` stands for outside (NPTv6, RFC 6296); without it addresses stay as they are',
      }),
    ),
  },
  closed,
);

const seconds = (fallback: number, description: string) =>
  Type.Integer({
    minimum: 1,
    maximum: 2_678_400,
    default: fallback,
    description: `seconds that a silent session is kept: ${description}`,
  });

/** Set-NetNat: how long a silent session is kept. Defaults are the least that RFC 4787, 5382 and 5508 recommend. */
export const NatTimeouts = Type.Object(
  {
    icmp: seconds(60, 'an ICMP query (RFC 5508 REQ-2)'),
    tcpEstablished: seconds(7440, 'an established TCP connection (RFC 5382 REQ-5)'),
    tcpTransient: seconds(240, 'a TCP connection that begins or ends (RFC 5382 REQ-5)'),
    udp: seconds(300, 'a UDP session (RFC 4787 REQ-5)'),
  },
  closed,
);

const Filtering = Type.Union(
  [
    Type.Literal('endpointIndependent'),
    Type.Literal('addressDependent'),
    Type.Literal('addressAndPortDependent'),
  ],
  {
    default: 'addressAndPortDependent',
    description: 'from whom packets are let in to a port that a session has outside (RFC 4787 section 5)',
  },
);

/** Set-NetNat -TcpFilteringBehavior, -UdpFilteringBehavior. */
export const NatFiltering = Type.Object({ tcp: Filtering, udp: Filtering }, closed);

/** New-NetNat and what belongs to it. */
export const Nat = Type.Object(
  {
    externalAddresses: Type.Union(
      [
        Type.Array(ExternalAddress, { maxItems: 64, description: 'a list of addresses' }),
        Type.Literal('auto'),
      ],
      {
        default: [],
        description:
          'addresses that the inside has outside, each whole or a block of its ports; "auto": one from an external address pool',
      },
    ),
    pool: Type.Optional(
      Type.String({
        pattern: resourceIdPattern,
        description: 'external address pool for "auto"; without it the first, by name, that has room',
      }),
    ),
    allocatedAddress: Type.Optional(
      Type.Object(ExternalAddress.properties, {
        ...closed,
        description:
          'what "auto" has given; kept as long as the pool has it. Who writes it asks for it, and gets it if it is free',
      }),
    ),
    externalPrefixes: Type.Array(ExternalPrefix, {
      maxItems: 64,
      default: [],
      description: 'IPv6 prefixes whose hosts are reached from outside without address and port translation',
    }),
    staticMappings: Type.Array(StaticMapping, {
      maxItems: 4096,
      default: [],
      description: 'ports of external addresses that lead to inside hosts',
    }),
    oneToOne: Type.Array(OneToOne, {
      maxItems: 64,
      default: [],
      description: 'whole external addresses that stand for one inside host each',
    }),
    timeouts: Type.Object(NatTimeouts.properties, {
      ...closed,
      default: {},
      description: 'how long silent sessions are kept',
    }),
    filtering: Type.Object(NatFiltering.properties, {
      ...closed,
      default: {},
      description: 'who may send to the ports that sessions have outside',
    }),
    hairpinning: Type.Union([Type.Literal('local'), Type.Literal('external')], {
      default: 'local',
      description:
        'who hands over what is for an external address of this node: the node itself, or the router on the uplink',
    }),
    algs: Type.Array(Type.Union([Type.Literal('ftp'), Type.Literal('sip')]), {
      maxItems: 2,
      default: [],
      description:
        'protocols whose messages are translated too, in sessions to their well-known ports; only with whole external addresses',
    }),
    maxSessions: Type.Optional(
      Type.Integer({
        minimum: 1,
        maximum: 10_000_000,
        description: 'most sessions at a time; without it the domain has no limit of its own',
      }),
    ),
  },
  closed,
);

export type ExternalAddress = Static<typeof ExternalAddress>;
export type ExternalAddressPool = Static<typeof ExternalAddressPool>;
export type ExternalPrefix = Static<typeof ExternalPrefix>;
export type OneToOne = Static<typeof OneToOne>;
export type StaticMapping = Static<typeof StaticMapping>;
export type Nat = Static<typeof Nat>;
