/**
 * The resources that make up the desired state, as TypeBox schemas: the one source of the TypeScript types, of the
 * validation of requests, and of the OpenAPI document. A schema says what one field may look like; rules between
 * fields and between resources are in `rules/`.
 */
import { type Static, type TSchema, Type } from 'typebox';
import { Bgp } from './bgp-resources.ts';
import { closed, IpAddress, IpPrefix, MacAddress, macPattern, VirtualSubnetId } from './fields.ts';
import { Forwarding } from './forwarding-resources.ts';
import { ExternalAddressPool, Nat } from './nat-resources.ts';
import { SiteConnection } from './site-connection-resources.ts';

export * from './bgp-resources.ts';
export { Guid, InterfaceName, ResourceId, VirtualSubnetId } from './fields.ts';
export * from './forwarding-resources.ts';
export * from './nat-resources.ts';
export * from './site-connection-resources.ts';

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

export type RoutingDomain = Static<typeof RoutingDomain>;
export type VirtualSubnet = Static<typeof VirtualSubnet>;
export type LookupRecord = Static<typeof LookupRecord>;
export type CustomerRoute = Static<typeof CustomerRoute>;
export type ProviderAddress = Static<typeof ProviderAddress>;
export type Gateway = Static<typeof Gateway>;
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
  forwarding: Forwarding;
  bgp: Bgp;
  siteConnection: SiteConnection;
  providerAddress: ProviderAddress;
  providerRoute: ProviderRoute;
  externalAddressPool: ExternalAddressPool;
  port: VmPort;
}
export type ResourceKind = keyof ResourceTypes;

/** Kinds that a routing domain has one of at most. */
export const singleKinds = ['gateway', 'nat', 'forwarding', 'bgp'] as const;
export type SingleKind = (typeof singleKinds)[number];

export function isSingleKind(kind: ResourceKind): kind is SingleKind {
  return singleKinds.some((each) => each === kind);
}

/** The schema of each kind, for validation and OpenAPI. */
export const resourceSchemas = {
  routingDomain: RoutingDomain,
  virtualSubnet: VirtualSubnet,
  lookupRecord: LookupRecord,
  customerRoute: CustomerRoute,
  gateway: Gateway,
  nat: Nat,
  forwarding: Forwarding,
  bgp: Bgp,
  siteConnection: SiteConnection,
  providerAddress: ProviderAddress,
  providerRoute: ProviderRoute,
  externalAddressPool: ExternalAddressPool,
  port: VmPort,
} as const;

/** The properties of a kind as they may come in: what has a default may be left out, inside of objects and of elements of lists too. */
export function inputProperties(kind: ResourceKind): Record<string, TSchema> {
  return optionalWhereDefault(resourceSchemas[kind].properties);
}

function optionalWhereDefault(properties: Record<string, TSchema>): Record<string, TSchema> {
  return Object.fromEntries(
    Object.entries(properties).map(([name, schema]) => {
      const input = withInput(schema);
      return [name, 'default' in schema || Type.IsOptional(schema) ? Type.Optional(input) : input];
    }),
  );
}

function withInput(schema: TSchema): TSchema {
  if (Type.IsArray(schema) && Type.IsObject(schema.items)) {
    const { items, type: _type, ...options } = schema;
    return Type.Array(withInput(items), options);
  }
  if (!Type.IsObject(schema)) return schema;
  const { properties, type: _type, required: _required, ...options } = schema;
  return Type.Object(optionalWhereDefault(properties), options);
}
