/** What one family of resources is: its kind, its place in the URL space, and its words. */
import { HnvError } from '../errors.ts';
import { canonicalAddress } from '../policy/address.ts';
import type { ResourceKind } from '../policy/resources.ts';
import { sentenceName } from '../store/resource-name.ts';
import type { ResourceKey } from '../store/store.ts';
import type { PathParameter } from './parameters.ts';

export interface ResourceFamily<K extends ResourceKind = ResourceKind> {
  readonly kind: K;
  /** Name of the resource in the OpenAPI document, in Pascal case. */
  readonly name: string;
  /** For people, singular and plural. */
  readonly title: string;
  readonly titles: string;
  /** Path of the collection, or of the one resource. */
  readonly path: string;
  /** The path parameter that tells resources of the collection apart; absent when a domain has one of them. */
  readonly parameter?: PathParameter;
}

/** Path parameters after the check. */
export interface PathValues {
  rdid?: string;
  vsid?: number;
  id?: string;
  name?: string;
  address?: string;
  interface?: string;
}

export function isInDomain(family: ResourceFamily): boolean {
  return family.path.includes(':rdid');
}

/** The field that names a resource in its representation. */
export function namingField(family: ResourceFamily): PathParameter {
  return family.parameter ?? 'rdid';
}

/** The value of that field. */
export function nameOf(key: ResourceKey): string | number | undefined {
  return key.kind === 'virtualSubnet' ? Number(key.id) : (key.id ?? key.rdid);
}

/** The resource that a path names. Throws HNV_INVALID_FIELD for an address that is none. */
export function keyOf<K extends ResourceKind>(family: ResourceFamily<K>, values: PathValues): ResourceKey<K> {
  const { kind, parameter } = family;
  const domain = values.rdid === undefined ? {} : { rdid: values.rdid };
  if (parameter === undefined || parameter === 'rdid') return { kind, ...domain };
  const text = String(values[parameter]);
  if (parameter !== 'address') return { kind, ...domain, id: text };
  const address = canonicalAddress(text);
  if (address !== undefined) return { kind, id: address };
  throw new HnvError('HNV_INVALID_FIELD', `The parameter address is "${text}", which is not an IP address.`, {
    rule: 'ip-address',
  });
}

/** The refusal of whatever needs the resource, which is not there, or is not for who asks. */
export function noSuchResource(key: ResourceKey): HnvError {
  return new HnvError('HNV_NOT_FOUND', `${sentenceName(key)} does not exist.`);
}
