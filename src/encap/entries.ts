/**
 * The data plane's map entries for one routing domain. Pure: plan and places in, bytes out.
 */
import { addressBytes, addressFamily, macBytes, prefixBytes } from '../policy/address.ts';
import type { ContextPlan, DomainPlan, NatPlan, PortPlan, SubnetPlan } from '../policy/plan.ts';
import {
  type External,
  ExternalPortFlags,
  encodeExternal,
  encodeExternalKey,
  encodeExternalPort,
  encodeInterfaceKey,
  encodeMembers,
  encodeMembersKey,
  encodePeerKey,
  encodePort,
  encodePortAddress,
  encodePortAddressKey,
  encodePortKey,
  encodeRange,
  encodeRangeKey,
  encodeRecord,
  encodeRecordKey,
  encodeRoute,
  encodeRouteKey,
  encodeRouter,
  encodeRouterKey,
  encodeSource,
  encodeSourceKey,
  encodeSubnet,
  encodeSubnetKey,
  encodeTranslation,
  encodeWildcard,
  encodeWildcardKey,
  PortFlags,
  RecordFlags,
  WildcardScope,
} from './layout.generated.ts';
import { translation, untranslated } from './nptv6.ts';
import { alignedBlocks } from './port-ranges.ts';
import { addForwarding } from './segment-entries.ts';

/**
 * The maps with a domain's entries, in the order in which they are filled: what a packet meets first comes last, so that
 * a domain opens only when all is there. They are emptied in reverse.
 */
export const domainMaps = [
  'records',
  'stations',
  'wildcards',
  'routes',
  'routers',
  'sources',
  'port_addresses',
  'translations',
  'forwarded',
  'external_ports',
  'ports_by_link',
  'ports_by_mac',
  'externals',
  'peers',
  'external_ranges',
  'segment_addresses',
  'segment_ports',
  'segments',
  'members',
  'subnets',
] as const;
export type DomainMap = (typeof domainMaps)[number];

/** Entries of each map, key to value, both as latin1 strings: small, and comparable by ===. */
export type DomainEntries = Record<DomainMap, Map<string, string>>;

/** The interface of the provider address that tunnels begin and end at. */
export interface Tunnel {
  ifindex: number;
  /** Of the interface: what an outer packet may have, from its IP header on, bytes. */
  mtu: number;
  mac: string;
}

/** Where a context's network without NAT is joined to this node. The context's side has the link-local address of its MAC. */
export interface SegmentAttachment {
  /** Root side of the context's `fwd`. */
  ifindex: number;
  /** Of the NIC that the network is on. */
  uplinkIfindex: number;
}

/** Where a domain's context is joined to this node. */
export interface ContextAttachment {
  /** Root side of the context's `hnv` and `ext` links. */
  tenantIfindex: number;
  externalIfindex: number;
  /** MAC of the context's own side of `ext`. */
  externalMac: string;
  tunnel: Tunnel;
  uplinkIfindex: number;
  /** Of the inner packet, bytes. */
  mtu: number;
  /** With forwarding. */
  segment?: SegmentAttachment;
}

/** Where a VM's port is on this node. */
export interface PortAttachment {
  ifindex: number;
  /** A veth whose other side is in another namespace. */
  isPeer: boolean;
  tunnel: Tunnel;
  /** Of the interface: the largest packet that the VM takes, bytes. */
  mtu: number;
}

/** Where a domain is joined to this node. */
export interface DomainAttachments {
  context?: ContextAttachment;
  /** By the name of the port's interface; ports of the plan that have no interface yet are absent. */
  ports: ReadonlyMap<string, PortAttachment>;
}

const PADDING = new Uint8Array(2);
const UNSPECIFIED = new Uint8Array(16);
const ADDRESS_BYTES = 16;
const DOMAIN_BITS = 32;
const ADDRESS_BITS = 128;
/** HNV_MEMBERS of kernel/layout.h: most ports here, and most provider addresses, that share a virtual subnet. */
const MEMBERS = 256;
/** VSID of a port's key that any VSID of its domain finds. */
const ANY_VSID = 0;

export function emptyEntries(): DomainEntries {
  return Object.fromEntries(domainMaps.map((map) => [map, new Map()])) as unknown as DomainEntries;
}

const text = (bytes: Uint8Array): string =>
  Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1');

/** The bytes of a key or value of DomainEntries. */
export function bytesOf(latin1: string): Uint8Array {
  return Buffer.from(latin1, 'latin1');
}

/** Puts an entry into a map. */
export type Add = (map: DomainMap, key: Uint8Array, value: Uint8Array) => void;

const portKey = (domain: number, vsid: number, mac: string): Uint8Array =>
  encodePortKey({ domain, vsid, mac: macBytes(mac), pad: PADDING });

function record(to: { vsid: number; mac: string; providerAddress: string }, flags: number): Uint8Array {
  return encodeRecord({
    vsid: to.vsid,
    flags,
    providerAddress: addressBytes(to.providerAddress),
    mac: macBytes(to.mac),
    pad: PADDING,
  });
}

function routerOf({ routerAddresses }: SubnetPlan, family: 4 | 6): Uint8Array {
  const address = routerAddresses.find((candidate) => addressFamily(candidate) === family);
  return address === undefined ? UNSPECIFIED : addressBytes(address);
}

function addPolicy(add: Add, plan: DomainPlan): void {
  const domain = plan.handle;
  for (const subnet of plan.subnets) {
    add(
      'subnets',
      encodeSubnetKey({ vsid: subnet.vsid }),
      encodeSubnet({ domain, router: routerOf(subnet, 4), router6: routerOf(subnet, 6) }),
    );
    for (const router of subnet.routerAddresses)
      add(
        'routers',
        encodeRouterKey({ domain, address: addressBytes(router) }),
        encodeRouter({ vsid: subnet.vsid }),
      );
  }
  for (const source of plan.sources)
    add('sources', encodeSourceKey({ domain, address: addressBytes(source) }), encodeSource({ allowed: 1 }));
  for (const place of plan.records)
    add(
      'records',
      encodeRecordKey({ domain, address: addressBytes(place.address) }),
      record(
        place,
        (place.isLocal ? RecordFlags.HNV_RECORD_LOCAL : 0) |
          (place.isDynamic ? RecordFlags.HNV_RECORD_DYNAMIC : 0),
      ),
    );
  for (const wildcard of plan.wildcards) {
    const { mac, providerAddress, vsid, scope } = wildcard;
    const key = { domain, providerAddress: addressBytes(providerAddress), mac: macBytes(mac), pad: PADDING };
    const scopes = {
      outside: WildcardScope.HNV_WILDCARD_OUTSIDE,
      subnet: WildcardScope.HNV_WILDCARD_SUBNET,
    };
    add('wildcards', encodeWildcardKey(key), encodeWildcard({ scope: scopes[scope], vsid }));
    if (scope === 'subnet') add('stations', portKey(domain, vsid, mac), record(wildcard, 0));
  }
  for (const { prefix, vsid, nextHop } of plan.routes) {
    const { bytes, length } = prefixBytes(prefix);
    add(
      'routes',
      encodeRouteKey({ prefixLength: DOMAIN_BITS + length, domain, address: bytes }),
      encodeRoute({
        vsid,
        onLink: nextHop === undefined ? 1 : 0,
        nextHop: nextHop === undefined ? UNSPECIFIED : addressBytes(nextHop),
      }),
    );
  }
}

function addContext(add: Add, plan: DomainPlan, context: ContextPlan, at: ContextAttachment): void {
  const domain = plan.handle;
  const port = encodePort({
    domain,
    vsid: context.vsid,
    ifindex: at.tenantIfindex,
    flags: PortFlags.HNV_PORT_CONTEXT | PortFlags.HNV_PORT_PEER,
    mtu: at.mtu,
    providerIfindex: at.tunnel.ifindex,
    providerMtu: at.tunnel.mtu,
    providerAddress: addressBytes(context.providerAddress),
    mac: macBytes(context.mac),
    providerMac: macBytes(at.tunnel.mac),
  });
  for (const vsid of [context.vsid, ANY_VSID]) add('ports_by_mac', portKey(domain, vsid, context.mac), port);
  add('ports_by_link', encodeInterfaceKey({ ifindex: at.tenantIfindex }), port);
  add(
    'external_ports',
    encodeInterfaceKey({ ifindex: at.externalIfindex }),
    encodeExternalPort({
      domain,
      uplinkIfindex: at.uplinkIfindex,
      flags: plan.nat?.hairpinning === 'external' ? ExternalPortFlags.HNV_EXTERNAL_PORT_HAIRPIN_OUTSIDE : 0,
    }),
  );
  if (plan.nat !== undefined) addNat(add, domain, plan.nat, at);
  if (plan.forwarding !== undefined && at.segment !== undefined)
    addForwarding(add, domain, plan.forwarding, at.segment);
}

/** What of public addresses is the domain's, and leads to its context. */
function addNat(add: Add, domain: number, nat: NatPlan, at: ContextAttachment): void {
  const { externalIfindex: ifindex, externalMac } = at;
  const owner: External = { domain, ifindex, mac: macBytes(externalMac), pad: PADDING };
  const addWhole = (address: Uint8Array): void =>
    add('externals', encodeExternalKey({ address }), encodeExternal(owner));
  for (const { address: text, portStart, portEnd } of nat.externalAddresses) {
    const address = addressBytes(text);
    if (portStart === undefined || portEnd === undefined) {
      addWhole(address);
      continue;
    }
    // Later fragments have no port: the context may send those of an address that it has a block of.
    add('port_addresses', encodePortAddressKey({ ifindex, address }), encodePortAddress({ domain }));
    for (const { port, bits } of alignedBlocks(portStart, portEnd))
      add(
        'external_ranges',
        encodeRangeKey({ prefixLength: ADDRESS_BITS + bits, address, port, pad: PADDING }),
        encodeRange({ owner, isBlock: 1, inward: untranslated }),
      );
  }
  // Under an address that is the domain's whole, everybody's IKE is.
  const shared = new Set(
    nat.externalAddresses.flatMap((one) => (one.portStart === undefined ? [] : one.address)),
  );
  for (const { localAddress, remoteAddress } of nat.peers)
    if (remoteAddress !== undefined && shared.has(localAddress))
      add(
        'peers',
        encodePeerKey({ local: addressBytes(localAddress), remote: addressBytes(remoteAddress) }),
        encodeExternal(owner),
      );
  for (const { external, internal } of nat.prefixes) {
    const { bytes: address, length } = prefixBytes(external);
    if (length === ADDRESS_BITS) {
      addWhole(address);
      continue;
    }
    const isTranslated = external !== internal;
    if (isTranslated) {
      const inside = prefixBytes(internal);
      add(
        'translations',
        encodeRouteKey({ prefixLength: DOMAIN_BITS + inside.length, domain, address: inside.bytes }),
        encodeTranslation(translation(internal, external)),
      );
    }
    const inward = isTranslated ? translation(external, internal) : untranslated;
    add(
      'external_ranges',
      encodeRangeKey({ prefixLength: length, address, port: 0, pad: PADDING }),
      encodeRange({ owner, isBlock: 0, inward }),
    );
  }
}

function addPort(add: Add, domain: number, plan: PortPlan, at: PortAttachment, anyVsid: boolean): void {
  const flags =
    (plan.learns ? PortFlags.HNV_PORT_LEARN : 0) |
    (plan.isGateway ? PortFlags.HNV_PORT_GATEWAY : 0) |
    (at.isPeer ? PortFlags.HNV_PORT_PEER : 0);
  const port = encodePort({
    domain,
    vsid: plan.vsid,
    ifindex: at.ifindex,
    flags,
    mtu: at.mtu,
    providerIfindex: at.tunnel.ifindex,
    providerMtu: at.tunnel.mtu,
    providerAddress: addressBytes(plan.providerAddress),
    mac: macBytes(plan.mac),
    providerMac: macBytes(at.tunnel.mac),
  });
  for (const mac of [plan.mac, ...plan.learnedMacs])
    add('ports_by_mac', portKey(domain, plan.vsid, mac), port);
  if (anyVsid) add('ports_by_mac', portKey(domain, ANY_VSID, plan.mac), port);
  add('ports_by_link', encodeInterfaceKey({ ifindex: at.ifindex }), port);
  for (const address of plan.addresses)
    add(
      'port_addresses',
      encodePortAddressKey({ ifindex: at.ifindex, address: addressBytes(address) }),
      encodePortAddress({ domain }),
    );
  if (plan.learns)
    add('stations', portKey(domain, plan.vsid, plan.mac), record(plan, RecordFlags.HNV_RECORD_LOCAL));
}

/** Who shares the broadcasts of a virtual subnet that has ports here. */
function addMembers(
  add: Add,
  domain: number,
  subnet: SubnetPlan,
  ports: readonly [PortPlan, PortAttachment][],
): void {
  const locals = ports.filter(([port]) => port.vsid === subnet.vsid).slice(0, MEMBERS);
  if (locals.length === 0) return;
  const remotes = subnet.remotes.slice(0, MEMBERS);
  const list = (addresses: readonly string[]): Uint8Array => {
    const bytes = new Uint8Array(MEMBERS * ADDRESS_BYTES);
    addresses.forEach((address, index) => {
      bytes.set(addressBytes(address), index * ADDRESS_BYTES);
    });
    return bytes;
  };
  const group = subnet.providerMulticastAddress;
  add(
    'members',
    encodeMembersKey({ vsid: subnet.vsid }),
    encodeMembers({
      domain,
      locals: locals.length,
      remotes: remotes.length,
      pad: 0,
      group: group === undefined ? UNSPECIFIED : addressBytes(group),
      local: Uint32Array.from({ length: MEMBERS }, (_, index) => locals[index]?.[1].ifindex ?? 0),
      localAddress: list(locals.map(([port]) => port.providerAddress)),
      remote: list(remotes),
    }),
  );
}

/** All entries of a domain; those of its context and ports only where they are attached. */
export function domainEntries(plan: DomainPlan, attachments: DomainAttachments): DomainEntries {
  const entries = emptyEntries();
  const add: Add = (map, key, value) => {
    entries[map].set(text(key), text(value));
  };
  addPolicy(add, plan);
  if (plan.context !== undefined && attachments.context !== undefined)
    addContext(add, plan, plan.context, attachments.context);
  const ports = plan.ports.flatMap((port): [PortPlan, PortAttachment][] => {
    const at = attachments.ports.get(port.interface);
    return at === undefined ? [] : [[port, at]];
  });
  const macs = ports.map(([port]) => port.mac);
  for (const [port, at] of ports) {
    // Two ports with one MAC, in different subnets: only the VSID tells them apart.
    const isOnly = macs.indexOf(port.mac) === macs.lastIndexOf(port.mac);
    addPort(add, plan.handle, port, at, isOnly);
  }
  for (const subnet of plan.subnets) addMembers(add, plan.handle, subnet, ports);
  return entries;
}
