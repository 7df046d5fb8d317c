/** What is asked of NAT in each round, with the answers that the model gives. */
import type { Endpoint, Peer } from './conversation.ts';
import type { DomainNat, NatModel, Target } from './nat-model.ts';
import { byPing, byTcp, byUdp, type Question, type Talk } from './nat-talk.ts';
import type { RandomNumbers } from './random-nat.ts';
import { GATEWAY_CUSTOMER_ADDRESS } from './topology.ts';

export interface VmPeer {
  peer: Peer;
  domain: number;
  address: string;
}

export interface Scene {
  vms: readonly VmPeer[];
  outside: Peer;
  /** Addresses of the outside. */
  servers: readonly string[];
  /** The gateway node's own on the uplink. */
  nodeAddress: string;
  /** External addresses that anybody may have. */
  externals: readonly string[];
  /** Ports at which VMs answer. */
  served: readonly number[];
}

/** A UDP session as the outside has seen it. */
interface Session {
  vm: VmPeer;
  nat: DomainNat | undefined;
  /** The VM's port. */
  port: number;
  external: Endpoint;
  /** The outside's. */
  remote: Endpoint;
}

/** What a VM asks of the outside. */
interface Outward {
  vm: VmPeer;
  port: number;
  remote: Endpoint;
  protocol: 'udp' | 'tcp' | 'icmp';
  question: Question;
}

/** Where the outside listens. */
export const OUTSIDE_PORT = 7000;
export const OTHER_OUTSIDE_PORT = 7001;
const FIRST_PORT = 20_000;
const PROBES = 24;
const PROTOCOLS = ['udp', 'tcp'] as const;

export class NatQuestions {
  readonly #scene: Scene;
  readonly #numbers: RandomNumbers;
  readonly #talk: Talk;
  #round = 0;
  #count = 0;
  #sessions: Session[] = [];

  constructor(scene: Scene, numbers: RandomNumbers, talk: Talk) {
    this.#scene = scene;
    this.#numbers = numbers;
    this.#talk = talk;
  }

  /** Talk of one round under this model; what is wrong. */
  async round(model: NatModel): Promise<string[]> {
    this.#round++;
    const outwards = this.#outwards(model);
    const problems = await this.#talk.ask([
      ...this.#oldSessions(model),
      ...this.#lasting(model),
      ...outwards.map(({ question }) => question),
      ...this.#probes(model),
      ...this.#hairpins(model),
    ]);
    problems.push(...this.#shared(model, outwards));
    for (const { vm, port, remote, protocol, question } of outwards)
      for (const { from } of protocol === 'udp' ? this.#talk.heard(question) : [])
        this.#sessions.push({ vm, port, remote, external: from, nat: model.nats[vm.domain] });
    problems.push(...(await this.#talk.ask(this.#filtered(model))));
    problems.push(...(await this.#talk.ask(this.#last())));
    return [...problems, ...this.#talk.misled()];
  }

  /** Where not only sessions of a port are let in to it, each socket has one port outside, and that for itself. */
  #shared(model: NatModel, outwards: readonly Outward[]): string[] {
    const others = new Map<string, string>();
    return outwards.flatMap(({ vm, port, protocol, question }) => {
      const filtering = protocol === 'icmp' ? undefined : model.nats[vm.domain]?.filtering[protocol];
      if (filtering === undefined || filtering === 'addressAndPortDependent') return [];
      const socket = `${protocol} ${vm.peer.name}:${port}`;
      return this.#talk.heard(question).flatMap(({ from }) => {
        const external = `${protocol} ${from.address}:${from.port}`;
        const [other, before] = [others.get(external) ?? socket, others.get(socket) ?? external];
        others.set(external, other).set(socket, before);
        if (other === socket && before === external) return [];
        return [`${question.word}: ${socket} has ${external}, as ${other}, and ${before}`];
      });
    });
  }

  /** Every VM to every server at once, by equal ports and identifiers. */
  #outwards(model: NatModel): Outward[] {
    const port = FIRST_PORT + this.#round;
    return this.#scene.vms.flatMap((vm) => {
      const { peer, domain, address } = vm;
      const seenAs = model.sharesOf(domain, address);
      const isOut = seenAs.length > 0;
      return this.#scene.servers.flatMap((server) => {
        const remote = { address: server, port: OUTSIDE_PORT };
        const hearer = isOut ? { name: 'outside', port: OUTSIDE_PORT } : undefined;
        const heard = { hearer, seenAs, answeredBy: isOut ? 'outside' : undefined };
        const pinged = {
          hearer: isOut ? { name: 'outside' } : undefined,
          answeredBy: isOut ? server : undefined,
        };
        const questions = {
          udp: { ...byUdp(peer, this.#word(peer), port, remote), ...heard },
          tcp: { ...byTcp(peer, this.#word(peer), port, remote), ...heard },
          icmp: { ...byPing(peer, this.#word(peer), port, server), ...pinged, seenAs },
        };
        return (['udp', 'tcp', 'icmp'] as const).map((protocol) => {
          return { vm, port, remote, protocol, question: questions[protocol] };
        });
      });
    });
  }

  /** The outside at ports that are somebody's and at ports that are nobody's. */
  #probes(model: NatModel): Question[] {
    const { outside, servers, externals } = this.#scene;
    const mapped = model.nats.flatMap((nat) =>
      (nat?.staticMappings ?? []).map(({ protocol, externalIpAddress, externalPort }) => {
        return { protocol, to: { address: externalIpAddress, port: externalPort } };
      }),
    );
    const mappings = this.#numbers.some(mapped, PROBES);
    const anywhere = Array.from({ length: PROBES }, () => {
      return { protocol: this.#numbers.pick(PROTOCOLS), to: this.#anywhere(model) };
    });
    const port = FIRST_PORT + this.#round;
    const all = new Map(
      [...mappings, ...anywhere].map((each) => [`${each.protocol} ${each.to.address} ${each.to.port}`, each]),
    );
    return [
      ...[...all.values()].flatMap(({ protocol, to }) => {
        const from = this.#numbers.pick(servers);
        const target = model.targetOf(protocol, to, from);
        if (target === undefined && this.#isUnclear(model, to)) return [];
        const by = protocol === 'udp' ? byUdp : byTcp;
        return [{ ...by(outside, this.#word(outside), port, to, from), ...this.#reaching(target) }];
      }),
      ...externals.map((address) => {
        const one = model.targetOf('udp', { address, port: 0 }, '');
        const target = one && this.#vm(one);
        return {
          ...byPing(outside, this.#word(outside), port, address),
          hearer: target && { name: target.peer.name },
          answeredBy: model.isExternal(address) ? address : undefined,
        };
      }),
    ];
  }

  /** VMs at external addresses of their own domain and of others. */
  #hairpins(model: NatModel): Question[] {
    const mapped = model.nats.flatMap((nat, domain) => [
      ...(nat?.staticMappings ?? []).map((mapping) => {
        const to = { address: mapping.externalIpAddress, port: mapping.externalPort };
        return { domain, protocol: mapping.protocol, to };
      }),
      ...(nat?.oneToOne ?? []).map(({ externalIpAddress: address }) => {
        return {
          domain,
          protocol: this.#numbers.pick(PROTOCOLS),
          to: { address, port: this.#numbers.pick(this.#scene.served) },
        };
      }),
    ]);
    const port = FIRST_PORT + 10_000 + this.#round;
    return this.#scene.vms.flatMap((vm) => {
      const { peer, domain, address } = vm;
      const seenAs = model.sharesOf(domain, address);
      return this.#numbers.some(mapped, 3).flatMap(({ protocol, to, domain: other }) => {
        // Where it matters as which of several it is seen, the model cannot say.
        const remotes = [
          ...seenAs.map(({ ipAddress }) => ipAddress),
          ...(other === domain ? [to.address] : []),
        ];
        const targets = remotes.map((remote) => model.targetOf(protocol, to, remote));
        const [target] = targets;
        const isClear = targets.every((each) => each?.address === target?.address);
        if (!isClear || (other === domain && seenAs.length === 0)) return [];
        if (target === undefined && this.#isUnclear(model, to)) return [];
        const by = protocol === 'udp' ? byUdp : byTcp;
        return [{ ...by(peer, this.#word(peer), port, to), ...this.#reaching(target), seenAs }];
      });
    });
  }

  /** The outside at ports of this round's sessions, from where they lead and from elsewhere. */
  #filtered(model: NatModel): Question[] {
    const { outside, servers } = this.#scene;
    const port = FIRST_PORT + this.#round;
    const fresh = this.#sessions.filter((session) => session.port === port);
    return this.#numbers.some(fresh, PROBES).flatMap(({ vm, external }) => {
      const filtering = model.nats[vm.domain]?.filtering.udp;
      const from = {
        address: this.#numbers.pick(servers),
        port: this.#numbers.pick([OUTSIDE_PORT, OTHER_OUTSIDE_PORT]),
      };
      const same = this.#sessions.filter((session) => isSame(session.external, external));
      if (same.some((session) => session.vm !== vm || session.port !== port)) return [];
      const isExpected = same.some(
        ({ remote }) =>
          filtering === 'endpointIndependent' ||
          (remote.address === from.address &&
            (filtering === 'addressDependent' || remote.port === from.port)),
      );
      const whole = model.targetOf('udp', external, from.address);
      const target = isExpected ? { domain: vm.domain, address: vm.address, port } : whole;
      return [
        {
          ...byUdp(outside, this.#word(outside), from.port, external, from.address),
          ...this.#reaching(target, isExpected),
        },
      ];
    });
  }

  /** One socket of each VM that never falls silent: what its session was before does not keep it from what NAT is now. */
  #lasting(model: NatModel): Question[] {
    return this.#scene.vms.map(({ peer, domain, address }) => {
      const seenAs = model.sharesOf(domain, address);
      const name = seenAs.length > 0 ? 'outside' : undefined;
      const to = { address: this.#scene.servers[0] ?? '', port: OUTSIDE_PORT };
      const hearer = name === undefined ? undefined : { name, port: OUTSIDE_PORT };
      return { ...byUdp(peer, this.#word(peer), FIRST_PORT, to), hearer, seenAs, answeredBy: name };
    });
  }

  /** The outside to where sessions of earlier rounds were: those of a NAT that is still there go on, others are dead. */
  #oldSessions(model: NatModel): Question[] {
    const { outside } = this.#scene;
    return this.#numbers.some(this.#sessions, PROBES).flatMap(({ vm, nat, port, external, remote }) => {
      const same = this.#sessions.filter((session) => isSame(session.external, external));
      if (same.some((session) => session.vm !== vm || session.port !== port)) return [];
      const isAlive = nat !== undefined && model.nats[vm.domain] === nat;
      // What a changed NAT keeps is not told by the model.
      if (!isAlive && model.ownerOf(external) === vm.domain) return [];
      const target = isAlive
        ? { domain: vm.domain, address: vm.address, port }
        : model.targetOf('udp', external, remote.address);
      if (target === undefined && this.#mayBeBound(model, external)) return [];
      return [
        {
          ...byUdp(outside, this.#word(outside), remote.port, external, remote.address),
          ...this.#reaching(target, isAlive),
        },
      ];
    });
  }

  /** Pings to the gateway: when they are answered, all that was said before is through, or will never be. */
  #last(): Question[] {
    const { outside, vms, nodeAddress } = this.#scene;
    const asked = [
      { peer: outside, to: nodeAddress },
      ...vms.map(({ peer }) => ({ peer, to: GATEWAY_CUSTOMER_ADDRESS })),
    ];
    return asked.map(({ peer, to }) => {
      return { ...byPing(peer, this.#word(peer), 1, to), hearer: undefined, answeredBy: to };
    });
  }

  /** `isAsking`: the VM's port is that of a socket that has asked itself. */
  #reaching(
    target: Target | undefined,
    isAsking = false,
  ): Pick<Question, 'hearer' | 'answeredBy' | 'mayBeSilent'> {
    if (target === undefined) return { hearer: undefined, answeredBy: undefined };
    const { name } = this.#vm(target).peer;
    // All ports of a one-to-one address lead to its VM, which has servers at few.
    const mayBeSilent = !isAsking && !this.#scene.served.includes(target.port);
    return { hearer: { name, port: target.port }, answeredBy: name, mayBeSilent };
  }

  #vm({ domain, address }: Target): VmPeer {
    const vm = this.#scene.vms.find((each) => each.domain === domain && each.address === address);
    if (vm === undefined) throw new Error(`domain ${domain} has no VM ${address}`);
    return vm;
  }

  /** A served port of a one-to-one address, the edge of somebody's block, or just any. */
  #anywhere(model: NatModel): Endpoint {
    const address = this.#numbers.pick(this.#scene.externals);
    const isOneToOne = model.targetOf('udp', { address, port: 0 }, '') !== undefined;
    if (isOneToOne) return { address, port: this.#numbers.pick(this.#scene.served) };
    const edges = model.nats
      .flatMap((nat) => nat?.externalAddresses ?? [])
      .filter(({ ipAddress }) => ipAddress === address)
      .flatMap(({ portStart = 1, portEnd = 65535 }) => [portStart - 1, portStart, portEnd, portEnd + 1])
      .filter((port) => port >= 1 && port <= 65535);
    const port = this.#numbers.chance(50) && edges.length > 0 ? this.#numbers.pick(edges) : 0;
    return { address, port: port || this.#numbers.between(1, 65535) };
  }

  /** A session is or was at the port, or may be: who hears what comes there depends on more than the model knows. */
  #isUnclear(model: NatModel, external: Endpoint): boolean {
    return (
      this.#mayBeBound(model, external) ||
      this.#sessions.some((session) => isSame(session.external, external))
    );
  }

  /** Any port may be that of a session, which lets everybody in, or every server that the VM has talked to: that is all of them. */
  #mayBeBound(model: NatModel, external: Endpoint): boolean {
    const owner = model.ownerOf(external);
    const nat = owner === undefined ? undefined : model.nats[owner];
    return nat !== undefined && nat.filtering.udp !== 'addressAndPortDependent';
  }

  #word({ name }: Peer): string {
    return `${name}:${this.#round}:${this.#count++}`;
  }
}

function isSame(one: Endpoint, other: Endpoint): boolean {
  return one.address === other.address && one.port === other.port;
}
