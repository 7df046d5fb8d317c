/**
 * Whether a tracked session is one that the present plan would make, or has outlived a plan that is gone: a session
 * keeps its translation for as long as it talks, whatever the rules say by then. With whom a tenant talks by `fwd`, and so as
 * it is, the routes decide, those that BGP has learned too. Pure.
 *
 * What cannot be told is taken for right where it harms nobody else: which of several external addresses a host would get,
 * and whether a session from outside came by a binding of another one.
 */
import { IPS, PROTOCOL, type Session } from '../linux/conntrack-messages.ts';
import { addressFamily, contains } from '../policy/address.ts';
import type { ExternalAddressPlan, NatPlan, PortMappingPlan } from '../policy/plan.ts';
import { PrefixSet } from '../policy/prefix-set.ts';
import type { RulesetPlan } from './ruleset.ts';
import { isDestinationTranslated, isSourceTranslated } from './translation.ts';

/** What a block of ports divides up: TCP and UDP ports, and identifiers of ICMP queries. */
const DIVIDED: ReadonlySet<number> = new Set(Object.values(PROTOCOL));
const FILTERED = new Map([
  [PROTOCOL.tcp, 'tcp'],
  [PROTOCOL.udp, 'udp'],
] as const) as ReadonlyMap<number, 'tcp' | 'udp'>;

/** UDP ports of IKE, with ESP behind the second one. */
const IKE_PORTS: ReadonlySet<number> = new Set([500, 4500]);
const ESP = 50;

const portKey = (protocol: string, address: string, port: number): string => `${protocol} ${port} ${address}`;

/** Whether what is for an address leaves by `fwd`. */
export type ByNetwork = (address: string) => boolean;

export class Coverage {
  readonly #plan: NatPlan | undefined;
  /** The context's own inside addresses. */
  readonly #own: ReadonlySet<string>;
  readonly #externals: ReadonlyMap<string, ExternalAddressPlan>;
  /** One-to-one NAT, both ways. */
  readonly #internalOf: ReadonlyMap<string, string>;
  readonly #externalOf: ReadonlyMap<string, string>;
  readonly #mappings: ReadonlyMap<string, PortMappingPlan[]>;
  /** Of each external address; with undefined, everybody. */
  readonly #peers: ReadonlyMap<string, ReadonlySet<string | undefined>>;
  readonly #sites: PrefixSet;
  readonly #forwarded: PrefixSet;

  /** `own`: addresses of the context towards the tenant, and of `fwd`. */
  constructor({ nat: plan, forwarding }: RulesetPlan, own: ReadonlySet<string>) {
    this.#plan = plan;
    this.#own = own;
    this.#forwarded = new PrefixSet(forwarding?.advertise);
    this.#externals = new Map(plan?.externalAddresses.map((external) => [external.address, external]));
    this.#internalOf = new Map(plan?.oneToOne.map(({ external, internal }) => [external, internal]));
    this.#externalOf = new Map(plan?.oneToOne.map(({ external, internal }) => [internal, external]));
    this.#mappings = Map.groupBy(plan?.portMappings ?? [], (mapping) =>
      portKey(mapping.protocol, mapping.externalAddress, mapping.externalPort),
    );
    this.#sites = new PrefixSet(plan?.sitePrefixes);
    const byLocal = Map.groupBy(plan?.peers ?? [], ({ localAddress }) => localAddress);
    this.#peers = new Map(
      [...byLocal].map(([local, peers]) => [local, new Set(peers.map(({ remoteAddress }) => remoteAddress))]),
    );
  }

  covers(session: Session, isByNetwork: ByNetwork): boolean {
    const isSource = isSourceTranslated(session);
    const isDestination = isDestinationTranslated(session);
    if (!isSource && !isDestination) return this.#coversUntranslated(session, isByNetwork);
    // Begun before there was a tunnel: nothing of it reaches the site any more.
    if (isSource && this.#sites.has(session.reply.source)) return false;
    // Nor, by `fwd`, its remote.
    if (isByNetwork(isSource ? session.reply.source : session.original.source)) return false;
    return (!isSource || this.#coversSource(session)) && (!isDestination || this.#coversDestination(session));
  }

  /** What was sent from inside left, or leaves, under an address and a port that are the domain's. */
  #coversSource({ protocol, original, reply }: Session): boolean {
    const { destination: external, destinationPort: port } = reply;
    const wanted = this.#externalOf.get(original.source);
    if (wanted !== undefined || this.#internalOf.has(external)) return wanted === external;
    return this.#owns(external, protocol, port);
  }

  #coversDestination({ protocol, original, reply, status }: Session): boolean {
    const { destination: external, destinationPort: port } = original;
    const { source: internal, sourcePort: internalPort } = reply;
    // A host inside asked under the external address, as the rules see it.
    const remote = original.source === reply.destination ? original.source : external;
    const name = FILTERED.get(protocol);
    const mapping = this.#mappings
      .get(portKey(name ?? '', external, port))
      ?.find(({ remotePrefix }) => remotePrefix === undefined || contains(remotePrefix, remote));
    if (mapping !== undefined)
      return mapping.internalAddress === internal && mapping.internalPort === internalPort;
    const wanted = this.#internalOf.get(external);
    if (wanted !== undefined) return wanted === internal;
    if (name === undefined || this.#plan === undefined) return false;
    const isExpected = (status & IPS.expected) !== 0 && this.#plan.algs.length > 0;
    // Bindings are of IPv4 alone.
    const isBound = this.#plan.filtering[name] !== 'addressAndPortDependent' && addressFamily(external) === 4;
    return (isExpected || isBound) && this.#owns(external, protocol, port);
  }

  /** What the context itself says and hears, what is with a site, and what is routed or forwarded as it is. */
  #coversUntranslated({ protocol, original }: Session, isByNetwork: ByNetwork): boolean {
    const { source, sourcePort, destination, destinationPort } = original;
    if (this.#externals.has(source) && isIpsec(protocol, sourcePort))
      return this.#isPeer(source, destination);
    if (this.#externals.has(destination) && isIpsec(protocol, destinationPort))
      return this.#isPeer(destination, source);
    return (
      this.#own.has(source) ||
      this.#own.has(destination) ||
      this.#answers(source, protocol, sourcePort) ||
      this.#answers(destination, protocol, destinationPort) ||
      this.#sites.has(source) ||
      this.#sites.has(destination) ||
      this.#passes(source, destination, isByNetwork) ||
      this.#passes(destination, source, isByNetwork)
    );
  }

  /** As it is, between a host inside and a remote. */
  #passes(internal: string, remote: string, isByNetwork: ByNetwork): boolean {
    if (!this.#isRouted(internal) && !this.#forwarded.has(internal)) return false;
    return isByNetwork(remote) ? this.#forwarded.has(internal) : this.#isRouted(internal);
  }

  #isPeer(local: string, remote: string): boolean {
    const remotes = this.#peers.get(local);
    return remotes !== undefined && (remotes.has(remote) || remotes.has(undefined));
  }

  /** Under an external address that stands for no inside host the context answers by itself. */
  #answers(address: string, protocol: number, port: number): boolean {
    return !this.#internalOf.has(address) && this.#owns(address, protocol, port);
  }

  #owns(address: string, protocol: number, port: number): boolean {
    const external = this.#externals.get(address);
    if (external === undefined) return false;
    const { portStart, portEnd } = external;
    if (portStart === undefined || portEnd === undefined) return true;
    return DIVIDED.has(protocol) && port >= portStart && port <= portEnd;
  }

  #isRouted(address: string): boolean {
    return this.#plan?.prefixes.some(({ internal }) => contains(internal, address)) ?? false;
  }
}

/** IKE and ESP, by the port of our side. */
function isIpsec(protocol: number, port: number): boolean {
  return protocol === ESP || (protocol === PROTOCOL.udp && IKE_PORTS.has(port));
}
