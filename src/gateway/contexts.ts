/**
 * Routing contexts: one network namespace for each routing domain, joined to the encap core by `hnv` and to the uplink by
 * `ext`. Creates, adopts, corrects and removes them; owns namespaces and links named by `names.ts` and nothing else.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { HnvError } from '../errors.ts';
import { ip, ipBatch } from '../linux/iproute2.ts';
import { ifindexOf } from '../linux/links.ts';
import { inNetns, netnsExists, netnsNames } from '../linux/netns.ts';
import { readSysctl, writeSysctl } from '../linux/sysctl.ts';
import { applyNat } from '../nat/nat.ts';
import { type ContextMtu, externalLink, tenantLink } from '../nat/ruleset.ts';
import type { ContextPlan, NatPlan } from '../policy/plan.ts';
import { derivedMac } from '../policy/router.ts';
import {
  type ContextState,
  contextCommands,
  desiredContext,
  freshContext,
  readContext,
} from './context-state.ts';
import { type ContextNames, contextNames, isContextNetns } from './names.ts';

/**
 * The context forwards, believes no redirect or router advertisement and sends none. From the uplink it takes an IPv4
 * source only where it would answer it (RFC 3704 strict); for IPv6, which has no such setting, the NAT ruleset does the
 * same. What comes from the tenant was admitted by the encap core, which knows better. IPv6 is on in every context, and
 * silent: without link-local addresses nothing is asked or announced, and what the kernel reports nevertheless (MLD) the
 * NAT ruleset drops, which stands before a link is up.
 */
const SYSCTLS: readonly (readonly [path: string, value: string])[] = [
  ['net/ipv4/ip_forward', '1'],
  ['net/ipv4/conf/all/rp_filter', '0'],
  [`net/ipv4/conf/${tenantLink}/rp_filter`, '0'],
  [`net/ipv4/conf/${externalLink}/rp_filter`, '1'],
  ['net/ipv4/conf/all/accept_redirects', '0'],
  ['net/ipv4/conf/all/send_redirects', '0'],
  [`net/ipv4/conf/${tenantLink}/send_redirects`, '0'],
  [`net/ipv4/conf/${externalLink}/send_redirects`, '0'],
  ['net/ipv6/conf/all/addr_gen_mode', '1'], // before IPv6 may be on
  ['net/ipv6/conf/all/disable_ipv6', '0'],
  ['net/ipv6/conf/all/forwarding', '1'],
  ...[tenantLink, externalLink].flatMap((link) =>
    (
      [
        ['addr_gen_mode', '1'],
        ['accept_ra', '0'],
        ['autoconf', '0'],
        ['accept_redirects', '0'],
        ['accept_dad', '0'],
      ] as const
    ).map(([name, value]) => [`net/ipv6/conf/${link}/${name}`, value] as const),
  ),
];

/**
 * MTU of a link's root side, the largest there is: only the inside limits what is sent, so that a change of MTU is one of
 * the inside alone (a veth refuses what is larger than the MTU of the side that it arrives at).
 */
const ROOT_MTU = '65535';

/** How the removal of a context is waited for: the kernel ends a namespace's links in the background. */
const REMOVAL_POLL_MS = 5;
const REMOVAL_LIMIT_MS = 30_000;

/** Where a context is joined to the root namespace. */
export interface ContextLinks {
  tenantIfindex: number;
  externalIfindex: number;
  /** MAC of the namespace's own side of `ext`. */
  externalMac: string;
}

export interface ContextRequest {
  rdid: string;
  plan: ContextPlan;
  nat: NatPlan | undefined;
  mtu: ContextMtu;
}

/** Locally administered. It stands on a link of its own between two ends, so it need only be the same every time. */
function externalMac(rdid: string): string {
  return derivedMac(`ext ${rdid}`);
}

export class Contexts {
  readonly #instance: string;
  /** What each namespace holds, of those that this process has read or made. */
  readonly #states = new Map<string, ContextState>();

  constructor(instance: string) {
    this.#instance = instance;
  }

  /** Namespaces of this instance that are there now. */
  present(): string[] {
    return netnsNames(`${this.#instance}-`).filter((name) => isContextNetns(this.#instance, name));
  }

  names(rdid: string): ContextNames {
    return contextNames(this.#instance, rdid);
  }

  /**
   * Makes the domain's context as planned, adopting what is there. `attach` gets the links while the inside of a new
   * context is still down: when its links open, programs and NAT ruleset stand.
   * Throws HNV_NETNS, HNV_IPROUTE2, HNV_NFTABLES.
   */
  async apply(request: ContextRequest, attach: (links: ContextLinks, isNew: boolean) => void): Promise<void> {
    const names = this.names(request.rdid);
    const externals = request.nat?.externalAddresses.map((a) => a.address) ?? [];
    const want = desiredContext(request.plan, externals, request.mtu);
    const isNew = !this.#isWhole(names);
    if (isNew) await this.#create(names, request);
    attach(this.#links(names, request.rdid), isNew);
    applyNat(names.netns, request.rdid, request.nat, request.mtu);
    if (!this.#states.has(names.netns)) this.#applySysctls(names.netns);
    const have = isNew
      ? freshContext(want)
      : (this.#states.get(names.netns) ?? (await readContext(names.netns)));
    const commands = contextCommands(have, want);
    this.#states.delete(names.netns); // unknown, should the commands fail half way
    if (commands.length > 0) await ipBatch(commands, { netns: names.netns });
    this.#states.set(names.netns, want);
  }

  /** Removes a context by its namespace's name and waits until the kernel has let go of its links. */
  async remove(netns: string): Promise<void> {
    const digest = netns.slice(this.#instance.length + 1);
    this.#states.delete(netns);
    const links = [`${this.#instance}h${digest}`, `${this.#instance}x${digest}`];
    if (netnsExists(netns)) await ip(['netns', 'del', netns]);
    const limit = Date.now() + REMOVAL_LIMIT_MS;
    while (links.some((link) => ifindexOf(link) !== undefined)) {
      if (Date.now() > limit)
        throw new HnvError(
          'HNV_NETNS',
          `The kernel still has links of ${netns} ${REMOVAL_LIMIT_MS} ms after its removal.`,
        );
      await delay(REMOVAL_POLL_MS);
    }
  }

  #isWhole(names: ContextNames): boolean {
    if (!netnsExists(names.netns)) return false;
    const inside = inNetns(names.netns, () => [ifindexOf(tenantLink), ifindexOf(externalLink)]);
    return [...inside, ifindexOf(names.tenantPort), ifindexOf(names.externalPort)].every(
      (i) => i !== undefined,
    );
  }

  /** The root side is up at once, the inside down: so the links stay closed until apply() opens them. */
  async #create(names: ContextNames, { rdid, plan, mtu }: ContextRequest): Promise<void> {
    await this.remove(names.netns);
    const queues = ['numtxqueues', '1', 'numrxqueues', '1'];
    const veth = (root: string, inside: string, size: number, mac: string): string[] => [
      ...['link', 'add', root, 'mtu', ROOT_MTU, 'up', ...queues, 'type', 'veth'],
      ...['peer', 'name', inside, 'mtu', String(size), 'address', mac, ...queues, 'netns', names.netns],
    ];
    await ipBatch([
      ['netns', 'add', names.netns],
      veth(names.tenantPort, tenantLink, mtu.tenant, plan.mac),
      veth(names.externalPort, externalLink, mtu.external, externalMac(rdid)),
    ]);
  }

  #applySysctls(netns: string): void {
    inNetns(netns, () => {
      for (const [path, value] of SYSCTLS) if (readSysctl(path) !== value) writeSysctl(path, value);
    });
  }

  #links(names: ContextNames, rdid: string): ContextLinks {
    const tenantIfindex = ifindexOf(names.tenantPort);
    const externalIfindex = ifindexOf(names.externalPort);
    if (tenantIfindex === undefined || externalIfindex === undefined)
      throw new HnvError('HNV_NETNS', `The links of ${names.netns} have gone while it was being set up.`);
    return { tenantIfindex, externalIfindex, externalMac: externalMac(rdid) };
  }
}
