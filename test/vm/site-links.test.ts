/** The link of tunnels where the kernel has ESP: an xfrm interface of the context's own, made, mended and removed. */
import t from 'tap';
import { inNetns } from '../../src/linux/netns.ts';
import { nftGeneration } from '../../src/linux/nftables.ts';
import {
  applySiteLinks,
  inspectSiteLinks,
  removeSiteLinks,
  type SitePath,
  type SitePlace,
} from '../../src/s2s/site-links.ts';
import { Lab } from '../lab/lab.ts';
import type { Namespace } from '../lab/namespace.ts';
import { sitePlan } from '../lab/site-plan.ts';

const own = '10.254.254.2';
const path: SitePath = { prefix: '192.168.50.0/24', metric: 0, connection: 'branch', isWaiting: false };
let [lab, context]: [Lab?, Namespace?] = [];

t.before(async () => {
  lab = await Lab.create(`vl${process.pid}`);
  context = await lab.namespace('ctx');
  // As in a routing context (gateway/context-settings.ts): no link has an address of its own accord.
  await context.runChecked(['sysctl', '-qw', 'net.ipv6.conf.all.addr_gen_mode=1']);
  await lab.veth(context, 'ext', await lab.namespace('out'), 'eth0');
  await context.ip('addr', 'add', `${own}/32`, 'dev', 'lo');
});
t.teardown(() => lab?.close());

t.test('an xfrm interface is made, known again, mended, and removed', async (t) => {
  if (context === undefined) throw new Error('the lab is not there');
  const { name: netns } = context;
  const ip = context.ip.bind(context);
  const place: SitePlace = { netns, engine: 'kernel', mtu: 1422, addresses: [own] };
  const apply = (): Promise<void> => applySiteLinks(place, [sitePlan()], [path]);
  const differences = (): string[] => inspectSiteLinks(place, [sitePlan()], [path]);
  await apply();
  t.same(differences(), []);
  const shown = await ip('-details', 'link', 'show', 'ipsec0');
  for (const part of [/ipsec0@ext/, /mtu 1422/, /xfrm if_id 0x1\b/, /addrgenmode none/]) t.match(shown, part);
  t.match(await ip('route', 'get', '192.168.50.10'), /dev ipsec0 src 10\.254\.254\.2/);

  const generation = inNetns(netns, nftGeneration);
  await apply();
  t.equal(await ip('-details', 'link', 'show', 'ipsec0'), shown, 'the second time nothing is done');
  t.equal(inNetns(netns, nftGeneration), generation);

  const way = 'the route 192.168.50.0/24 dev ipsec0 src 10.254.254.2 metric 1026 was missing';
  await ip('link', 'del', 'ipsec0');
  t.same(differences(), ['the link ipsec0 was missing', way]);
  await ip('link', 'add', 'ipsec0', 'up', 'type', 'dummy');
  t.same(differences(), ['the link ipsec0 was missing', way], 'another kind of link is none');
  await apply();
  t.same(differences(), []);

  await removeSiteLinks(netns, 'kernel');
  await t.rejects(ip('link', 'show', 'ipsec0'));
  t.equal(await ip('route', 'show', 'table', 'all', 'proto', '199'), '');
});
