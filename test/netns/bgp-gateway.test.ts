/**
 * BGP on the real gateway with independent speakers, BIRD and FRR: two tenants with the same addresses, the same peers and the
 * same AS numbers, each with corporate networks that it learns, and one with a peer behind an IPsec tunnel.
 */
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { buildBgpEnds, CORPORATE_ASN, OWN_ASN, PEER, PEER_WITH_BFD, underPing } from '../lab/bgp-ends.ts';
import { BirdSpeaker } from '../lab/bgp-speaker.ts';
import { CORPORATE_NIC } from '../lab/corporate-network.ts';
import { runDirectory } from '../lab/gateway-remains.ts';
import { FAR_ADDRESS } from '../lab/internet.ts';
import { Lab } from '../lab/lab.ts';
import { CORPORATE_SUBNET, LINK } from '../lab/routed-domains.ts';
import { addSite, connectionTo, SITE_SUBNET, tunnelTo, VM_SUBNET } from '../lab/site-domains.ts';
import { GATEWAY_CUSTOMER_ADDRESS } from '../lab/topology.ts';
import { until } from '../lab/until.ts';
import { ping } from '../lab/vm.ts';

const EXTERNAL = '198.51.100.101';
const MANY = 10_000;

t.test('BGP', { timeout: 150_000 }, async (t) => {
  const lab = await Lab.create(`bgpg${process.pid}`);
  t.teardown(() => lab.close());
  const { built, first, second } = await buildBgpEnds(lab);
  const { gateway } = built;
  const bird = first.speaker;
  const bgpRoutesOf = async ({ netns }: typeof first.domain) =>
    (await lab.runChecked('ip', ['-n', netns, 'route', 'show', 'proto', 'bgp'])).stdout.trim();

  await t.test('peers learn the tenant’s prefixes, and the tenant theirs', async (t) => {
    await second.domain.putNat(EXTERNAL);
    for (const end of [first, second]) {
      await end.isWhole();
      await end.talk(t);
      const [route] = (await end.domain.routes()).filter(({ peer }) => peer !== undefined);
      t.match(route, {
        ...{ prefix: CORPORATE_SUBNET, nextHops: [LINK.router], peer: 'corporate', asPath: [CORPORATE_ASN] },
        ...{ origin: 'IGP', communities: [], best: true, installed: true },
      });
      const [told] = (await end.speaker.learned([VM_SUBNET])).values();
      t.match(told, { nextHops: [LINK.domain], asPath: [OWN_ASN] });
      await end.domain.peerIs('corporate', (peer) => {
        return peer.prefixesReceived === 1 && peer.prefixesAccepted === 1 && peer.prefixesSent === 1;
      });
      t.ok((await end.domain.bgp()).memoryBytes > 1_000_000);
      t.notMatch(JSON.stringify(await gateway.api.get(`${end.domain.base}/bgp`)), PEER.password);
    }
    await first.domain.peerIs('corporate', ({ bfd }) => bfd === 'up');
    await until('BFD is up on the other side', 5_000, async () => (await bird.bfd(LINK.domain)) === 'up');
    const page = await second.domain.vm.fetch(`http://${FAR_ADDRESS}/`);
    t.match(JSON.parse(page.body), { yourAddress: EXTERNAL }, 'what is not learned goes by NAT');
  });

  await t.test('policies and networks change without an end of the session', async (t) => {
    const before = await bird.connection(LINK.domain);
    await bird.setNetworks([
      ...[CORPORATE_SUBNET, '172.17.0.0/24', VM_SUBNET, '10.1.1.128/25', '127.0.0.0/8', `${LINK.domain}/32`],
      { prefix: '172.18.0.0/24', communities: ['65010:666'] },
    ]);
    await first.domain.learns([CORPORATE_SUBNET, '172.17.0.0/24', '172.18.0.0/24']);
    await first.domain.patchBgp({
      ...{ networks: [VM_SUBNET], hostRoutes: true },
      peers: [{ ...PEER_WITH_BFD, ingressPolicies: ['no-labs', 'no-666'], egressPolicies: ['mark'] }],
      policies: [
        { name: 'no-labs', type: 'Deny', matchPrefixes: ['172.17.0.0/16'] },
        { name: 'no-666', type: 'Deny', matchCommunities: ['65010:666'] },
        { name: 'mark', type: 'ModifyAttribute', addCommunities: ['65020:7'], prependAsn: 2, newMed: 50 },
      ],
    });
    await first.domain.learns([CORPORATE_SUBNET]);
    await bird.learned([VM_SUBNET, '10.1.1.11/32', '10.1.1.12/32']);
    await until('the peer is told with other attributes', 5_000, async () => {
      const { asPath = [], communities = [], med } = (await bird.routes()).get(VM_SUBNET) ?? {};
      return asPath.length === 3 && communities.includes('65020:7') && med === 50;
    });
    await bird.setNetworks([CORPORATE_SUBNET]);
    await first.domain.patchBgp({ networks: null, hostRoutes: false, peers: [PEER_WITH_BFD], policies: [] });
    await first.isWhole();
    t.equal(await bird.connection(LINK.domain), before);
  });

  await t.test('BFD ends a session long before its hold time', async (t) => {
    await first.network.router.ip('link', 'set', CORPORATE_NIC, 'down');
    const { lastError } = await first.domain.peerIs('corporate', ({ state }) => state !== 'Established');
    t.match(lastError, /BFD/i);
    t.equal(await bgpRoutesOf(first.domain), '');
    await first.network.router.ip('link', 'set', CORPORATE_NIC, 'up');
    await first.isWhole();
    await first.talk(t);
  });

  // FRR 8.4 takes one more than it should (docs/traps.md).
  await t.test('too many prefixes end the session and say so, until the limit is raised', async (t) => {
    const more = ['172.17.0.0/24', '172.18.0.0/24', '172.19.0.0/24'];
    await underPing(t, [second], async () => {
      await first.domain.patchBgp({ peers: [{ ...PEER_WITH_BFD, maximumPrefixes: 2 }] });
      await bird.setNetworks([CORPORATE_SUBNET, ...more]);
      const { lastError } = await first.domain.peerIs('corporate', ({ state }) => state !== 'Established');
      t.match(lastError, /prefix/i);
      await first.domain.patchBgp({ peers: [PEER_WITH_BFD] });
      await first.domain.learns([CORPORATE_SUBNET, ...more]);
    });
    await bird.setNetworks([CORPORATE_SUBNET]);
    await first.isWhole();
  });

  await t.test('ten thousand prefixes are learned, shown, and withdrawn', async (t) => {
    const many = Array.from({ length: MANY }, (_, index) => `100.${64 + (index >> 8)}.${index & 255}.0/24`);
    const begin = performance.now();
    await underPing(t, [first, second], async () => {
      await bird.setNetworks([CORPORATE_SUBNET, ...many]);
      await first.domain.peerIs('corporate', ({ prefixesAccepted }) => prefixesAccepted === MANY + 1, 30_000);
      await first.domain.learns([CORPORATE_SUBNET, ...many], 30_000);
      t.comment(`learned and shown after ${((performance.now() - begin) / 1000).toFixed(1)} s`);
      t.equal((await bgpRoutesOf(first.domain)).split('\n').length, MANY + 1, 'in the kernel');
      await bird.setNetworks([CORPORATE_SUBNET]);
      await first.isWhole();
    });
  });

  await t.test('what is wrong is refused, and what there is goes on', async (t) => {
    for (const [what, wrong] of [
      ['an AS that is nobody’s', { asn: 23_456 }],
      ['a policy that there is not', { peers: [{ ...PEER, ingressPolicies: ['none'] }] }],
      ['a peer on no network', { peers: [{ ...PEER, address: '203.0.113.77' }] }],
    ] as const) {
      const answer = await gateway.api.request('PATCH', `${first.domain.base}/bgp`, wrong);
      t.equal(answer.status, 400, `${what}: ${JSON.stringify(answer.body)}`);
    }
    await first.isWhole();
  });

  await t.test('a peer behind an IPsec tunnel brings the tunnel up, and its routes go by it', async (t) => {
    const { domain } = second;
    const site = await addSite(built, {
      ...{ name: 'site', addresses: ['192.0.2.10'], subnets: [SITE_SUBNET] },
      remotePrefixes: [VM_SUBNET, `${GATEWAY_CUSTOMER_ADDRESS}/32`],
    });
    await site.setTunnels([tunnelTo(EXTERNAL, site, 'a long key')]);
    const [siteRouter, siteAsn] = [SITE_SUBNET.replace('0/24', '1'), 65_020];
    const speaker = await BirdSpeaker.start(site.router, {
      ...{ asn: siteAsn, routerId: siteRouter, networks: [SITE_SUBNET] },
      neighbors: [
        { address: GATEWAY_CUSTOMER_ADDRESS, asn: OWN_ASN, localAddress: siteRouter, multihop: true },
      ],
    });
    await domain.putConnection('office', connectionTo(site, 'a long key', { initiate: 'onTraffic' }));
    await domain.patchBgp({
      peers: [PEER, { name: 'site', address: siteRouter, asn: siteAsn, multihop: 8, holdTimeSeconds: 9 }],
    });
    await domain.peerIsUp('site');
    await speaker.established();
    await speaker.learned([VM_SUBNET]);
    t.equal((await domain.vm.ping(site.hostAddress())).received, 3);
    t.equal((await ping(site.host, domain.vm.ip)).received, 3);
    await domain.patchBgp({ peers: [PEER] });
    await domain.deleteConnection('office');
    await second.isWhole();
  });

  await t.test('deletion ends FRR, and takes what was learned away; the other tenant goes on', async (t) => {
    await underPing(t, [second], async () => {
      await first.domain.delete('bgp');
      t.same(await first.domain.pids(), []);
      t.equal(await bgpRoutesOf(first.domain), '');
      await until('the peer has nothing any more', 15_000, async () => (await bird.routes()).size === 0);
    });
    await second.domain.delete('bgp');
    const folder = join(runDirectory(gateway.instance), 'bgp');
    t.same(await readdir(folder).catch(() => []), [], 'no files are left');
  });
});
