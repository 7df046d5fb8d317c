/** The two cables of a packet-rate path: from its node to the tenant's side and to the internet's, with a traffic end on each. */
import type { Namespace } from '../test/lab/namespace.ts';
import {
  FAR_ADDRESS,
  GATEWAY_PROVIDER_ADDRESS,
  HOST_PROVIDER_ADDRESS,
  INTERNET_ADDRESS,
  VM,
} from './bench-tenant.ts';
import type { Form } from './frames.ts';
import type { RatePath } from './rate-path.ts';
import { TrafficEnd } from './traffic-end.ts';

/** A cable's ends: a traffic end, and a NIC of the node. */
export interface Cable {
  end: TrafficEnd;
  farMac: string;
  nodeMac: string;
}

export interface Cables {
  provider: Cable;
  uplink: Cable;
}

/** Makes both cables, with the addresses of the tenant's host and of the internet's router at their far ends. */
export async function layCables(
  node: Namespace,
  short: string,
  nics: { provider: string; uplink: string },
): Promise<Cables> {
  const lay = async (side: string, nic: string, address: string): Promise<Cable> => {
    const far = await node.lab.namespace(`${short}${side}`);
    await node.lab.veth(far, 'far0', node, nic);
    await far.ip('addr', 'add', `${address}/24`, 'dev', 'far0');
    return endOf(far, 'far0', node, nic);
  };
  return {
    provider: await lay('p', nics.provider, HOST_PROVIDER_ADDRESS),
    uplink: await lay('i', nics.uplink, INTERNET_ADDRESS),
  };
}

/**
 * Puts a traffic end on the far side of a cable that is there. The node's NIC gets GRO, as NICs have it: with it a veth has NAPI,
 * and takes frames in the same way whether there is an XDP program or not.
 */
export async function endOf(
  far: Namespace,
  farNic: string,
  node: Namespace,
  nic: string,
  where?: 'driver' | 'stack',
): Promise<Cable> {
  await node.runChecked(['ethtool', '-K', nic, 'gro', 'on']);
  return {
    end: TrafficEnd.attach(far, farNic, where),
    farMac: await macOf(far, farNic),
    nodeMac: await macOf(node, nic),
  };
}

/** MAC of an interface of a namespace. */
export async function macOf(namespace: Namespace, nic: string): Promise<string> {
  const [link] = JSON.parse(await namespace.ip('-json', 'link', 'show', nic)) as { address: string }[];
  if (link === undefined) throw new Error(`${namespace.name} has no interface ${nic}`);
  return link.address;
}

/** What a node does with the tenant's packets. */
export interface Treatment {
  /** VSID or VNI of what comes up and of what goes down, and the inner MAC that is the node's; undefined: no overlay. */
  tunnel: { form: Exclude<Form, 'plain'>; upId: number; downId: number; mac: string } | undefined;
  /** The tenant's address outside. */
  external: string;
  /** How often the TTL goes down in each direction. */
  hops: { up: number; down: number };
  /** Whether frames stay frames all the way, from one XDP program to the next. */
  isXdp?: boolean;
}

/** More than any tunnel's headers. */
export const SPARE_HEADROOM = 64;

/** What is sent over the cables and must arrive: the VM's datagrams, and the answers. */
export function waysOf(
  { provider, uplink }: Cables,
  { tunnel, external, hops, isXdp = false }: Treatment,
): Pick<RatePath, 'up' | 'down'> {
  const spareHeadroom = isXdp ? 0 : SPARE_HEADROOM;
  const host = { mac: provider.farMac, address: HOST_PROVIDER_ADDRESS };
  const node = { mac: provider.nodeMac, address: GATEWAY_PROVIDER_ADDRESS };
  return {
    up: {
      from: provider.end,
      to: uplink.end,
      traffic: {
        inner: {
          source: tunnel === undefined ? { ...VM, mac: host.mac } : VM,
          destination: { mac: tunnel?.mac ?? node.mac, address: FAR_ADDRESS },
        },
        tunnel: tunnel && {
          form: tunnel.form,
          outer: { source: host, destination: node },
          id: tunnel.upId,
        },
        fromOutside: false,
        spareHeadroom,
      },
      arriving: {
        tunnel: undefined,
        destinationMac: uplink.farMac,
        source: external,
        destination: FAR_ADDRESS,
        fromOutside: false,
        hops: hops.up,
      },
    },
    down: {
      from: uplink.end,
      to: provider.end,
      traffic: {
        inner: {
          source: { mac: uplink.farMac, address: FAR_ADDRESS },
          destination: { mac: uplink.nodeMac, address: external },
        },
        tunnel: undefined,
        fromOutside: true,
        spareHeadroom,
      },
      arriving: {
        tunnel: tunnel && {
          form: tunnel.form,
          source: node.address,
          destination: host.address,
          id: tunnel.downId,
        },
        destinationMac: tunnel === undefined ? host.mac : VM.mac,
        source: FAR_ADDRESS,
        destination: VM.address,
        fromOutside: true,
        hops: hops.down,
      },
    },
  };
}
