/**
 * Forwarding without NAT on the real gateway: tenants with the same addresses, each on a VLAN of its own with a corporate network
 * that the other one has, too; a third one on the untagged network with NAT beside; both families, several next hops, and what
 * must not pass.
 */
import t, { type Test } from 'tap';
import { Capture } from '../lab/capture.ts';
import { CORPORATE_NIC, CorporateNetwork } from '../lab/corporate-network.ts';
import { dropsBetween, dropsOf } from '../lab/drop-counters.ts';
import { ask, type EchoAnswer, startEcho } from '../lab/echo.ts';
import { UPLINK_NIC } from '../lab/gateway-node.ts';
import { contextNamespaces } from '../lab/gateway-remains.ts';
import { FAR_ADDRESS } from '../lab/internet.ts';
import { Lab } from '../lab/lab.ts';
import { Pinger } from '../lab/pinger.ts';
import {
  addCorporate,
  buildRoutedDomains,
  CORPORATE_SUBNET,
  filesAt,
  LINK,
  LINK6,
  type RoutedDomain,
  VM_SUBNET6,
} from '../lab/routed-domains.ts';
import { SITE_SUBNET as OTHER_SUBNET, VM_SUBNET } from '../lab/site-domains.ts';
import { until } from '../lab/until.ts';
import { ping, VM_NIC } from '../lab/vm.ts';

const VLANS = [10, 20] as const;
const UNTAGGED_ROUTER = '198.51.100.50';
const UNTAGGED_DOMAIN = '198.51.100.60';
const EXTERNAL = '198.51.100.101';
const SQL_PORT = 1433;
/** So many that each of two next hops is chosen, but once in 2^39 times. */
const MANY = 40;

t.test('forwarding without NAT', { timeout: 180_000 }, async (t) => {
  const lab = await Lab.create(`fwd${process.pid}`);
  t.teardown(() => lab.close());
  const built = await buildRoutedDomains(lab, 3, () => VM_SUBNET6);
  const { gateway, corporate, internet } = built;
  const [first, second, shared] = built.domains;
  if (!first || !second || !shared) throw new Error('there are no three tenants');
  await Promise.all(built.domains.flatMap(({ vms }) => vms.map((vm) => vm.settled())));

  const makeTagged = async (domain: RoutedDomain, index: 0 | 1) => {
    const both = { ipv4: LINK.router, ipv6: LINK6.router };
    const network = await addCorporate(corporate, `corp${index}`, VLANS[index], both);
    await network.router.ipBatch([
      `route add ${VM_SUBNET} via ${LINK.domain}`,
      `route add ${VM_SUBNET6} via ${LINK6.domain}`,
      // The domain has nothing there, and is sent it all the same.
      `route add ${OTHER_SUBNET} via ${LINK.domain}`,
    ]);
    const body = {
      ...{ vlanId: VLANS[index], nextHops: [LINK.router, LINK6.router] },
      addresses: [`${LINK.domain}/${LINK.length}`, `${LINK6.domain}/${LINK6.length}`],
    };
    await domain.putForwarding(body);
    const endpoints = domain.vm.addresses.map((address) => filesAt(address).replace(/\d+$/, `${SQL_PORT}`));
    await startEcho(domain.vm.namespace, domain.vm.name, endpoints);
    return { domain, network, body };
  };
  const ends = [await makeTagged(first, 0), await makeTagged(second, 1)] as const;
  const [end, otherEnd] = ends;

  /** Asks from both sides; everyone is answered by its own, who sees the asker's own address. */
  const talk = async (t: Test, { domain, network }: typeof end) => {
    for (const [index, address] of domain.vm.addresses.entries()) {
      const host = network.hostAddress(network.spec.subnets[index]);
      const [out] = await ask(domain.vm.namespace, filesAt(host));
      t.match(out, { server: network.spec.name, address });
      const [inwards] = await ask(network.host, filesAt(address).replace(/\d+$/, `${SQL_PORT}`));
      t.match(inwards, { server: domain.vm.name, address: host });
    }
  };

  await t.test('tenants alike reach their own corporate networks, and are reached, unasked', async (t) => {
    const capture = await Capture.start(gateway.namespace, UPLINK_NIC);
    const corporateCaptures = await Promise.all(
      ends.map(({ network }) => Capture.start(network.router, CORPORATE_NIC)),
    );
    await talk(t, end);
    await capture.stop();
    const vlans = await capture.decode('tcp', ['vlan.id']);
    t.ok(vlans.length > 0);
    t.ok(
      vlans.every(([vlan]) => Number(vlan) === VLANS[0]),
      'everything has the tag of its VLAN',
    );
    const macs = await capture.decode('arp.opcode == 2 || icmpv6.type == 136', ['vlan.id', 'eth.src']);
    t.ok(
      macs.every(([vlan]) => Number(vlan) === VLANS[0]),
      'and so have ARP and ND',
    );
    await Promise.all(corporateCaptures.map((each) => each.stop()));
    t.same(
      await corporateCaptures[1]?.decode('ip || arp', ['frame.protocols']),
      [],
      'nothing of it in the other VLAN',
    );
    await talk(t, otherEnd);
  });

  await t.test('packets and errors are as from a router: TTL, and a hop in a traceroute', async (t) => {
    const { ttls } = await first.vm.ping(end.network.hostAddress(), 1);
    // From 64: the corporate router, the context, the distributed router.
    t.same(ttls, [61]);
    const hops = await first.vm.traceroute(end.network.hostAddress());
    t.match(hops.at(-1), { address: end.network.hostAddress() });
  });

  await t.test('what is not of the domain’s prefixes does not pass', async (t) => {
    const { network } = end;
    const before = await dropsOf(gateway, first.tenant.rdid);
    const atVm = await Capture.start(first.vm.namespace, VM_NIC, 'icmp || icmp6');
    t.equal((await ping(network.host, OTHER_SUBNET.replace('0/24', '9'))).received, 0);
    // As if VMs of the tenant's were in the corporate network.
    const spoofed = ['10.1.1.99/32', 'fd00:1::99/128'];
    await network.router.ipBatch(spoofed.map((address) => `addr add ${address} dev lo`));
    await Promise.all(
      spoofed.map((address, index) => {
        const from = ['-I', address.split('/')[0] ?? '', first.vm.addresses[index] ?? ''];
        return network.router.run(['ping', '-n', '-c', '2', '-W', '1', '-i', '0.2', ...from]);
      }),
    );
    await network.router.ipBatch(spoofed.map((address) => `addr del ${address} dev lo`));
    await atVm.stop();
    const requests = await atVm.decode('icmp.type == 8 || icmpv6.type == 128', ['frame.number']);
    t.same(requests, [], 'nothing arrives at the VM');
    const drops = dropsBetween(before, await dropsOf(gateway, first.tenant.rdid));
    // The kernel's own check of IPv4 sources counts nowhere.
    t.match(drops, { 'segment-destination': 3, 'context-refused': 2 });
  });

  await t.test('several next hops share the flows', async (t) => {
    const { domain, network, body } = end;
    const twin = await addCorporate(corporate, 'twin', VLANS[0], { ipv4: '172.31.0.2' });
    await twin.router.ip('route', 'add', VM_SUBNET, 'via', LINK.domain);
    await domain.putForwarding({ ...body, nextHops: ['172.31.0.2', LINK.router, LINK6.router] });
    const answers = await ask(domain.vm.namespace, filesAt(network.hostAddress()), { count: MANY });
    t.ok(
      answers.every((answer) => answer !== null),
      'all are answered',
    );
    t.same(serversOf(answers), ['corp0', 'twin']);
    await domain.putForwarding(body);
    t.same(serversOf(await ask(domain.vm.namespace, filesAt(network.hostAddress()), { count: MANY })), [
      'corp0',
    ]);
  });

  await t.test('one domain has NAT, and named prefixes routed over the untagged network', async (t) => {
    const network = await CorporateNetwork.create(corporate, {
      ...{ name: 'office', addresses: [`${UNTAGGED_ROUTER}/24`], subnets: [CORPORATE_SUBNET] },
    });
    await network.router.ip('route', 'add', VM_SUBNET, 'via', UNTAGGED_DOMAIN);
    await startEcho(network.host, 'office', [filesAt(network.hostAddress())]);
    await shared.putNat(EXTERNAL);
    await shared.putForwarding({
      ...{ addresses: [`${UNTAGGED_DOMAIN}/24`], nextHops: [UNTAGGED_ROUTER] },
      ...{ destinationPrefixes: [CORPORATE_SUBNET], advertise: [VM_SUBNET] },
    });
    const [routed] = await ask(shared.vm.namespace, filesAt(network.hostAddress()));
    t.match(routed, { server: 'office', address: shared.vm.ip });
    t.equal((await ping(network.host, shared.vm.ip)).received, 3, 'called unasked');
    const page = await shared.vm.fetch(`http://${FAR_ADDRESS}/`);
    t.match(JSON.parse(page.body), { yourAddress: EXTERNAL }, 'the rest by NAT');
    // The node itself goes on as it was.
    t.equal((await ping(internet.namespace, '198.51.100.2')).received, 3);
  });

  await t.test('a gateway that is killed costs nobody a packet', async (t) => {
    const pingers = await Promise.all([
      Pinger.answered(first.vm.namespace, end.network.hostAddress()),
      Pinger.answered(otherEnd.network.host, second.vm.ip),
      Pinger.answered(shared.vm.namespace, CORPORATE_SUBNET.replace('0/24', '10')),
    ]);
    await gateway.restart('SIGKILL');
    await end.domain.putForwarding(end.body);
    for (const pinger of pingers) {
      const { lost, sent } = await pinger.stop();
      t.same(lost, [], `none of ${sent} was lost`);
    }
  });

  await t.test('a change takes effect, and a wrong one leaves everything as it was', async (t) => {
    const { domain, network, body } = end;
    for (const [what, wrong, status] of [
      ['the VLAN of another', { ...body, vlanId: VLANS[1] }, 409],
      ['a next hop on no subnet', { ...body, nextHops: ['192.0.2.77'] }, 400],
      ['an interface that is not for it', { ...body, uplink: 'lo' }, 400],
    ] as const) {
      const answer = await gateway.api.request('PUT', `${domain.base}/forwarding`, wrong);
      t.equal(answer.status, status, `${what}: ${JSON.stringify(answer.body)}`);
    }
    await talk(t, end);
    await domain.putForwarding({ ...body, advertise: ['10.1.1.12/32'] });
    t.equal((await ping(network.host, '10.1.1.12')).received, 3);
    t.equal((await ping(network.host, '10.1.1.11', 2)).received, 0, 'only what is advertised');
    await domain.putForwarding(body);
    await talk(t, end);
  });

  await t.test('what is deleted is gone, and the others go on', async (t) => {
    const { domain, network } = end;
    await domain.delete('forwarding');
    t.equal((await ping(network.host, domain.vm.ip, 2)).received, 0);
    t.equal((await ping(network.router, LINK.domain, 2)).received, 0, 'the VLAN has nobody');
    await talk(t, otherEnd);
    await otherEnd.domain.delete('forwarding');
    await shared.delete('forwarding');
    const links = async () =>
      JSON.parse(await gateway.namespace.ip('-json', '-d', 'link', 'show')) as {
        ifname: string;
        promiscuity: number;
      }[];
    await until('the links are away', 5_000, async () =>
      (await links()).every(({ ifname }) => !ifname.startsWith(`${gateway.instance}f`)),
    );
    // The lab's switch is at the other end of it.
    t.equal((await links()).find(({ ifname }) => ifname === UPLINK_NIC)?.promiscuity, 0);
    t.equal((await contextNamespaces(gateway.instance)).length, 3, 'the contexts stay');
  });
});

const serversOf = (answers: readonly (EchoAnswer | null)[]): string[] =>
  [...new Set(answers.map((answer) => answer?.server ?? 'nobody'))].toSorted();
