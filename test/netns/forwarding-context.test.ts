/**
 * The link `fwd` of a routing context on the real gateway: it comes and goes beside NAT without a lost packet, on an interface
 * of its own that may be missing and come later; it survives the gateway, and what a hand has changed of it is mended.
 */
import t from 'tap';
import { contextNames } from '../../src/gateway/names.ts';
import { ifindexOf } from '../../src/linux/links.ts';
import { inNetns } from '../../src/linux/netns.ts';
import { RouteNetlink } from '../../src/linux/rtnetlink.ts';
import type { NetLink } from '../../src/linux/rtnetlink-messages.ts';
import { Capture } from '../lab/capture.ts';
import { DriftWatch } from '../lab/drift-watch.ts';
import { UPLINK_NIC } from '../lab/gateway-node.ts';
import { FAR_ADDRESS } from '../lab/internet.ts';
import { Lab } from '../lab/lab.ts';
import { buildManyDomains } from '../lab/many-domains.ts';
import { Pinger } from '../lab/pinger.ts';
import { RoutedDomain, VM_SUBNET6 } from '../lab/routed-domains.ts';
import { reachGateway, VM_SUBNET } from '../lab/site-domains.ts';
import { until } from '../lab/until.ts';
import { ping } from '../lab/vm.ts';

/** The gateway's interface to the office, whose router has these addresses there and hosts behind it. */
const NIC = 'corp0';
const ROUTER_NIC = 'cloud0';
const DOMAIN = ['172.31.0.254', 'fd00:c::fe'] as const;
const ROUTERS = ['172.31.0.1', 'fd00:c::1'] as const;
/** The same router once more. */
const TWINS = ['172.31.0.2', 'fd00:c::2'] as const;
const HOSTS = ['172.16.0.10', 'fd00:cc::10'] as const;
const EXTERNAL = '198.51.100.101';

t.test('the link of a context without NAT', { timeout: 150_000 }, async (t) => {
  const lab = await Lab.create(`fwc${process.pid}`);
  t.teardown(() => lab.close());
  const { gateway, domains } = await buildManyDomains(lab, 1, () => VM_SUBNET6);
  const [built] = domains;
  if (built === undefined) throw new Error('there is no tenant');
  const domain = new RoutedDomain(gateway, built.tenant, built.vms);
  const { vm } = domain;
  await reachGateway([vm]);
  const office = await lab.namespace('office');
  for (const path of ['net.ipv4.ip_forward', 'net.ipv6.conf.all.forwarding'])
    await office.runChecked(['sysctl', '-qw', `${path}=1`]);

  const { netns, segmentPort } = contextNames(gateway.instance, domain.tenant.rdid);
  const body = {
    uplink: NIC,
    addresses: [`${DOMAIN[0]}/24`, `${DOMAIN[1]}/64`],
    ...{ nextHops: ROUTERS, destinationPrefixes: ['172.16.0.0/12', 'fd00:cc::/32'] },
    advertise: [VM_SUBNET, VM_SUBNET6],
  };
  /** Makes the gateway's interface with the office at its other end. */
  const connect = async (): Promise<void> => {
    await lab.veth(gateway.namespace, NIC, office, ROUTER_NIC);
    await office.ipBatch([
      `link set ${ROUTER_NIC} address 02:00:00:00:cc:01`,
      ...[...ROUTERS, ...TWINS].map((address) =>
        address.includes(':')
          ? `addr add ${address}/64 dev ${ROUTER_NIC} nodad`
          : `addr add ${address}/24 dev ${ROUTER_NIC}`,
      ),
      `route replace ${VM_SUBNET} via ${DOMAIN[0]}`,
      `route replace ${VM_SUBNET6} via ${DOMAIN[1]}`,
    ]);
  };
  await office.ipBatch(
    HOSTS.map((address) => `addr add ${address}/${address.includes(':') ? 128 : 32} dev lo`),
  );

  const linkOf = (namespace: string, name: string): NetLink | undefined =>
    inNetns(namespace, () => RouteNetlink.use((reading) => reading.link(name)));
  const nic = (): NetLink | undefined => linkOf(gateway.namespace.name, NIC);
  const links = () => ['hnv', 'ext', 'fwd'].map((name) => inNetns(netns, () => ifindexOf(name)));
  const status = async () =>
    ((await gateway.api.get(`${domain.base}/forwarding`)) as { status: { state: string; reason?: string } })
      .status;
  const reaches = async (): Promise<void> => {
    for (const host of HOSTS)
      await until(`the VM reaches ${host}`, 10_000, async () => {
        const { received } = await ping(vm.namespace, host, 1);
        return received === 1;
      });
  };
  const natWorks = async (): Promise<void> => {
    const { body: page } = await vm.fetch(`http://${FAR_ADDRESS}/`);
    t.match(JSON.parse(page), { yourAddress: EXTERNAL }, 'NAT works');
  };
  await domain.putNat(EXTERNAL);
  const [tenantLink, externalLink] = links();
  const beside = await Pinger.answered(vm.namespace, FAR_ADDRESS);

  await t.test(
    'on an interface that is not there, forwarding has failed, and goes nowhere else',
    async (t) => {
      await gateway.configure({ forwarding: { interfaces: [NIC] } });
      await gateway.restart();
      await gateway.api.put(`${domain.base}/forwarding`, body);
      await until('forwarding has failed', 10_000, async () => (await status()).state === 'failed');
      t.match((await status()).reason, /there is no interface corp0 on this machine/);
      const capture = await Capture.start(gateway.namespace, UPLINK_NIC);
      t.equal((await ping(vm.namespace, HOSTS[0], 2)).received, 0);
      await capture.stop();
      t.same(await capture.decode(`ip.dst == ${HOSTS[0]}`, ['ip.src']), [], 'not by NAT either');
      await natWorks();
    },
  );

  await t.test('it begins when the interface comes, and again when it comes again', async (t) => {
    for (const time of ['first', 'second']) {
      await connect();
      await until('forwarding is ready', 10_000, async () => (await status()).state === 'ready');
      await reaches();
      for (const address of vm.addresses)
        t.equal((await ping(office, address)).received, 3, 'and is reached');
      t.equal(nic()?.isPromiscuous, true);
      if (time === 'second') break;
      await gateway.namespace.ip('link', 'del', NIC);
      await until('forwarding has failed', 10_000, async () => (await status()).state === 'failed');
    }
    await natWorks();
  });

  await t.test('a set of next hops changes without a lost packet', async (t) => {
    const pingers = await Promise.all(HOSTS.map((host) => Pinger.answered(vm.namespace, host)));
    const sets = [[...ROUTERS, ...TWINS], TWINS, [...TWINS, ...ROUTERS], ROUTERS];
    for (const nextHops of sets) await domain.putForwarding({ ...body, nextHops });
    for (const pinger of pingers) {
      const { lost, sent } = await pinger.stop();
      t.same(lost, [], `none of ${sent} was lost`);
    }
  });

  await t.test('a gateway that is killed finds it again', async (t) => {
    const before = links();
    const pingers = await Promise.all([
      Pinger.answered(vm.namespace, HOSTS[0]),
      Pinger.answered(office, vm.addresses[1] ?? ''),
    ]);
    await gateway.restart('SIGKILL');
    await domain.putForwarding(body);
    for (const pinger of pingers) {
      const { lost, sent } = await pinger.stop();
      t.same(lost, [], `none of ${sent} was lost`);
    }
    t.same(links(), before);
    t.equal(nic()?.isPromiscuous, true);
  });

  await t.test('what a hand has changed is mended', async (t) => {
    const drift = await DriftWatch.start(gateway);
    t.teardown(() => drift.close());
    const change = (...commands: string[]) =>
      lab.runChecked('nsenter', [`--net=/run/netns/${netns}`, 'ip', '-batch', '-'], {
        input: commands.map((command) => `${command}\n`).join(''),
      });
    await change(
      `addr del ${DOMAIN[0]}/24 dev fwd`,
      'route replace fd00:cc::/32 via fd00:c::2 dev fwd',
      'neigh replace 172.31.0.1 lladdr 02:00:00:00:00:99 nud permanent dev fwd',
      'link set fwd mtu 1400',
    );
    await lab.runChecked('nsenter', [
      ...[`--net=/run/netns/${netns}`, 'sysctl', '-qw'],
      ...['net.ipv4.conf.fwd.rp_filter=0', 'net.ipv4.fib_multipath_hash_policy=0'],
    ]);
    await gateway.namespace.ip('link', 'set', NIC, 'promisc', 'off');
    await drift.mended(
      ...[/address fwd 172\.31\.0\.254\/24 was missing/, /route fd00:cc::\/32 fwd fd00:c::1 \S+ was missing/],
      ...[/neighbour fwd 172\.31\.0\.1 \S+ was there/, /link fwd had the MTU 1400/],
      ...[/conf\/fwd\/rp_filter was 0/, /fib_multipath_hash_policy was 0/],
      ...[/promiscuous mode was off/],
    );
    await reaches();
    t.equal(nic()?.isPromiscuous, true);
    await gateway.namespace.ip('link', 'del', segmentPort);
    await drift.mended(/the link fwd was another, or missing/);
    await reaches();
    t.equal((await status()).state, 'ready');
    t.same(links().slice(0, 2), [tenantLink, externalLink], 'and nothing else was made anew');
  });

  await t.test('another network is another link, which knows no neighbour yet', async (t) => {
    const before = links();
    await domain.putForwarding({ ...body, vlanId: 30 });
    t.notSame(links(), before);
    t.equal(linkOf(gateway.namespace.name, segmentPort)?.alias, `${NIC}/30`);
    const capture = await Capture.start(office, ROUTER_NIC);
    await ping(vm.namespace, HOSTS[0], 1);
    await capture.stop();
    const tags = new Set((await capture.decode('arp', ['vlan.id'])).flat());
    t.same([...tags], ['30']);
    await domain.putForwarding(body);
    await reaches();
  });

  await t.test('it goes, and NAT has never noticed', async (t) => {
    await domain.delete('forwarding');
    t.same(links(), [tenantLink, externalLink, undefined]);
    t.equal(linkOf(gateway.namespace.name, segmentPort), undefined);
    t.equal(nic()?.isPromiscuous, false);
    t.equal((await ping(office, vm.ip, 2)).received, 0);
    const { lost, sent } = await beside.stop();
    t.same(lost, [], `none of ${sent} was lost`);
    await natWorks();
  });

  await t.test('what an operator has made promiscuous stays so', async (t) => {
    await gateway.namespace.ip('link', 'set', NIC, 'promisc', 'on');
    await domain.putForwarding(body);
    await reaches();
    await domain.delete('forwarding');
    t.equal(nic()?.isPromiscuous, true);
  });
});
