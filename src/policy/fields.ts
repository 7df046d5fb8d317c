/** What fields of several resources may look like, as TypeBox schemas. */
import { Type } from 'typebox';

/** Of objects: no property that the schema does not know. */
export const closed = { additionalProperties: false } as const;

export const Guid = Type.String({
  pattern: '^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$',
  description: 'GUID in lower case, 8-4-4-4-12 hexadecimal digits',
});

/** Of ResourceId. */
export const resourceIdPattern = '^[A-Za-z0-9][A-Za-z0-9._:-]{0,63}$';

export const ResourceId = Type.String({
  pattern: resourceIdPattern,
  description: '1 to 64 of A-Z a-z 0-9 . _ : -, beginning with a letter or digit',
});

/** RFC 7637 section 3.2 reserves 0 to 0xFFF and 0xFFFFFF. */
export const VirtualSubnetId = Type.Integer({
  minimum: 4096,
  maximum: 16777214,
  description: 'Virtual Subnet ID, 4096 to 16777214, unique in the datacenter',
});

export const IpAddress = Type.String({ minLength: 2, maxLength: 45, description: 'IPv4 or IPv6 address' });
export const IpPrefix = Type.String({
  minLength: 4,
  maxLength: 49,
  description: 'IPv4 or IPv6 prefix, address/length',
});
/** Of MacAddress. */
export const macPattern = '^[0-9A-Fa-f]{2}([:-][0-9A-Fa-f]{2}){5}$';
export const MacAddress = Type.String({
  pattern: macPattern,
  description: 'MAC address, 02:00:00:aa:bb:cc or 02-00-00-AA-BB-CC',
});
export const Port = Type.Integer({ minimum: 1, maximum: 65535 });

/** What Linux takes as the name of a network interface, of 15 bytes at most. */
export const InterfaceName = Type.String({
  pattern: '^(?!\\.{1,2}$)[!-.0-9;-~]{1,15}$',
  description: 'name of a network interface: 1 to 15 of printable ASCII without blank, slash and colon',
});
