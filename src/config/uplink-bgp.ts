/** The gateway's own BGP as its configuration has it: what the schema does not say of it is checked here. */
import { isIPv4 } from 'node:net';
import type { Static } from 'typebox';
import type { HnvError } from '../errors.ts';
import { canonicalAddress } from '../policy/address.ts';
import type { UplinkBgp } from './uplink-bgp-schema.ts';

/** With canonical addresses, each once. */
export type UplinkBgpConfig = Static<typeof UplinkBgp>;

/** The error that says what is wrong with the key at the pointer. */
export type Refuse = (pointer: string, rule: string, reason: string) => HnvError;

/** Nobody's: RFC 6793. */
const AS_TRANS = 23456;

/** Throws what `refuse` makes, HNV_CONFIG. */
export function readUplinkBgp(given: UplinkBgpConfig, refuse: Refuse): UplinkBgpConfig {
  const at = '/uplink/bgp';
  refuseReservedAsn(given.asn, `${at}/asn`, refuse);
  const { routerId } = given;
  if (!isIPv4(routerId) || routerId === '0.0.0.0')
    throw refuse(
      `${at}/routerId`,
      'router-id',
      `is "${routerId}", but must be an IPv4 address and not 0.0.0.0`,
    );
  const known = new Set<string>();
  const peers = given.peers.map((peer, index) => {
    const pointer = `${at}/peers/${index}`;
    const address = canonicalAddress(peer.address);
    if (address === undefined)
      throw refuse(`${pointer}/address`, 'ip-address', `is "${peer.address}", which is not an IP address`);
    if (known.has(address)) throw refuse(`${pointer}/address`, 'peer-once', `is "${peer.address}" once more`);
    known.add(address);
    refuseReservedAsn(peer.asn, `${pointer}/asn`, refuse);
    if (peer.multihop !== undefined && peer.asn === given.asn) {
      const reason = 'is for routers of another AS: one of the same AS may be any number of hops away';
      throw refuse(`${pointer}/multihop`, 'multihop-external', reason);
    }
    return { ...peer, address };
  });
  return { ...given, peers };
}

function refuseReservedAsn(asn: number, pointer: string, refuse: Refuse): void {
  if (asn === AS_TRANS)
    throw refuse(pointer, 'asn-reserved', `is ${asn}, which stands for numbers of 32 bits and is nobody's`);
}
