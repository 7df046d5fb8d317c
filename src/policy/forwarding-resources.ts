/** Direct forwarding of a routing domain, without NAT, as TypeBox schema (see resources.ts). */
import { type Static, Type } from 'typebox';
import { closed, IpAddress, IpPrefix } from './fields.ts';

/** A network that the domain's routing context is on, as a router of its own, and what is routed between there and the tenant. */
export const Forwarding = Type.Object(
  {
    uplink: Type.Optional(
      Type.String({
        pattern: '^[^/\\s]{1,15}$',
        description:
          'network interface of the gateway: uplink.interface of its configuration, which is the default, or one of forwarding.interfaces',
      }),
    ),
    vlanId: Type.Optional(
      Type.Integer({
        minimum: 1,
        maximum: 4094,
        description:
          "VLAN of the interface that is this routing domain's alone: its prefixes may be those of others too; without it the " +
          'domain shares the untagged network with all others that have no VLAN',
      }),
    ),
    addresses: Type.Array(
      Type.String({ minLength: 4, maxLength: 49, description: 'address/length of the subnet that it is in' }),
      { minItems: 1, maxItems: 8, description: 'addresses of the routing context on that network' },
    ),
    nextHops: Type.Array(IpAddress, {
      maxItems: 16,
      default: [],
      description:
        'routers on that network, in a subnet of addresses; several of a family share the traffic (ECMP), by flow',
    }),
    destinationPrefixes: Type.Optional(
      Type.Array(IpPrefix, {
        maxItems: 256,
        description:
          'what is routed to nextHops; without it, everything of a family that has a next hop and no NAT',
      }),
    ),
    advertise: Type.Optional(
      Type.Array(IpPrefix, {
        maxItems: 256,
        description:
          'prefixes of the tenant that are routed as they are: packets from and to them alone pass; by default all prefixes of its ' +
          'virtual subnets but gateway subnets, which they can only be on a VLAN of its own: without vlanId they are named here',
      }),
    ),
  },
  closed,
);
export type Forwarding = Static<typeof Forwarding>;
