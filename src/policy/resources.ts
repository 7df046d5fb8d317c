/**
 * The resources that make up the desired state, as TypeBox schemas: the one source of the TypeScript types, of the
 * validation of requests, and of the OpenAPI document. A schema says what one field may look like; rules between
 * fields and between resources are in `rules/`.
 */
import { type Static, Type } from 'typebox';

const closed = { additionalProperties: false } as const;

export const Guid = Type.String({
  pattern: '^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$',
  description: 'GUID in lower case, 8-4-4-4-12 hexadecimal digits',
});

export const ResourceId = Type.String({
  pattern: '^[A-Za-z0-9][A-Za-z0-9._:-]{0,63}$',
  description: '1 to 64 of A-Z a-z 0-9 . _ : -, beginning with a letter or digit',
});

/** RFC 7637 section 3.2 reserves 0 to 0xFFF and 0xFFFFFF. */
export const VirtualSubnetId = Type.Integer({
  minimum: 4096,
  maximum: 16777214,
  description: 'Virtual Subnet ID, 4096 to 16777214, unique in the datacenter',
});

const IpAddress = Type.String({ minLength: 2, maxLength: 45, description: 'IPv4 or IPv6 address' });
const IpPrefix = Type.String({
  minLength: 4,
  maxLength: 49,
  description: 'IPv4 or IPv6 prefix, address/length',
});
const MacAddress = Type.String({
  pattern: '^[0-9A-Fa-f]{2}([:-][0-9A-Fa-f]{2}){5}$',
  description: 'MAC address, 02:00:00:aa:bb:cc or 02-00-00-AA-BB-CC',
});
const Port = Type.Integer({ minimum: 1, maximum: 65535 });

export const RoutingDomain = Type.Object(
  {
    name: Type.String({ minLength: 1, maxLength: 128 }),
    description: Type.Optional(Type.String({ maxLength: 1024 })),
    labels: Type.Optional(
      Type.Record(
        Type.String({ pattern: '^[A-Za-z0-9._/-]{1,63}$' }),
        Type.String({ maxLength: 256 }),
        closed,
      ),
    ),
  },
  closed,
);

export const VirtualSubnet = Type.Object(
  {
    addressPrefixes: Type.Array(IpPrefix, { minItems: 1, maxItems: 8 }),
    isGatewaySubnet: Type.Optional(Type.Boolean({ default: false })),
  },
  closed,
);

/** New-NetVirtualizationLookupRecord. */
export const LookupRecord = Type.Object(
  {
    customerAddress: IpAddress,
    virtualSubnetId: VirtualSubnetId,
    macAddress: MacAddress,
    providerAddress: IpAddress,
    type: Type.Union(
      [
        Type.Literal('static'),
        Type.Literal('dynamic'),
        Type.Literal('l2only'),
        Type.Literal('gatewayWildcard'),
      ],
      { default: 'static' },
    ),
    vmName: Type.Optional(Type.String({ maxLength: 256 })),
    context: Type.Optional(Type.String({ maxLength: 1024 })),
  },
  closed,
);

/** New-NetVirtualizationCustomerRoute. */
export const CustomerRoute = Type.Object(
  {
    virtualSubnetId: VirtualSubnetId,
    destinationPrefix: IpPrefix,
    nextHop: IpAddress,
    metric: Type.Integer({ minimum: 0, maximum: 65535, default: 0 }),
  },
  closed,
);

/** New-NetVirtualizationProviderAddress. The address itself is the resource's id. */
export const ProviderAddress = Type.Object(
  {
    interface: Type.String({
      pattern: '^[^/\\s]{1,15}$',
      description: 'name of the provider network interface',
    }),
    prefixLength: Type.Integer({ minimum: 1, maximum: 128 }),
  },
  closed,
);

export const Gateway = Type.Object(
  {
    virtualSubnetId: VirtualSubnetId,
    customerAddresses: Type.Array(IpAddress, { minItems: 1, maxItems: 2 }),
    macAddress: Type.Optional(MacAddress),
  },
  closed,
);

export const ExternalAddress = Type.Object(
  {
    ipAddress: IpAddress,
    portStart: Type.Optional(Port),
    portEnd: Type.Optional(Port),
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

export const Nat = Type.Object(
  {
    externalAddresses: Type.Array(ExternalAddress, { minItems: 1, maxItems: 64 }),
    staticMappings: Type.Array(StaticMapping, { maxItems: 4096, default: [] }),
  },
  closed,
);

export type RoutingDomain = Static<typeof RoutingDomain>;
export type VirtualSubnet = Static<typeof VirtualSubnet>;
export type LookupRecord = Static<typeof LookupRecord>;
export type CustomerRoute = Static<typeof CustomerRoute>;
export type ProviderAddress = Static<typeof ProviderAddress>;
export type Gateway = Static<typeof Gateway>;
export type ExternalAddress = Static<typeof ExternalAddress>;
export type StaticMapping = Static<typeof StaticMapping>;
export type Nat = Static<typeof Nat>;

/** Every resource kind with the type of its value. */
export interface ResourceTypes {
  routingDomain: RoutingDomain;
  virtualSubnet: VirtualSubnet;
  lookupRecord: LookupRecord;
  customerRoute: CustomerRoute;
  gateway: Gateway;
  nat: Nat;
  providerAddress: ProviderAddress;
}
export type ResourceKind = keyof ResourceTypes;

/** The schema of each kind, for validation and OpenAPI. */
export const resourceSchemas = {
  routingDomain: RoutingDomain,
  virtualSubnet: VirtualSubnet,
  lookupRecord: LookupRecord,
  customerRoute: CustomerRoute,
  gateway: Gateway,
  nat: Nat,
  providerAddress: ProviderAddress,
} as const;
