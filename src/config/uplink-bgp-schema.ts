/** The schema of `uplink.bgp`: the gateway's own BGP with the routers of its uplink. */
import { Type } from 'typebox';

const closed = { additionalProperties: false } as const;

const asn = (whose: string) =>
  Type.Integer({
    minimum: 1,
    maximum: 4_294_967_294,
    description: `autonomous system number ${whose}, of 32 bits`,
  });

const UplinkBgpPeer = Type.Object(
  {
    address: Type.String({ description: 'IPv4 or IPv6 address of the router' }),
    asn: asn('of the router'),
    passwordFile: Type.Optional(
      Type.String({
        pattern: '^/.*[^/]$',
        description:
          'absolute path of a file with the key of TCP-MD5 (RFC 2385) as its only line, 1 to 80 printable ASCII characters without ' +
          'blanks; read at the start',
      }),
    ),
    holdTimeSeconds: Type.Integer({
      ...{ minimum: 3, maximum: 65_535, default: 90 },
      description: 'seconds without a message after which the session ends',
    }),
    multihop: Type.Optional(
      Type.Integer({
        ...{ minimum: 2, maximum: 255 },
        description: 'most hops to a router of another AS that is on no network of this node',
      }),
    ),
  },
  closed,
);

export const UplinkBgp = Type.Object(
  {
    asn: asn('of the gateway'),
    routerId: Type.String({ description: 'BGP identifier of the gateway, written as an IPv4 address' }),
    peers: Type.Array(UplinkBgpPeer, {
      ...{ minItems: 1, maxItems: 16 },
      description:
        'the routers of the uplink that are told of external addresses and of prefixes without NAT',
    }),
  },
  {
    ...closed,
    description:
      "the gateway's own BGP: external addresses and prefixes, and the prefixes of forwarding on the untagged network, are announced to " +
      'the routers of the uplink while their routing domain works; nothing is learned. Without it the gateway speaks no BGP of its own',
  },
);
