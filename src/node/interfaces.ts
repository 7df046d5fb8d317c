/** The interfaces of this machine with their addresses, as iproute2 shows them. */
import { ipJson } from '../linux/iproute2.ts';
import { canonicalAddress } from '../policy/address.ts';

export interface InterfaceAddress {
  address: string;
  prefixLength: number;
  scope: string;
  /** IPv6 duplicate address detection: under way, or it found another owner. */
  detection: 'passed' | 'running' | 'failed';
  /** A multicast group that the kernel has joined for as long as it is an address here. */
  isGroup: boolean;
}

export interface Interface {
  name: string;
  ifindex: number;
  /** Bytes. */
  mtu: number;
  mac: string;
  isUp: boolean;
  /** `veth`, `macvlan` and so on; undefined for hardware. */
  kind?: string;
  /** Name of the interface below, for kinds that stand on one. */
  parent?: string;
  addresses: InterfaceAddress[];
}

interface IpAddr {
  ifindex: number;
  ifname: string;
  link?: string;
  mtu: number;
  address: string;
  flags: string[];
  linkinfo?: { info_kind?: string };
  addr_info: {
    local?: string;
    prefixlen: number;
    scope: string;
    tentative?: boolean;
    dadfailed?: boolean;
    autojoin?: boolean;
  }[];
}

/** All interfaces of the process's namespace by name. Throws HNV_IPROUTE2. */
export async function readInterfaces(): Promise<Map<string, Interface>> {
  const shown = await ipJson<IpAddr>(['-details', 'addr', 'show']);
  return new Map(
    shown.map((one) => [
      one.ifname,
      {
        name: one.ifname,
        ifindex: one.ifindex,
        mtu: one.mtu,
        mac: one.address,
        isUp: one.flags.includes('UP'),
        ...(one.linkinfo?.info_kind === undefined ? {} : { kind: one.linkinfo.info_kind }),
        ...(one.link === undefined ? {} : { parent: one.link }),
        addresses: one.addr_info.flatMap(({ local, prefixlen, scope, tentative, dadfailed, autojoin }) =>
          local === undefined
            ? []
            : {
                address: canonicalAddress(local) ?? local,
                prefixLength: prefixlen,
                scope,
                detection: dadfailed ? 'failed' : tentative ? 'running' : 'passed',
                isGroup: autojoin === true,
              },
        ),
      },
    ]),
  );
}
