/**
 * Puts mutants through the data plane and holds it to its promises: a verdict of its own, an account of every drop, no
 * domain charged for another's frame, and no frame at a port, in a tunnel or on the uplink of another domain than its own.
 *
 * Each frame goes through its program by a test run first, for verdict and accounts. What the program sent on is put into
 * a second data plane, whose programs are attached, to see where it really goes.
 */
import type { Place } from '../../src/encap/core.ts';
import { dropReasonName } from '../../src/encap/drop-reasons.ts';
import { BpfObject, type BpfProgram } from '../../src/linux/bpf-object.ts';
import { inNetns } from '../../src/linux/netns.ts';
import { attachTc } from '../../src/linux/tc.ts';
import { DataPlane, links } from '../bpf/data-plane.ts';
import { compileFixture } from '../bpf/fixtures/compile.ts';
import { contoso, fabrikam, VLANS } from '../bpf/two-domains.ts';
import { isLaterFragment, ownerOfDestination } from './external-owner.ts';
import { KernelLog } from './kernel-log.ts';
import { type Mutant, Mutator } from './mutations.ts';
import { Random } from './random.ts';
import { ownerFromNetwork, ownerOfNeighbour, stationOf } from './station-owner.ts';
import { type Grown, reasonNumber, Tally } from './tally.ts';
import { TestRuns } from './test-runs.ts';
import { Wire } from './wire.ts';

interface Test {
  teardown(fn: () => void): unknown;
}

export interface Figures {
  frames: number;
  /** Frames that the kernel does not take for a test run: too short for what they say they are. */
  refused: number;
  verdicts: Record<'pass' | 'drop' | 'redirect', number>;
  /** Drops by reason. */
  drops: Record<string, number>;
  /** ICMP errors among the redirected. */
  errors: number;
  /** Broadcasts, multicasts and packets that became fragments. */
  copied: number;
  copies: number;
  /** Frames put on the wire, and what the far ends got of them by domain. */
  injected: number;
  delivered: Record<string, number>;
}

const PLACES: readonly Place[] = ['provider', 'vlan', 'port', 'context', 'uplink', 'sorter', 'segment'];
const DOMAINS = [0, contoso.handle, fabrikam.handle];
const PASS = 0;
const DROP = 2;
const REDIRECT = 7;
/** Frames between two looks at the namespace's clock: how long a signal may wait. */
const SLICE = 4096;
/** Frames on the wire between two looks at the far ends. */
const GROUP = 1024;
const REPLICATION_FAILED = reasonNumber('replication-failed');
const ERROR_REASONS = new Set(
  ['ttl-exceeded', 'no-route', 'no-record', 'router-destination', 'too-big', 'inner-too-big'].map(
    reasonNumber,
  ),
);

const vsidOwners = new Map(
  [contoso, fabrikam].flatMap(({ handle, vsids }) => Object.values(vsids).map((vsid) => [vsid, handle])),
);
/** The domain that a frame's tunnel says it is of; 0 when it says none. */
function domainOfTunnel(frame: Buffer): number {
  const at = (frame.readUInt16BE(12) === 0x86dd ? 54 : 34) + 4;
  return at + 3 <= frame.length ? (vsidOwners.get(frame.readUIntBE(at, 3)) ?? 0) : 0;
}

function domainOfLink({ on }: Mutant): number {
  return on.startsWith('contoso') ? contoso.handle : fabrikam.handle;
}

function domainOfTag(vlan: number): number {
  if (vlan === VLANS.contoso) return contoso.handle;
  return vlan === VLANS.fabrikam ? fabrikam.handle : 0;
}

/** The one domain that the frame may be charged to. */
function chargedTo(mutant: Mutant, frame: Buffer, inVlans: boolean): number {
  const { place, vlan } = mutant;
  if (place === 'sorter') return 0;
  if (place === 'uplink') {
    if (inVlans) return domainOfTag(vlan);
    return vlan === 0 ? stationOf(frame) : 0;
  }
  return place === 'provider' || place === 'vlan' ? domainOfTunnel(frame) : domainOfLink(mutant);
}

/** The one domain whose ports, tunnels, networks and external addresses what comes of the frame may be at. */
function deliveredTo(mutant: Mutant, frame: Buffer, inVlans: boolean): number {
  const { place, vlan } = mutant;
  // From one public address to another is one way that leads from domain to domain, the untagged network the other.
  if (place === 'sorter') return ownerOfDestination(frame);
  if (place === 'context') return ownerOfDestination(frame) || domainOfLink(mutant);
  if (place === 'segment' && !inVlans)
    return ownerOfNeighbour(frame, domainOfLink(mutant)) || domainOfLink(mutant);
  if (place !== 'uplink') return chargedTo(mutant, frame, inVlans);
  if (inVlans && vlan !== 0) return domainOfTag(vlan);
  return (inVlans ? 0 : ownerFromNetwork(frame)) || ownerOfDestination(frame);
}

interface Sent {
  mutant: Mutant;
  frame: Buffer;
}

export class Fuzzer {
  readonly #seed: number;
  readonly #inVlans: boolean;
  readonly #mutator: Mutator;
  readonly #dataPlane: DataPlane;
  readonly #tally: Tally;
  readonly #wire: Wire;
  readonly #runs = new TestRuns();
  readonly #plain = new Map<Place, BpfProgram>();
  readonly #prepared = new Map<Place, BpfProgram>();
  readonly #log = new KernelLog();
  /** What goes onto the wire next, by the domain that it is for. */
  readonly #pending = new Map<number, Sent[]>();
  #hits: number[];
  #index = 0;
  readonly #figures: Figures = {
    frames: 0,
    refused: 0,
    verdicts: { pass: 0, drop: 0, redirect: 0 },
    drops: {},
    errors: 0,
    copied: 0,
    copies: 0,
    injected: 0,
    delivered: {},
  };

  /** `inVlans`: each domain has a VLAN of its own, with the same addresses, and not the untagged network. */
  constructor(t: Test, seed: number, inVlans = false) {
    t.teardown(() => this.#log.close());
    this.#seed = seed;
    this.#inVlans = inVlans;
    this.#mutator = new Mutator(new Random(seed), inVlans ? Object.values(VLANS) : []);
    this.#dataPlane = DataPlane.open(t, inVlans);
    this.#swallowCopies(t);
    this.#tally = new Tally((name) => this.#dataPlane.map(name), DOMAINS);
    const prepare = compileFixture(t, 'encap-prepare');
    for (const place of PLACES) {
      const program = this.#dataPlane.object.program(`hnv_${place}`);
      this.#plain.set(place, program);
      const object = BpfObject.open(prepare);
      t.teardown(() => object.close());
      object.load();
      const fd = Buffer.alloc(4);
      fd.writeInt32LE(program.fd);
      object.map('target').update(Buffer.alloc(4), fd);
      this.#prepared.set(place, object.program('test_prepare'));
    }
    this.#wire = new Wire(t, inVlans);
    this.#hits = this.#wire.settledHits();
  }

  /** The one of the test runs, and the one on the wire. */
  get dataPlanes(): readonly DataPlane[] {
    return [this.#dataPlane, this.#wire.dataPlane];
  }

  /** Puts that many more frames through. Throws at the first broken promise, with the frame that shows it. */
  run(frames: number): Figures {
    const end = this.#index + frames;
    while (this.#index < end) {
      inNetns(this.#dataPlane.namespace, () => {
        for (let left = Math.min(SLICE, end - this.#index); left > 0; left--) this.#one();
      });
      for (const [domain, sent] of this.#pending)
        if (sent.length >= GROUP || this.#index === end) this.#flush(domain, sent);
    }
    const warnings = this.#log.warnings();
    if (warnings.length > 0)
      throw new Error(`the kernel warns, with seed ${this.#seed}:\n${warnings.join('\n')}`);
    return this.#figures;
  }

  #one(): void {
    const mutant = this.#mutator.next();
    const { place, length, vlan, mark, size } = mutant;
    const programs = length === 0 && vlan === 0 ? this.#plain : this.#prepared;
    const program = programs.get(place);
    if (program === undefined) throw new Error(`no program for ${place}`);
    const ifindex = this.#dataPlane.ifindex(mutant.on);
    const verdict = this.#runs.run(program, this.#mutator.frame, size, {
      ifindex,
      mark,
      control: [0, length, vlan],
    });
    this.#index++;
    if (verdict === undefined || (verdict === -1 && program !== this.#plain.get(place))) {
      this.#figures.refused++;
      return;
    }
    this.#figures.frames++;
    const broken = this.#judge(mutant, verdict);
    if (broken !== undefined) this.#fail(broken, { mutant, frame: this.#mutator.frame.subarray(0, size) });
  }

  /** What is wrong with the verdict or the accounts; undefined when nothing is. */
  #judge(mutant: Mutant, verdict: number): string | undefined {
    const figures = this.#figures;
    const frame = this.#mutator.frame.subarray(0, mutant.size);
    const drops: number[] = [];
    let copies = 0;
    let forwarded = 0;
    for (const [index, domain] of DOMAINS.entries()) {
      const grown: Grown | undefined = this.#tally.grown(index);
      if (grown === undefined) continue;
      if (domain !== 0 && domain !== chargedTo(mutant, frame, this.#inVlans))
        return `charged to domain ${domain}: ${JSON.stringify(grown)}`;
      drops.push(...grown.drops.filter((reason) => reason !== REPLICATION_FAILED));
      copies += grown.replicated;
      forwarded += grown.encapsulated + grown.local;
    }
    for (const reason of drops)
      figures.drops[dropReasonName(reason)] = (figures.drops[dropReasonName(reason)] ?? 0) + 1;
    const accounts = `${drops.map(dropReasonName).join(', ') || 'no'} drops, ${copies} copies, ${forwarded} forwarded`;
    switch (verdict) {
      case PASS:
        figures.verdicts.pass++;
        return drops.length + copies + forwarded === 0 ? undefined : `passed, but ${accounts}`;
      case DROP:
        figures.verdicts.drop++;
        if (copies > 0) {
          figures.copied++;
          figures.copies += copies;
          this.#send(mutant, frame);
        }
        return drops.length === (copies > 0 ? 0 : 1) && forwarded === 0
          ? undefined
          : `dropped, but ${accounts}`;
      case REDIRECT: {
        figures.verdicts.redirect++;
        this.#send(mutant, frame);
        const [reason] = drops;
        if (reason === undefined) return copies === 0 ? undefined : `redirected, but ${accounts}`;
        figures.errors++;
        return drops.length === 1 && ERROR_REASONS.has(reason) ? undefined : `redirected, but ${accounts}`;
      }
      default:
        return `verdict ${verdict}`;
    }
  }

  #send(mutant: Mutant, frame: Buffer): void {
    // Whose a later fragment is depends on what was sorted before it, in each of the data planes.
    if (mutant.place === 'sorter' && isLaterFragment(frame)) return;
    const domain = deliveredTo(mutant, frame, this.#inVlans);
    const sent = this.#pending.get(domain) ?? [];
    this.#pending.set(domain, sent);
    sent.push({ mutant, frame: Buffer.from(frame) });
  }

  /** Puts frames that are all for one domain on the wire: nobody else may get anything. */
  #flush(domain: number, sent: Sent[]): void {
    const others = this.#delivered(domain, sent);
    this.#figures.injected += sent.length;
    if (others !== undefined) {
      const [culprit] = this.#culprits(domain, sent);
      if (culprit !== undefined) this.#fail(`a frame for domain ${domain}, ${others}`, culprit);
      throw new Error(
        `one of ${sent.length} frames for domain ${domain}, ${others}, with seed ${this.#seed} before frame ${this.#index}; not so again`,
      );
    }
    sent.length = 0;
  }

  /** One of the frames, found by halves; none when they do not do it again. */
  #culprits(domain: number, sent: readonly Sent[]): readonly Sent[] {
    if (sent.length < 2) return sent;
    const middle = sent.length >> 1;
    const half = [sent.slice(0, middle), sent.slice(middle)].find(
      (part) => this.#delivered(domain, part) !== undefined,
    );
    return half === undefined ? [] : this.#culprits(domain, half);
  }

  /** Who else got something of it; undefined when nobody did. */
  #delivered(domain: number, sent: readonly Sent[]): string | undefined {
    const before = this.#hits;
    this.#wire.inject(sent);
    this.#hits = this.#wire.settledHits();
    const wrong: string[] = [];
    for (const [index, count] of this.#hits.entries()) {
      const growth = count - (before[index] ?? 0);
      if (growth === 0 || index === 0) continue;
      this.#figures.delivered[`domain ${index}`] = (this.#figures.delivered[`domain ${index}`] ?? 0) + growth;
      if (index !== domain) wrong.push(`${growth} delivered to ${index}`);
    }
    return wrong.length === 0 ? undefined : wrong.join(', ');
  }

  #fail(what: string, { mutant, frame }: Sent): never {
    throw new Error(
      `${what}; seed ${this.#seed}, frame ${this.#index}: ${JSON.stringify(mutant)}\n${frame.toString('hex')}`,
    );
  }

  /** Copies that are made in test runs end where they arrive. */
  #swallowCopies(t: Test): void {
    const object = BpfObject.open(compileFixture(t, 'encap-far-end'));
    t.teardown(() => object.close());
    object.load();
    const swallow = object.program('far_judge');
    const near = links.map((link) => this.#dataPlane.ifindex(link));
    const far = links.map((link) => this.#dataPlane.farIfindex(link));
    inNetns(this.#dataPlane.namespace, () => {
      for (const ifindex of near) attachTc(ifindex, 'ingress', swallow);
    });
    inNetns(this.#dataPlane.farNamespace, () => {
      for (const ifindex of far) attachTc(ifindex, 'ingress', swallow);
    });
  }
}
