/**
 * Isolation against the provider network: somebody there forges NVGRE frames from each host's provider address, in every
 * VSID, to every MAC, from every customer address and MAC. Of three VM networks that have all of these in common, the
 * frames reach the VMs that policy allows them to reach, and no others.
 */
import t from 'tap';
import { familyOf } from '../lab/address.ts';
import { ROUTER_MAC } from '../lab/hnv-flows.ts';
import { Lab } from '../lab/lab.ts';
import { Listeners } from '../lab/listeners.ts';
import { PROVIDER_NIC } from '../lab/node-process.ts';
import { nvgreFrame } from '../lab/nvgre-frame.ts';
import { PacketSocket } from '../lab/packet-socket.ts';
import { ThreeHosts } from '../lab/three-hosts.ts';
import { BROADCAST_MAC, groupMac, udpPacket } from '../lab/vm-frame.ts';
import { equalNetworks, providerAddress } from '../lab/vm-network.ts';

const PORT = 6666;
const FAMILIES = [4, 6] as const;
const NETWORKS = equalNetworks();
const NOBODY = { mac: '02:00:00:99:99:99', 4: '10.1.1.99', 6: 'fd00:1:1::99' } as const;
const GROUPS = { 4: ['255.255.255.255', BROADCAST_MAC], 6: ['ff02::1', groupMac('ff02::1')] } as const;
const STRANGER = 88;
const UNKNOWN_VSIDS = [0, 4095, 7777, 0xffffff];

interface Forgery {
  /** Index of the host whose provider address is the outer source, or STRANGER. */
  from: number;
  vsid: number;
  destinationMac: string;
  sourceMac: string;
  source: string;
}

async function macOf(
  namespace: { ip: (...args: string[]) => Promise<string> },
  nic: string,
): Promise<string> {
  const [link] = JSON.parse(await namespace.ip('-json', 'link', 'show', 'dev', nic)) as { address: string }[];
  return link?.address ?? '';
}

for (const providerFamily of FAMILIES) {
  t.test(`forged frames over IPv${providerFamily} provider addresses`, { timeout: 120_000 }, async (t) => {
    const lab = await Lab.create(`w${providerFamily}s${process.pid}`);
    t.teardown(() => lab.close());
    const all = await ThreeHosts.build(lab, { providerFamily, networks: NETWORKS });
    await all.start();
    const evil = await lab.namespace('evil');
    await all.fabric.attach(evil, 'pa', { wireFrames: false });
    const attacker = new PacketSocket(evil, 'pa');
    const listeners = new Listeners(all.vms);
    const { machines } = all;
    const network = machines.filter((machine) => machine.network === NETWORKS[0]);
    const routers = [...new Set(network.flatMap(({ spec }) => [spec.gateway, spec.gateway6 ?? '']))];

    /** What policy says: the VMs of a host that get the frame. */
    const receivers = (
      host: number,
      { from, vsid, destinationMac, sourceMac, source }: Forgery,
    ): string[] => {
      const tenant = NETWORKS.find(({ subnets }) => subnets.some((subnet) => subnet.vsid === vsid));
      const isGroup = (Number.parseInt(destinationMac, 16) & 1) === 1;
      const sender = machines.find(
        (machine) => machine.network === tenant && [machine.spec.ip, machine.spec.ip6].includes(source),
      );
      // The other host's VMs, as they are or as its router passes them on; or that router itself.
      const isVm =
        sender?.host === from &&
        (isGroup
          ? sender.spec.mac === sourceMac && sender.spec.vsid === vsid
          : [sender.spec.mac, ROUTER_MAC].includes(sourceMac));
      const isRouter = from < 3 && routers.includes(source) && sourceMac === ROUTER_MAC && !isGroup;
      if (tenant === undefined || from === host || !(isVm || isRouter)) return [];
      return machines
        .filter((machine) => machine.network === tenant && machine.host === host)
        .filter(({ spec }) => (isGroup ? spec.vsid === vsid : spec.mac === destinationMac))
        .map(({ spec }) => spec.name);
    };

    for (const [host, node] of all.nodes.entries()) {
      await t.test(`host ${host + 1} takes those that policy allows`, async (t) => {
        const destinationMac = await macOf(node.namespace, PROVIDER_NIC);
        const sourceMac = await macOf(evil, 'pa');
        const expected: string[] = [];
        let sent = 0;
        const forge = (family: 4 | 6, forgery: Forgery) => {
          const target = network.find(({ spec }) => spec.mac === forgery.destinationMac)?.spec;
          const [group, groupMacAddress] = GROUPS[family];
          const unicast = (family === 4 ? target?.ip : target?.ip6) ?? NOBODY[family];
          const destination = forgery.destinationMac === groupMacAddress ? group : unicast;
          const data = `${sent++}`;
          const frame = nvgreFrame({
            ...{ destinationMac, sourceMac, vsid: forgery.vsid },
            from: providerAddress(providerFamily, forgery.from),
            to: node.providerAddress,
            innerDestinationMac: forgery.destinationMac,
            innerSourceMac: forgery.sourceMac,
            inner: udpPacket({ source: forgery.source, destination, port: PORT, data }),
          });
          attacker.send(frame);
          for (const name of receivers(host, forgery)) expected.push(`${data} ${text(forgery)} -> ${name}`);
          texts.push(text(forgery));
        };
        const texts: string[] = [];
        const text = ({ from, vsid, destinationMac, sourceMac, source }: Forgery) =>
          `host ${from + 1} VSID ${vsid} to ${destinationMac} from ${sourceMac} ${source}`;

        const vsids = [
          ...NETWORKS.flatMap(({ subnets }) => subnets.map(({ vsid }) => vsid)),
          ...UNKNOWN_VSIDS,
        ];
        for (const family of FAMILIES) {
          const identities = [
            ...network.map(({ spec }) => [spec.mac, family === 4 ? spec.ip : spec.ip6] as const),
            [NOBODY.mac, NOBODY[family]] as const,
          ];
          const routed = [
            ...identities.map(([, address]) => address),
            ...routers.filter((each) => familyOf(each) === family),
          ];
          const sources = [
            ...identities,
            // Somebody else's MAC, and a router's.
            ...identities.map(
              ([, address], index) =>
                [identities[(index + 1) % identities.length]?.[0] ?? '', address] as const,
            ),
            ...routed.map((address) => [ROUTER_MAC, address] as const),
          ];
          const macs = [...network.map(({ spec }) => spec.mac), ROUTER_MAC, NOBODY.mac, GROUPS[family][1]];
          for (const from of [0, 1, 2, STRANGER])
            for (const vsid of vsids)
              for (const mac of macs)
                for (const [innerMac, source] of sources)
                  forge(family, { from, vsid, destinationMac: mac, sourceMac: innerMac, source });
        }
        const arrived = (await listeners.datagrams(PORT)).map(
          ({ to, data }) => `${data} ${texts[Number(data)]} -> ${to.name}`,
        );
        t.ok(expected.length > 1_000, `${expected.length} of ${sent}`);
        t.same(arrived.sort(), expected.sort());
      });
    }
  });
}
