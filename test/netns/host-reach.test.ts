/**
 * Every VM of one VM network reaches every other one: three virtual subnets on two `hnvgw host` nodes and Open vSwitch, IPv4
 * and IPv6 in customer space, over provider addresses of each family, with the wire decoded by tshark.
 */
import t from 'tap';
import { familyOf } from '../lab/address.ts';
import { Capture } from '../lab/capture.ts';
import { ROUTER_MAC } from '../lab/hnv-flows.ts';
import { Lab } from '../lab/lab.ts';
import { ThreeHosts } from '../lab/three-hosts.ts';
import type { TunnelFrame } from '../lab/tunnel-frame.ts';
import type { Vm } from '../lab/vm.ts';
import { providerAddress, THREE_SUBNETS } from '../lab/vm-network.ts';

/** Pings that go on side by side. */
const AT_ONCE = 12;
const TTL = 64;
/** RFC 7637 section 3.2. */
const GRE_NVGRE = { flags: 0x2000, protocol: 0x6558 };

const hostOf = (vm: Vm): number => Number(vm.name.slice(-1)) - 1;

for (const providerFamily of [4, 6] as const) {
  t.test(`nine VMs over IPv${providerFamily} provider addresses`, { timeout: 120_000 }, async (t) => {
    const lab = await Lab.create(`h${providerFamily}r${process.pid}`);
    t.teardown(() => lab.close());
    const all = await ThreeHosts.build(lab, { providerFamily });
    await all.start();
    const { vms } = all;
    const pairs = vms.flatMap((from) => vms.filter((to) => to !== from).map((to) => ({ from, to })));
    const tries = pairs.flatMap(({ from, to }) => to.addresses.map((address) => ({ from, to, address })));
    const isRouted = (from: Vm, to: Vm) => from.spec.vsid !== to.spec.vsid;
    const family = providerFamily === 4 ? 'ip' : 'ip6';
    const capture = await Capture.start(all.fabric.namespace, 'pn0', `${family} proto 47`);

    await t.test('each answers each, with one TTL less between virtual subnets', async (t) => {
      t.equal(tries.length, 9 * 8 * 2);
      const found: string[] = [];
      const rest = [...tries];
      const worker = async () => {
        for (let next = rest.pop(); next !== undefined; next = rest.pop()) {
          const { received, ttls } = await next.from.ping(next.address, 1);
          found.push(`${next.from.name} ${next.to.name} ${next.address}: ${received}, TTL ${ttls.join()}`);
        }
      };
      await Promise.all(Array.from({ length: AT_ONCE }, worker));
      const expected = tries.map(({ from, to, address }) => {
        return `${from.name} ${to.name} ${address}: 1, TTL ${isRouted(from, to) ? TTL - 1 : TTL}`;
      });
      t.same(found.sort(), expected.sort());
    });

    await t.test(
      'on the wire are one question and one answer of each pair on two hosts, right in all parts',
      async (t) => {
        await capture.stop();
        const echoes = await capture.tunnels(
          'icmp.type == 8 || icmp.type == 0 || icmpv6.type == 128 || icmpv6.type == 129',
        );
        const shown = ({ outer, inner, vsid, flags, protocol }: TunnelFrame) =>
          [
            `${outer.source} ${outer.destination} VSID ${vsid} flags ${flags} protocol ${protocol}`,
            `${inner.sourceMac} ${inner.destinationMac} ${inner.source} ${inner.destination} TTL ${inner.ttl}`,
          ].join(': ');
        // Open vSwitch as a router leaves the sender's MAC.
        const sourceMac = (from: Vm, to: Vm) =>
          isRouted(from, to) && hostOf(from) !== 2 ? ROUTER_MAC : from.spec.mac;
        const expected = tries
          .filter(({ from, to }) => hostOf(from) !== hostOf(to))
          .flatMap(({ from, to, address }) => {
            const source = from.addresses.find((each) => familyOf(each) === familyOf(address)) ?? '';
            const frame = (sender: Vm, receiver: Vm, inner: readonly [string, string]) =>
              [
                `${providerAddress(providerFamily, hostOf(sender))} ${providerAddress(providerFamily, hostOf(receiver))}`,
                `VSID ${receiver.spec.vsid} flags ${GRE_NVGRE.flags} protocol ${GRE_NVGRE.protocol}:`,
                `${sourceMac(sender, receiver)} ${receiver.spec.mac} ${inner.join(' ')}`,
                `TTL ${isRouted(sender, receiver) ? TTL - 1 : TTL}`,
              ].join(' ');
            return [frame(from, to, [source, address]), frame(to, from, [address, source])];
          });
        t.equal(expected.length, 9 * 6 * 2 * 2);
        t.same(echoes.map(shown).sort(), expected.sort());
      },
    );

    await t.test('the nodes have dropped nothing', async (t) => {
      for (const node of all.nodes) {
        const counters = await node.api.get(`/v1/routing-domains/${THREE_SUBNETS.rdid}/counters`);
        t.same((counters as { drops: object }).drops, {});
        // Two other VMs for each of three; of both families; questions and answers.
        t.match(counters, { local: { packets: 3 * 2 * 2 * 2 } });
      }
    });
  });
}
