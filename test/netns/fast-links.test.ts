/**
 * Where the fast path is, by the configuration: in the drivers of a real gateway's NICs, which are veths here and take native
 * XDP, or behind them. What it does with packets, other tests show.
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import type { FastPathStatus, NodeStatus } from '../../src/api/operations.ts';
import { decodeFastLink, decodeInterfaceKey, encodeFastLink } from '../../src/encap/layout.generated.ts';
import type { BpfMap } from '../../src/linux/bpf-map.ts';
import { BpfObject } from '../../src/linux/bpf-object.ts';
import { ifindexOf } from '../../src/linux/links.ts';
import { inNetns } from '../../src/linux/netns.ts';
import { readSysctl, writeSysctl } from '../../src/linux/sysctl.ts';
import { attachXdp } from '../../src/linux/xdp.ts';
import { compileFixture } from '../bpf/fixtures/compile.ts';
import { generationDirectory, withMap } from '../lab/data-plane-maps.ts';
import { DriftWatch } from '../lab/drift-watch.ts';
import { Fabric } from '../lab/fabric.ts';
import { GatewayNode, PROVIDER_NIC, UPLINK_NIC } from '../lab/gateway-node.ts';
import { Internet } from '../lab/internet.ts';
import { Lab } from '../lab/lab.ts';

const PROVIDER = '/v1/provider-addresses/192.168.1.20?wait=10s';
/** An uplink whose driver knows no XDP. */
const MACVLAN = 'fw0';
/** As the kernel shows it, IFLA_XDP_ATTACHED. */
const NATIVE = 1;
const FORWARDING = ['net/ipv4/conf/lo/forwarding', 'net/ipv6/conf/lo/forwarding'];

interface Shown {
  ifname: string;
  xdp?: { mode: number; prog: { id: number; name: string } };
}

t.test('the fast path and the NICs of a gateway', { timeout: 120_000 }, async (t) => {
  const lab = await Lab.create(`fl${process.pid}`);
  t.teardown(() => lab.close());
  const fabric = await Fabric.create(lab);
  const gateway = await GatewayNode.create(fabric, 'gw', '192.168.1.20/24');
  const { namespace } = gateway;
  await Internet.create(lab, namespace, UPLINK_NIC);
  await namespace.ip('link', 'add', MACVLAN, 'link', UPLINK_NIC, 'up', 'type', 'macvlan');
  const inside = <T>(use: () => T): T => inNetns(namespace.name, use);

  const programs = async (): Promise<Record<string, Shown['xdp']>> => {
    const links = JSON.parse(await namespace.ip('-json', '-details', 'link', 'show')) as Shown[];
    return Object.fromEntries(links.flatMap(({ ifname, xdp }) => (xdp === undefined ? [] : [[ifname, xdp]])));
  };
  const tagsOff = async (nic: string): Promise<boolean> => {
    const { stdout } = await namespace.runChecked(['ethtool', '-k', nic]);
    return /^rx-vlan-offload: on/m.test(stdout);
  };
  const status = async (): Promise<NodeStatus> => (await gateway.api.get('/v1/status')) as NodeStatus;
  const carriers = async (): Promise<FastPathStatus['interfaces']> =>
    (await status()).fastPath?.interfaces ?? [];
  const map = <T>(use: (map: BpfMap) => T): T => withMap(gateway.instance, 'fast_links', use);
  /** By NIC, whether frames may be redirected there. */
  const entries = (): Record<string, number> => {
    const names = new Map(
      [PROVIDER_NIC, UPLINK_NIC, MACVLAN].map((name) => [inside(() => ifindexOf(name)), name]),
    );
    return map((opened) =>
      Object.fromEntries(
        opened
          .entries()
          .map(([key, value]) => [
            names.get(decodeInterfaceKey(key).ifindex) ?? '?',
            decodeFastLink(value).hasXdp,
          ]),
      ),
    );
  };
  const putProvider = (): Promise<unknown> =>
    gateway.api.put(PROVIDER, { interface: PROVIDER_NIC, prefixLength: 24 });
  const restart = async (xdp: string): Promise<void> => {
    await gateway.configure({ dataplane: { xdp }, forwarding: { interfaces: [MACVLAN] } });
    await gateway.restart('SIGKILL');
  };
  const isNative = async (t: Test, ...nics: string[]): Promise<void> => {
    const found = await programs();
    for (const nic of nics) {
      t.match(found[nic], { mode: NATIVE, prog: { name: 'hnv_fast' } }, nic);
      t.equal(await tagsOff(nic), false, `${nic} leaves VLAN tags in the frames`);
    }
  };

  await gateway.configure({ dataplane: { xdp: 'native' }, forwarding: { interfaces: [MACVLAN] } });
  await gateway.start();
  await putProvider();
  const drift = await DriftWatch.start(gateway);
  t.teardown(() => drift.close());

  await t.test(
    'native: in each driver that takes it; behind that which does not, with a warning',
    async (t) => {
      await isNative(t, PROVIDER_NIC, UPLINK_NIC);
      t.same(Object.keys(await programs()).sort(), [PROVIDER_NIC, UPLINK_NIC].sort());
      t.same(entries(), { [PROVIDER_NIC]: 1, [UPLINK_NIC]: 1, [MACVLAN]: 0 });
      t.match(Object.fromEntries((await carriers()).map(({ name, ...how }) => [name, how])), {
        [PROVIDER_NIC]: { carrier: 'native' },
        [UPLINK_NIC]: { carrier: 'native' },
        [MACVLAN]: { carrier: 'generic', reason: /^its driver refuses: / },
      });
      t.match(
        (await status()).warnings.join('\n'),
        /dataplane\.xdp is native, but fw0 is not: its driver refuses/,
      );
      t.same(
        inside(() => FORWARDING.map(readSysctl)),
        ['1', '1'],
      );
    },
  );

  await t.test('what is changed by hand is told and mended', async (t) => {
    await namespace.ip('link', 'set', UPLINK_NIC, 'xdpdrv', 'off');
    await namespace.runChecked(['ethtool', '-K', PROVIDER_NIC, 'rxvlan', 'on']);
    inside(() => writeSysctl(FORWARDING[0] ?? '', '0'));
    map((opened) => {
      const [key] = opened.entries()[0] ?? [];
      if (key !== undefined) opened.update(key, encodeFastLink({ hasXdp: 7 }));
    });
    await drift.mended(
      ...[/wan0: the program fast was missing/, /pa0: rx-vlan-offload was on/],
      ...[/setting net\/ipv4\/conf\/lo\/forwarding was 0/, /the map fast_links/],
    );
    await isNative(t, PROVIDER_NIC, UPLINK_NIC);
    t.same(entries(), { [PROVIDER_NIC]: 1, [UPLINK_NIC]: 1, [MACVLAN]: 0 });
    t.equal(
      inside(() => readSysctl(FORWARDING[0] ?? '')),
      '1',
    );
  });

  await t.test('a process that comes after SIGKILL replaces nothing', async (t) => {
    const before = await programs();
    await gateway.restart('SIGKILL');
    t.same(await programs(), before);
    await isNative(t, PROVIDER_NIC, UPLINK_NIC);
    t.same(entries(), { [PROVIDER_NIC]: 1, [UPLINK_NIC]: 1, [MACVLAN]: 0 });
  });

  await t.test('a NIC that is none of ours any more is as it was', async (t) => {
    await gateway.api.delete(PROVIDER);
    t.same(Object.keys(await programs()), [UPLINK_NIC]);
    t.equal(await tagsOff(PROVIDER_NIC), true);
    t.same(entries(), { [UPLINK_NIC]: 1, [MACVLAN]: 0 });
    await putProvider();
    await isNative(t, PROVIDER_NIC);
  });

  await t.test(
    'auto: virtual links are left to TC, and what an earlier process put there goes',
    async (t) => {
      await restart('auto');
      t.same(await programs(), {});
      t.equal(await tagsOff(PROVIDER_NIC), true);
      t.same(entries(), { [PROVIDER_NIC]: 0, [UPLINK_NIC]: 0, [MACVLAN]: 0 });
      const found = Object.fromEntries((await carriers()).map(({ name, reason }) => [name, reason]));
      t.same(found, {
        [PROVIDER_NIC]: 'a veth is a virtual link',
        [UPLINK_NIC]: 'a veth is a virtual link',
        [MACVLAN]: 'a macvlan is a virtual link',
      });
      t.same(
        (await status()).warnings.filter((warning) => warning.includes('dataplane')),
        [],
      );
    },
  );

  await t.test('somebody else’s program stays where it is, and is told', async (t) => {
    const object = BpfObject.open(compileFixture(t, 'linux-drivers'));
    t.teardown(() => object.close());
    object.load();
    const stranger = object.program('test_xdp_count');
    inside(() => attachXdp(ifindexOf(UPLINK_NIC) ?? 0, stranger, 'native'));
    await restart('native');
    t.equal((await programs())[UPLINK_NIC]?.prog.id, stranger.id);
    t.equal(await tagsOff(UPLINK_NIC), true, 'and its NIC as it was');
    await isNative(t, PROVIDER_NIC);
    t.same(entries(), { [PROVIDER_NIC]: 1, [UPLINK_NIC]: 0, [MACVLAN]: 0 });
    t.match(
      (await status()).warnings.join('\n'),
      /but wan0 is not: it has the XDP program test_xdp_count \(id \d+\)/,
    );

    await restart('off');
    t.same(Object.keys(await programs()), [UPLINK_NIC]);
    t.equal((await programs())[UPLINK_NIC]?.prog.id, stranger.id);
    t.equal(await tagsOff(PROVIDER_NIC), true);
    t.same(entries(), {});
    t.same((await status()).fastPath, { reason: 'dataplane.xdp is off', interfaces: [] });
    t.equal(existsSync(join(generationDirectory(gateway.instance), 'programs/fast')), false);
  });
});
