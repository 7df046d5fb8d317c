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
const macPattern = '^[0-9A-Fa-f]{2}([:-][0-9A-Fa-f]{2}){5}$';
const MacAddress = Type.String({
  pattern: macPattern,
  description: 'MAC address, 02:00:00:aa:bb:cc or 02-00-00-AA-BB-CC',
});
const Port = Type.Integer({ minimum: 1, maximum: 65535 });

/** What Linux takes as the name of a network interface, of 15 bytes at most. */
export const InterfaceName = Type.String({
  pattern: '^(?!\\.{1,2}$)[!-.0-9;-~]{1,15}$',
  description: 'name of a network interface: 1 to 15 of printable ASCII without blank, slash and colon',
});

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
    providerMulticastAddress: Type.Optional(
      Type.String({
        minLength: 2,
        maxLength: 45,
        description:
          'multicast group of the provider network that carries broadcasts and multicasts of the subnet; without it each ' +
          'provider address that has the VSID gets a copy',
      }),
    ),
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
    vlanId: Type.Optional(
      Type.Integer({
        minimum: 1,
        maximum: 4094,
        description: 'the node makes a link of its own over the interface, which has this VLAN tag',
      }),
    ),
    macAddress: Type.Optional(
      Type.String({
        pattern: macPattern,
        description: 'the node makes a link of its own over the interface, which has this MAC address',
      }),
    ),
  },
  closed,
);

/** New-NetVirtualizationProviderRoute. */
export const ProviderRoute = Type.Object(
  {
    interface: Type.String({ pattern: '^[^/\\s]{1,15}$', description: 'interface of a provider address' }),
    destinationPrefix: IpPrefix,
    nextHop: IpAddress,
    metric: Type.Integer({ minimum: 0, maximum: 65535, default: 0 }),
  },
  closed,
);

/** A VM's network interface on this node (host role). The interface's name is the resource's id. */
export const VmPort = Type.Object(
  {
    virtualSubnetId: Type.Optional(
      Type.Integer({
        minimum: 4096,
        maximum: 16777214,
        description:
          'Virtual Subnet ID of the VM; without it the interface is outside HNV and its packets pass unmodified',
      }),
    ),
    macAddress: Type.Optional(MacAddress),
    customerAddresses: Type.Array(IpAddress, {
      maxItems: 64,
      default: [],
      description: 'addresses that the VM may send from',
    }),
    learn: Type.Optional(
      Type.Boolean({
        default: false,
        description: 'MAC and customer addresses are learned from ARP, ND and DHCP instead of guarded',
      }),
    ),
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
export type ProviderRoute = Static<typeof ProviderRoute>;
export type VmPort = Static<typeof VmPort>;

/** Every resource kind with the type of its value. */
export interface ResourceTypes {
  routingDomain: RoutingDomain;
  virtualSubnet: VirtualSubnet;
  lookupRecord: LookupRecord;
  customerRoute: CustomerRoute;
  gateway: Gateway;
  nat: Nat;
  providerAddress: ProviderAddress;
  providerRoute: ProviderRoute;
  port: VmPort;
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
  providerRoute: ProviderRoute,
  port: VmPort,
} as const;
