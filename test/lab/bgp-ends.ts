/**
 * Tenants on the real gateway with the same addresses, the same peers and the same AS numbers, whose corporate routers speak BGP by
 * independent implementations: BIRD for the first, FRR for the second.
 */
import type { Test } from 'tap';
import { type BgpSpeaker, BirdSpeaker, FrrSpeaker } from './bgp-speaker.ts';
import type { CorporateNetwork } from './corporate-network.ts';
import { ask } from './echo.ts';
import type { Lab } from './lab.ts';
import { Pinger, type PingerResult } from './pinger.ts';
import {
  addCorporate,
  buildRoutedDomains,
  CORPORATE_SUBNET,
  filesAt,
  LINK,
  type RoutedDomain,
  type RoutedDomains,
} from './routed-domains.ts';
import { VM_SUBNET } from './site-domains.ts';
import { ping } from './vm.ts';

const VLANS = [10, 20] as const;
const SETTLED_MS = 200;
export const OWN_ASN = 4_200_000_001;
export const CORPORATE_ASN = 65_010;
export const PASSWORD = 'both-know-it';
/** Both tenants have it, with BFD for the first. */
export const PEER = {
  ...{ name: 'corporate', address: LINK.router, asn: CORPORATE_ASN },
  ...{ password: PASSWORD, holdTimeSeconds: 30, maximumPrefixes: 20_000 },
};
export const PEER_WITH_BFD = { ...PEER, bfd: {} };

/** A tenant and what it is connected with. */
export class BgpEnd<Speaker extends BgpSpeaker = BgpSpeaker> {
  readonly domain: RoutedDomain;
  readonly network: CorporateNetwork;
  readonly speaker: Speaker;

  constructor(domain: RoutedDomain, network: CorporateNetwork, speaker: Speaker) {
    this.domain = domain;
    this.network = network;
    this.speaker = speaker;
  }

  /** Waits until the session and its routes are there, on both sides. */
  async isWhole(): Promise<void> {
    await this.domain.peerIsUp();
    await this.domain.learns([CORPORATE_SUBNET]);
    await this.speaker.established();
    await this.speaker.learned([VM_SUBNET]);
  }

  /** VM and corporate host are each answered by their own. */
  async talk(t: Test): Promise<void> {
    const { domain, network } = this;
    const [answer] = await ask(domain.vm.namespace, filesAt(network.hostAddress()));
    t.match(answer, { server: network.spec.name, address: domain.vm.ip });
    t.equal((await ping(network.host, domain.vm.ip, 1)).received, 1);
  }
}

export interface BgpEnds {
  built: RoutedDomains;
  first: BgpEnd<BirdSpeaker>;
  second: BgpEnd<FrrSpeaker>;
}

/** Both sides are configured; sessions may not be there yet. */
export async function buildBgpEnds(lab: Lab): Promise<BgpEnds> {
  const built = await buildRoutedDomains(lab, 2);
  const [one, other] = built.domains;
  if (!one || !other) throw new Error('there are no two tenants');
  const specOf = (bfd: boolean) => ({
    ...{ asn: CORPORATE_ASN, routerId: LINK.router, networks: [CORPORATE_SUBNET] },
    neighbors: [
      {
        ...{ address: LINK.domain, asn: OWN_ASN, localAddress: LINK.router },
        ...{ password: PASSWORD, bfd, holdTimeSeconds: 30 },
      },
    ],
  });
  const networks = [
    await addCorporate(built.corporate, 'corp0', VLANS[0]),
    await addCorporate(built.corporate, 'corp1', VLANS[1]),
  ] as const;
  const first = new BgpEnd(one, networks[0], await BirdSpeaker.start(networks[0].router, specOf(true)));
  const second = new BgpEnd(other, networks[1], await FrrSpeaker.start(networks[1].router, specOf(false)));
  for (const [index, { domain }] of [first, second].entries()) {
    const addresses = [`${LINK.domain}/${LINK.length}`];
    await domain.putForwarding({ vlanId: VLANS[index], addresses, advertise: [VM_SUBNET] });
    await domain.putBgp({ asn: OWN_ASN, peers: [index === 0 ? PEER_WITH_BFD : PEER] });
  }
  return { built, first, second };
}

/** Runs `work` while packets go both ways; none may be lost of those in `unharmed`. */
export async function underPing(
  t: Test,
  unharmed: readonly BgpEnd[],
  work: () => Promise<void>,
): Promise<void> {
  for (const { sent, lost, longestGap } of await pinged(unharmed, work))
    t.same(lost, [], `none of ${sent} pings was lost, with gaps of ${longestGap} ms at most`);
}

/** What became of the packets that went both ways during `work`. */
export async function pinged(ends: readonly BgpEnd[], work: () => Promise<void>): Promise<PingerResult[]> {
  const pingers = await Promise.all(
    ends.flatMap(({ domain, network }) => [
      Pinger.answered(domain.vm.namespace, network.hostAddress()),
      Pinger.answered(network.host, domain.vm.ip),
    ]),
  );
  try {
    await work();
    // So that what was lost last is behind the newest answers, which a pinger leaves out.
    const end = Date.now() + SETTLED_MS;
    await Promise.all(pingers.map((pinger) => pinger.answerAfter(end)));
  } catch (error) {
    await Promise.all(pingers.map((pinger) => pinger.stop()));
    throw error;
  }
  return Promise.all(pingers.map((pinger) => pinger.stop()));
}
