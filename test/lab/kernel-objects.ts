/** The identity of everything that a node has made in the kernel: equal before and after means nothing was remade. */
import { readdirSync } from 'node:fs';
import { OWNER } from '../../src/encap/core.ts';
import { BpfMap } from '../../src/linux/bpf-map.ts';
import { BpfProgram } from '../../src/linux/bpf-program.ts';
import { attachedClsact } from '../../src/linux/clsact.ts';
import { inNetns, netnsInode } from '../../src/linux/netns.ts';
import { nftList } from '../../src/linux/nftables.ts';
import { attachedTc } from '../../src/linux/tc.ts';
import { natTable } from '../../src/nat/ruleset.ts';
import { ROUTE_PROTOCOL } from '../../src/node/provider-routes.ts';
import { contextNamespaces, pinDirectory } from './gateway-remains.ts';
import type { NodeProcess } from './node-process.ts';

interface Link {
  ifindex: number;
  ifname: string;
  address: string;
}

/** Packet counts aside, for they go on counting. */
const withoutCounters = (json: unknown): string =>
  JSON.stringify(json, (key, value) => (key === 'packets' || key === 'bytes' ? 0 : value));

function pins(instance: string): Record<string, number> {
  const ids: Record<string, number> = {};
  for (const generation of readdirSync(pinDirectory(instance))) {
    const directory = `${pinDirectory(instance)}/${generation}`;
    for (const name of readdirSync(`${directory}/maps`)) {
      const map = BpfMap.openPinned(`${directory}/maps/${name}`);
      ids[`${generation}/maps/${name}`] = map?.id ?? 0;
      map?.close();
    }
    for (const name of readdirSync(`${directory}/programs`)) {
      const program = BpfProgram.openPinned(`${directory}/programs/${name}`);
      ids[`${generation}/programs/${name}`] = program?.id ?? 0;
      program?.close();
    }
  }
  return ids;
}

/** Index, name and MAC of links, and the program on each: inodes of namespaces, handles of rules, ids of maps. */
export async function kernelObjects(node: NodeProcess): Promise<Record<string, unknown>> {
  const links = JSON.parse(await node.namespace.ip('-json', 'link', 'show')) as Link[];
  const programs = inNetns(node.namespace.name, () =>
    links.map(({ ifindex }) => attachedTc(ifindex, 'ingress', OWNER) ?? attachedClsact(ifindex, 'ingress')),
  );
  const routes = async (family: string): Promise<object[]> =>
    JSON.parse(
      await node.namespace.ip('-json', family, 'route', 'show', 'table', 'main', 'proto', ROUTE_PROTOCOL),
    ) as object[];
  const objects: Record<string, unknown> = {
    pins: pins(node.instance),
    links: links.map(({ ifindex, ifname, address }, i) => ({
      ifindex,
      ifname,
      address,
      program: programs[i],
    })),
    // What makes the uplink hear of IPv6 addresses that are on no interface of the node's.
    proxies: JSON.parse(await node.namespace.ip('-json', '-6', 'neigh', 'show', 'proxy')) as object[],
    providerRoutes: [...(await routes('-4')), ...(await routes('-6'))],
  };
  for (const netns of (await contextNamespaces(node.instance)).sort()) {
    const show = (...what: string[]): Promise<string> => node.namespace.ip('-n', netns, '-json', ...what);
    objects[netns] = {
      inode: String(netnsInode(netns)),
      ruleset: withoutCounters(inNetns(netns, () => nftList(natTable))),
      // Without a family, each of these shows both; routes of one table would be IPv4's alone.
      addresses: (JSON.parse(await show('addr', 'show')) as object[]).map((link) => withoutCounters(link)),
      routes: await show('route', 'show', 'table', 'all'),
      neighbours: await show('neigh', 'show', 'nud', 'permanent'),
    };
  }
  return objects;
}
