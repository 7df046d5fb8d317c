/**
 * A routing context as the gateway makes it, between two real stacks: a tenant's and one outside. What the eBPF programs do on
 * the root sides of its links, plain links do here. The test's process must be in a namespace of its own (own-namespace.ts).
 */

import { contextCommands, ruleCommands } from '../../src/gateway/context-commands.ts';
import { mendSettings, settingsOf } from '../../src/gateway/context-settings.ts';
import { desiredContext, readInside, readLinks } from '../../src/gateway/context-state.ts';
import { Contexts } from '../../src/gateway/contexts.ts';
import { ipBatch } from '../../src/linux/iproute2.ts';
import { inNetns } from '../../src/linux/netns.ts';
import { nftList } from '../../src/linux/nftables.ts';
import { RouteNetlink } from '../../src/linux/rtnetlink.ts';
import { endUncoveredSessions } from '../../src/nat/ending.ts';
import { applyNat, natRules } from '../../src/nat/nat.ts';
import { type ContextMtu, natTable, type RulesetPlan } from '../../src/nat/ruleset.ts';
import type { ContextPlan, NatPlan } from '../../src/policy/plan.ts';
import { routerMac } from '../../src/policy/router.ts';
import { type AskOptions, ask, type EchoAnswer, startEcho } from './echo.ts';
import { Lab } from './lab.ts';
import type { Namespace } from './namespace.ts';

const RDID = '11111111-1111-1111-1111-111111111111';
const plan: ContextPlan = {
  ...{ vsid: 5002, mac: '02:00:00:50:02:02', providerAddress: '192.168.1.20' },
  addresses: ['10.254.254.2', 'fd00:fe::2'],
  routerAddresses: ['10.254.254.1', 'fd00:fe::1'],
  tenantPrefixes: ['10.1.1.0/24', '10.254.254.0/29', 'fd00:1::/64', 'fd00:fe::/64'],
};

/** Addresses and words of a family. */
export interface Host {
  /** Two hosts of the tenant, which share a stack. */
  vms: readonly [string, string];
  /** External addresses that are routed to the context; what of them it has is the plan's. */
  external: string;
  other: string;
  remotes: readonly [string, string];
  /** A tenant's address that the stack outside has too. */
  spoofed: string;
  /** Of the context, towards the tenant. */
  own: string;
  /** Of a prefix that is one address. */
  length: number;
  /** tshark's names. */
  ip: string;
  icmp: string;
  ping: string;
  /** Bytes of IP and ICMP headers, and of IP and TCP headers. */
  header: number;
  mss: number;
}

/** The same conversation in both families. */
export const hosts: Record<'IPv4' | 'IPv6', Host> = {
  IPv4: {
    ...{ external: '198.51.100.101', other: '198.51.100.102', spoofed: '10.1.1.99', own: '10.254.254.2' },
    vms: ['10.1.1.11', '10.1.1.12'],
    remotes: ['203.0.113.80', '203.0.113.81'],
    ...{ length: 32, ip: 'ip', icmp: 'icmp', ping: 'icmp.type == 8', header: 28, mss: 40 },
  },
  IPv6: {
    ...{
      external: '2001:db8:100::101',
      other: '2001:db8:100::102',
      spoofed: 'fd00:1::99',
      own: 'fd00:fe::2',
    },
    vms: ['fd00:1::11', 'fd00:1::12'],
    remotes: ['2001:db8:9::80', '2001:db8:9::81'],
    ...{ length: 128, ip: 'ipv6', icmp: 'icmpv6', ping: 'icmpv6.type == 128', header: 48, mss: 60 },
  },
};
export const families = Object.entries(hosts);

/** `address:port` as endpoints have it. */
export const at = (address: string, port: number): string =>
  address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`;

/** Ports that servers listen at: outside, and at the tenant's hosts. */
export const REMOTE_PORT = 7;
export const VM_PORT = 80;

/** MTUs of the context's links. */
export const MTU = { tenant: 1458, external: 1300, forwarding: 1400 };

type Forwarded = Omit<RulesetPlan, 'nat'>;

const mtuOf = ({ forwarding }: Forwarded): ContextMtu =>
  forwarding === undefined ? { tenant: MTU.tenant, external: MTU.external } : MTU;

export class ContextLab {
  readonly lab: Lab;
  readonly netns: string;
  readonly vm: Namespace;
  readonly outside: Namespace;
  /** Of the context's side of `ext`. */
  readonly mac: string;
  /** On the network that `fwd` is on, its NIC `eth0`; what it has and serves is the test's. */
  readonly network: Namespace;

  private constructor(
    lab: Lab,
    netns: string,
    sides: Pick<ContextLab, 'vm' | 'outside' | 'network'>,
    mac: string,
  ) {
    this.lab = lab;
    this.netns = netns;
    this.vm = sides.vm;
    this.outside = sides.outside;
    this.network = sides.network;
    this.mac = mac;
  }

  /**
   * `name` is the lab's; servers of both protocols called `outside` and `vm` listen at all hosts. The link `fwd` is there, and the
   * other side of it in `network`, with forwarding.
   */
  static async create(name: string, nat: NatPlan, more: Forwarded = {}): Promise<ContextLab> {
    const lab = await Lab.create(`${name}${process.pid}`);
    try {
      const contexts = new Contexts(`n${(process.pid % 46656).toString(36)}`);
      const { netns, tenantPort, externalPort, segmentPort } = contexts.names(RDID);
      lab.onClose(() => contexts.remove(netns));
      const vm = await lab.namespace('vm');
      const outside = await lab.namespace('out');
      const network = await lab.namespace('net');
      let mac = '';
      await contexts.apply({ rdid: RDID, plan, nat, ...more, mtu: mtuOf(more) }, ({ externalMac }) => {
        mac = externalMac;
      });
      // The root sides become the NICs of the two stacks, with the MAC that the context sends to.
      const become = (namespace: Namespace, link: string): Promise<void> =>
        ipBatch([['link', 'set', link, 'netns', namespace.name, 'name', 'eth0', 'address', routerMac]]);
      await become(vm, tenantPort);
      await become(outside, externalPort);
      if (more.forwarding !== undefined) await become(network, segmentPort);
      const made = new ContextLab(lab, netns, { vm, outside, network }, mac);
      await made.#furnish();
      return made;
    } catch (error) {
      await lab.close();
      throw error;
    }
  }

  async #furnish(): Promise<void> {
    const open = (addresses: readonly string[]): string[] => [
      'link set eth0 mtu 1500 up',
      ...addresses.map((address) => `addr add ${address} dev eth0${address.includes(':') ? ' nodad' : ''}`),
    ];
    const all = Object.values(hosts);
    const route = (to: string, via: string): string => `route add ${to} via ${via} dev eth0 onlink`;
    await this.vm.ipBatch([
      ...open(all.flatMap(({ vms, length }) => vms.map((vm) => `${vm}/${length}`))),
      ...all.map(({ own }) => `neigh add ${own} lladdr ${plan.mac} dev eth0`),
      ...[route('0.0.0.0/0', '10.254.254.2'), route('::/0', 'fd00:fe::2')],
    ]);
    await this.outside.ipBatch([
      ...open(
        all.flatMap(({ remotes, spoofed, length }) => [...remotes, spoofed].map((one) => `${one}/${length}`)),
      ),
      ...all.flatMap(({ external, other, length }) =>
        [external, other].flatMap((address) => [
          `neigh add ${address} lladdr ${this.mac} dev eth0`,
          `route add ${address}/${length} dev eth0`,
        ]),
      ),
    ]);
    const serve = (namespace: Namespace, name: string, addresses: readonly string[], port: number) =>
      startEcho(
        namespace,
        name,
        addresses.flatMap((address) => [`tcp:${at(address, port)}`, `udp:${at(address, port)}`]),
      );
    await serve(
      this.outside,
      'outside',
      all.flatMap(({ remotes }) => remotes),
      REMOTE_PORT,
    );
    for (const index of [0, 1] as const)
      await serve(
        this.vm,
        `vm${index}`,
        all.map(({ vms }) => vms[index]),
        VM_PORT,
      );
  }

  /** Gives the context the rules of another plan, and nothing else of it. */
  setRules(nat: NatPlan | undefined, more: Forwarded = {}): void {
    applyNat(this.netns, natRules(RDID, { nat, ...more }, mtuOf(more)));
  }

  /** Makes the context what another plan says, as Contexts does. */
  async become(nat: NatPlan | undefined, more: Forwarded = {}): Promise<void> {
    const { netns } = this;
    this.setRules(nat, more);
    const want = desiredContext(plan, nat, mtuOf(more), more.forwarding);
    const have = inNetns(netns, () =>
      RouteNetlink.use((reading) => {
        const inside = readLinks(reading);
        mendSettings(reading, inside, settingsOf(nat, more.forwarding !== undefined));
        return readInside(reading, inside);
      }),
    );
    await ipBatch(contextCommands(have, want), { netns });
    for (const family of [4, 6] as const) await ipBatch(ruleCommands(have, want, family), { netns, family });
    await endUncoveredSessions(netns, { nat, ...more });
  }

  /** The first answer; a tenant's first host asks, when nothing else is said. */
  async ask(side: 'vm' | 'outside', endpoint: string, options: AskOptions = {}): Promise<EchoAnswer | null> {
    const [vm] = hosts[endpoint.includes('[') ? 'IPv6' : 'IPv4'].vms;
    const [answer] = await ask(this[side], endpoint, { ...(side === 'vm' && { from: vm }), ...options });
    return answer ?? null;
  }

  /** Packets that the ruleset has refused. */
  dropped(): number {
    const objects = inNetns(this.netns, () => nftList(natTable)) as {
      rule?: { chain: string; expr: { counter?: { packets: number } }[] };
    }[];
    const counts = objects.flatMap(({ rule }) => (rule?.chain === 'refused' ? rule.expr : []));
    return counts.find(({ counter }) => counter !== undefined)?.counter?.packets ?? Number.NaN;
  }

  /** Packets of a named counter. */
  async counted(table: string, name: string): Promise<number> {
    const { stdout } = await this.inside(['nft', 'list', 'counter', 'inet', table, name]);
    return Number(/packets (\d+)/.exec(stdout)?.[1]);
  }

  /** A program in the context itself. */
  inside(args: readonly string[]) {
    return this.lab.runChecked('nsenter', [`--net=/run/netns/${this.netns}`, '--', ...args]);
  }
}
