/**
 * The data plane's map entries for one routing domain. Pure: plan and places in, bytes out.
 */
import { addressBytes, macBytes, prefixBytes } from '../policy/address.ts';
import type { ContextPlan, DomainPlan } from '../policy/plan.ts';
import {
  encodeExternal,
  encodeExternalKey,
  encodeExternalPort,
  encodeInterfaceKey,
  encodePort,
  encodePortKey,
  encodeRecord,
  encodeRecordKey,
  encodeRoute,
  encodeRouteKey,
  encodeSource,
  encodeSourceKey,
  encodeSubnet,
  encodeSubnetKey,
  encodeWildcard,
  encodeWildcardKey,
} from './layout.generated.ts';

/**
 * The maps with a domain's entries, in the order in which they are filled: what a packet meets first comes last, so that
 * a domain opens only when all is there. They are emptied in reverse.
 */
export const domainMaps = [
  'records',
  'wildcards',
  'routes',
  'sources',
  'external_ports',
  'ports_by_link',
  'ports_by_mac',
  'externals',
  'subnets',
] as const;
export type DomainMap = (typeof domainMaps)[number];

/** Entries of each map, key to value, both as latin1 strings: small, and comparable by ===. */
export type DomainEntries = Record<DomainMap, Map<string, string>>;

/** Where a domain's context is joined to this node. */
export interface Attachment {
  /** Root side of the context's `hnv` and `ext` links. */
  tenantIfindex: number;
  externalIfindex: number;
  /** MAC of the context's own side of `ext`. */
  externalMac: string;
  /** The interface of the provider address that the context uses. */
  providerIfindex: number;
  uplinkIfindex: number;
  /** Of the inner packet, bytes. */
  mtu: number;
}

const PADDING = new Uint8Array(2);
const UNSPECIFIED = new Uint8Array(16);
const DOMAIN_BITS = 32;

export function emptyEntries(): DomainEntries {
  return Object.fromEntries(domainMaps.map((map) => [map, new Map()])) as unknown as DomainEntries;
}

const text = (bytes: Uint8Array): string =>
  Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1');

/** The bytes of a key or value of DomainEntries. */
export function bytesOf(latin1: string): Uint8Array {
  return Buffer.from(latin1, 'latin1');
}

function addPolicy(entries: DomainEntries, plan: DomainPlan): void {
  const domain = plan.handle;
  const add = (map: DomainMap, key: Uint8Array, value: Uint8Array): void => {
    entries[map].set(text(key), text(value));
  };
  for (const vsid of plan.vsids) add('subnets', encodeSubnetKey({ vsid }), encodeSubnet({ domain }));
  for (const source of plan.sources)
    add('sources', encodeSourceKey({ domain, address: addressBytes(source) }), encodeSource({ allowed: 1 }));
  for (const { address, vsid, mac, providerAddress } of plan.records)
    add(
      'records',
      encodeRecordKey({ domain, address: addressBytes(address) }),
      encodeRecord({
        vsid,
        providerAddress: addressBytes(providerAddress),
        mac: macBytes(mac),
        pad: PADDING,
      }),
    );
  for (const { mac, providerAddress } of plan.wildcards)
    add(
      'wildcards',
      encodeWildcardKey({
        domain,
        providerAddress: addressBytes(providerAddress),
        mac: macBytes(mac),
        pad: PADDING,
      }),
      encodeWildcard({ allowed: 1 }),
    );
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

function addContext(entries: DomainEntries, plan: DomainPlan, context: ContextPlan, at: Attachment): void {
  const domain = plan.handle;
  const port = encodePort({
    domain,
    vsid: context.vsid,
    ifindex: at.tenantIfindex,
    mtu: at.mtu,
    providerIfindex: at.providerIfindex,
    providerAddress: addressBytes(context.providerAddress),
  });
  const mac = macBytes(context.mac);
  entries.ports_by_mac.set(text(encodePortKey({ domain, mac, pad: PADDING })), text(port));
  entries.ports_by_link.set(text(encodeInterfaceKey({ ifindex: at.tenantIfindex })), text(port));
  entries.external_ports.set(
    text(encodeInterfaceKey({ ifindex: at.externalIfindex })),
    text(encodeExternalPort({ domain, uplinkIfindex: at.uplinkIfindex })),
  );
  const external = encodeExternal({
    domain,
    ifindex: at.externalIfindex,
    mac: macBytes(at.externalMac),
    pad: PADDING,
  });
  for (const { address } of plan.nat?.externalAddresses ?? [])
    entries.externals.set(text(encodeExternalKey({ address: addressBytes(address) })), text(external));
}

/** All entries of a domain; those of its context only when it has one and it is attached. */
export function domainEntries(plan: DomainPlan, at: Attachment | undefined): DomainEntries {
  const entries = emptyEntries();
  addPolicy(entries, plan);
  if (plan.context !== undefined && at !== undefined) addContext(entries, plan, plan.context, at);
  return entries;
}
