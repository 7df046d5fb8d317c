/**
 * A data plane with its programs attached, for frames to really go where the programs send them: each far end counts
 * whose frames it gets, by the domain of its port, the VSID of a tunnel, or the source address on the uplink.
 */
import { execFileSync } from 'node:child_process';
import type { Place } from '../../src/encap/core.ts';
import { BpfObject, type BpfProgram } from '../../src/linux/bpf-object.ts';
import { inNetns } from '../../src/linux/netns.ts';
import { attachTc } from '../../src/linux/tc.ts';
import { addressBytes, hostPrefix, macBytes, prefixBytes } from '../../src/policy/address.ts';
import type { ForwardingPlan } from '../../src/policy/plan.ts';
import { linkLocalAddress } from '../../src/policy/router.ts';
import { DataPlane, type Link, links, portLinks } from '../bpf/data-plane.ts';
import { compileFixture } from '../bpf/fixtures/compile.ts';
import * as policy from '../bpf/two-domains.ts';
import type { Mutant } from './mutations.ts';
import { TestRuns } from './test-runs.ts';

interface Test {
  teardown(fn: () => void): unknown;
}

/** BY_VSID, BY_SOURCE, BY_PORT and NOBODY of fixtures/encap-far-end.bpf.c. */
const BY_VSID = 0xffffffff;
const BY_SOURCE = 0xfffffffe;
const BY_PORT = 0xfffffffd;
export const NOBODY = 7;
const FIRST = Buffer.alloc(4);

const domainOf = (link: Link): number =>
  link.startsWith('contoso') ? policy.contoso.handle : policy.fabrikam.handle;
const isDomains = (link: Link): boolean => /^(contoso|fabrikam)/.test(link);

function word(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
}

/** What stands at the far ends, for frames to be sent there. */
const PEER_MAC = '02:dd:00:00:00:01';
const UPLINK = {
  own: ['203.0.113.2/24', '2001:db8:f::2/64'],
  next: ['203.0.113.1', '2001:db8:f::1'],
} as const;

export class Wire {
  readonly dataPlane: DataPlane;
  readonly #judge: BpfObject;
  readonly #prepare: BpfObject;
  readonly #runs = new TestRuns();

  constructor(t: Test, inVlans: boolean) {
    this.dataPlane = DataPlane.open(t, inVlans);
    const far = compileFixture(t, 'encap-far-end');
    this.#judge = BpfObject.open(far);
    t.teardown(() => this.#judge.close());
    this.#judge.load();
    this.#prepare = BpfObject.open(compileFixture(t, 'encap-prepare'));
    t.teardown(() => this.#prepare.close());
    this.#prepare.load();
    this.#prepare.map('target').update(FIRST, word(this.#judge.program('far_inject').fd));
    this.#addressLinks();
    this.#attach();
    this.#fillJudge();
  }

  /** Puts the frames in, where they arrive. */
  inject(mutants: readonly { mutant: Mutant; frame: Buffer }[]): void {
    const plain = this.#judge.program('far_inject');
    const prepared = this.#prepare.program('test_prepare');
    inNetns(this.dataPlane.namespace, () => {
      for (const { mutant, frame } of mutants) {
        const { length, vlan, mark, on } = mutant;
        const ifindex = this.dataPlane.ifindex(on);
        const program = length === 0 && vlan === 0 ? plain : prepared;
        const control = [0, length, vlan, ifindex];
        this.#runs.run(program, frame, frame.length, { ifindex, mark, control });
      }
    });
  }

  /** Frames that far ends got, by domain. */
  hits(): number[] {
    const counts = this.#judge.map('hits').lookup(FIRST) ?? new Uint8Array();
    return Array.from(new BigUint64Array(counts.buffer, counts.byteOffset, counts.length / 8), Number);
  }

  /** As hits(), once nothing is on its way any more. */
  settledHits(): number[] {
    let before = this.hits();
    for (;;) {
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 2);
      const now = this.hits();
      if (now.every((count, index) => count === before[index])) return now;
      before = now;
    }
  }

  /** The node's own addresses, routes and neighbours, so that what is redirected to a neighbour finds one. */
  #addressLinks(): void {
    const { namespace } = this.dataPlane;
    for (const link of ['provider', 'uplink'])
      execFileSync('nsenter', [
        `--net=/run/netns/${namespace}`,
        'sysctl',
        '-qw',
        `net.ipv6.conf.${link}.disable_ipv6=0`,
        `net.ipv6.conf.${link}.accept_dad=0`,
      ]);
    const neighbour = (address: string, link: Link): string =>
      `neigh replace ${address} lladdr ${PEER_MAC} dev ${link} nud permanent`;
    const hosts = [
      ...[policy.HOST_PA, policy.SHARED_PA, policy.FOREIGN_PA, policy.WILDCARD_PA],
      ...[policy.HOST_PA6, policy.SHARED_PA6, policy.FOREIGN_PA6],
    ];
    const commands = [
      `address add ${policy.GATEWAY_PA}/24 dev provider`,
      `address add ${policy.GATEWAY_PA6}/64 dev provider nodad`,
      'route add 239.0.0.0/8 dev provider',
      ...hosts.map((host) => neighbour(host, 'provider')),
      ...UPLINK.own.map((address) => `address add ${address} dev uplink`),
      ...UPLINK.next.map((address) => neighbour(address, 'uplink')),
      ...UPLINK.next.map((address) => `route add default via ${address}`),
    ];
    execFileSync('ip', ['-n', namespace, '-batch', '-'], { input: `${commands.join('\n')}\n` });
  }

  #attach(): void {
    const { object } = this.dataPlane;
    const at: [Place, readonly Link[]][] = [
      ['provider', ['provider', 'nic']],
      ['vlan', ['tagged']],
      ['port', portLinks],
      ['context', ['contosoOut', 'fabrikamOut']],
      ['uplink', ['uplink']],
      ['sorter', ['sorter']],
      ['segment', ['contosoFwd', 'fabrikamFwd']],
    ];
    inNetns(this.dataPlane.namespace, () => {
      for (const [place, where] of at)
        for (const link of where)
          attachTc(this.dataPlane.ifindex(link), 'ingress', object.program(`hnv_${place}`));
    });
    const judge: BpfProgram = this.#judge.program('far_judge');
    const ends = links.map((link) => this.dataPlane.farIfindex(link));
    inNetns(this.dataPlane.farNamespace, () => {
      for (const ifindex of ends) attachTc(ifindex, 'ingress', judge);
    });
  }

  #fillJudge(): void {
    const sinks = this.#judge.map('sinks');
    for (const link of links) {
      const ifindex = word(this.dataPlane.farIfindex(link));
      if (isDomains(link)) sinks.update(ifindex, word(domainOf(link)));
      else if (link === 'provider') sinks.update(ifindex, word(BY_VSID));
      else if (link === 'uplink') sinks.update(ifindex, word(BY_SOURCE));
    }
    const sources = this.#judge.map('sources');
    for (const own of UPLINK.own) sources.update(addressBytes(own.split('/')[0] ?? ''), word(0));
    for (const { handle, vsids, external, external6, block, peers, prefix, routed } of [
      policy.contoso,
      policy.fabrikam,
    ]) {
      for (const vsid of Object.values(vsids)) this.#judge.map('vsids').update(word(vsid), word(handle));
      for (const address of [external, external6]) sources.update(addressBytes(address), word(handle));
      for (const peer of peers) {
        const local = peer.includes(':') ? policy.SHARED6 : policy.SHARED;
        const pair = Buffer.concat([local, peer].map(addressBytes));
        this.#judge.map('peers').update(pair, word(handle));
      }
      for (let port = block[0]; port <= block[1]; port++)
        this.#judge.map('ports').update(word(port), word(handle));
      for (const { bytes, length } of [prefix.external, routed].map(prefixBytes))
        this.#judge.map('prefixes').update(Buffer.concat([word(length), bytes]), word(handle));
    }
    for (const { handle, forwarding } of this.dataPlane.plans) this.#fillStation(handle, forwarding);
    for (const address of [policy.SHARED, policy.SHARED6])
      sources.update(addressBytes(address), word(BY_PORT));
  }
  /** What may come from the context's MAC, and with which tag. */
  #fillStation(handle: number, forwarding: ForwardingPlan | undefined): void {
    if (forwarding === undefined) throw new Error('each domain has a network without NAT');
    const { mac, addresses, advertise, vlanId = 0 } = forwarding;
    const station = Buffer.concat([macBytes(mac), Buffer.alloc(2)]);
    this.#judge.map('stations').update(station, Buffer.concat([word(handle), word(vlanId)]));
    const own = [...addresses.map((address) => address.replace(/\/.*/, '')), linkLocalAddress(mac), '::'];
    for (const prefix of [...own.map(hostPrefix), ...advertise]) {
      const { bytes, length } = prefixBytes(prefix);
      this.#judge
        .map('station_prefixes')
        .update(Buffer.concat([word(32 + length), word(handle), bytes]), word(1));
    }
  }
}
