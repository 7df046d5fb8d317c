/** The path of a resource in the API: by it events, changes and problems say what they are about. */
import { folderOfKind, isNodeKind } from './keys.ts';
import type { ResourceKey } from './store.ts';

export function domainPath(rdid: string): string {
  return `/v1/routing-domains/${rdid}`;
}

export function resourcePath({ kind, rdid = '', id }: ResourceKey): string {
  if (kind === 'routingDomain') return domainPath(rdid);
  const folder = isNodeKind(kind) ? `/v1/${folderOfKind[kind]}` : `${domainPath(rdid)}/${folderOfKind[kind]}`;
  return id === undefined ? folder : `${folder}/${segment(id)}`;
}

/** Names of interfaces may have any sign; the colons of addresses need no escape in a path (RFC 3986, section 3.3). */
function segment(id: string): string {
  return encodeURIComponent(id).replaceAll('%3A', ':');
}
