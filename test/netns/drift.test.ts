/**
 * A gateway whose kernel is changed by hand: everything is found and mended, with an event for it; nothing leaves
 * untranslated meanwhile; and nothing is found where nothing was changed.
 */
import { rmSync } from 'node:fs';
import t, { type Test } from 'tap';
import { OWNER } from '../../src/encap/core.ts';
import { contextNames } from '../../src/gateway/names.ts';
import { BpfMap } from '../../src/linux/bpf-map.ts';
import { ifindexOf } from '../../src/linux/links.ts';
import { inNetns } from '../../src/linux/netns.ts';
import { writeSysctl } from '../../src/linux/sysctl.ts';
import { detachTc } from '../../src/linux/tc.ts';
import { runChecked } from '../lab/command.ts';
import { generationDirectory, mapEntries } from '../lab/data-plane-maps.ts';
import { DriftWatch } from '../lab/drift-watch.ts';
import { PROVIDER_NIC, UPLINK_NIC } from '../lab/gateway-node.ts';
import { pinDirectory } from '../lab/gateway-remains.ts';
import { kernelObjects } from '../lab/kernel-objects.ts';
import { Lab } from '../lab/lab.ts';
import { buildTopology, CONTOSO, FABRIKAM, provisionTenants, type Topology } from '../lab/topology.ts';
import { until } from '../lab/until.ts';

const INTERNET = '198.51.100.1';
/** What comes to the internet from an address that it does not know. */
const UNTRANSLATED = `table ip leak {
  chain in { type filter hook prerouting priority -300; ip saddr { 10.0.0.0/8, 192.168.0.0/16 } counter; }
}`;

interface Setting extends Topology {
  drift: DriftWatch;
  contosoNames: ReturnType<typeof contextNames>;
  fabrikamNames: ReturnType<typeof contextNames>;
}

async function setUp(t: Test): Promise<Setting> {
  const lab = await Lab.create(`drift${process.pid}`);
  t.teardown(() => lab.close());
  const topology = await buildTopology(lab);
  const { gateway, internet } = topology;
  await internet.namespace.runChecked(['nft', '-f', '-'], { input: UNTRANSLATED });
  await gateway.start();
  await provisionTenants(gateway.api);
  const drift = await DriftWatch.start(gateway);
  t.teardown(() => drift.close());
  return {
    ...topology,
    drift,
    contosoNames: contextNames(gateway.instance, CONTOSO.rdid),
    fabrikamNames: contextNames(gateway.instance, FABRIKAM.rdid),
  };
}

t.test('a gateway that is changed by hand', { timeout: 240_000 }, async (t) => {
  const setting = await setUp(t);
  const { gateway, internet, drift, contosoNames, fabrikamNames } = setting;
  const [vm] = setting.contoso;
  const [other] = setting.fabrikam;
  const { netns } = contosoNames;
  const ipBatch = (name: string, commands: string[]): Promise<unknown> =>
    runChecked(new Set(), 'nsenter', [`--net=/run/netns/${name}`, 'ip', '-batch', '-'], {
      input: commands.map((command) => `${command}\n`).join(''),
    });
  const nft = (name: string, script: string): Promise<unknown> =>
    runChecked(new Set(), 'nsenter', [`--net=/run/netns/${name}`, 'nft', '-f', '-'], { input: script });
  const works = async (t: Test): Promise<void> => {
    for (const each of [vm, other])
      await until(
        `${each.name} reaches the internet`,
        10_000,
        async () => (await each.ping(INTERNET, 1)).received === 1,
      );
    const { stdout } = await internet.namespace.runChecked(['nft', 'list', 'table', 'ip', 'leak']);
    t.match(stdout, /counter packets 0 bytes 0/, 'nothing has left untranslated');
    const { status } = (await gateway.api.get(`/v1/routing-domains/${CONTOSO.rdid}/nat`)) as {
      status: { state: string };
    };
    t.equal(status.state, 'ready');
  };
  const mended = async (t: Test, ...wanted: RegExp[]): Promise<string[]> => {
    const { reasons, ms } = await drift.mended(...wanted);
    t.comment(`mended after ${ms} ms: ${reasons.join(' ')}`);
    await works(t);
    return reasons;
  };
  await works(t);
  const before = { maps: mapEntries(gateway.instance), objects: await kernelObjects(gateway) };
  const isAsBefore = async (t: Test): Promise<void> => {
    // A link that was down has its routes anew, in another order; what stands again in a ruleset has new handles.
    const sorted = (json: string): string[] =>
      (JSON.parse(json) as object[]).map((route) => JSON.stringify(route)).sort();
    const comparable = (objects: Record<string, unknown>): object =>
      JSON.parse(JSON.stringify(objects), (name, value) => {
        if (name === 'ruleset') return String(value).replaceAll(/"handle":\d+/g, '');
        return name === 'routes' && typeof value === 'string' ? sorted(value) : value;
      });
    t.same(comparable(await kernelObjects(gateway)), comparable(before.objects), 'everything is as it was');
    t.same(mapEntries(gateway.instance), before.maps, 'and so are the maps');
  };

  // A sweep every three seconds finds it, so each wait is for as much as can be damaged at once.
  await t.test('addresses, routes, links, rules and settings, opened as wide as they go', async (t) => {
    const pings = vm.ping(INTERNET, 10);
    await ipBatch(netns, [
      ...['route del 10.1.1.0/24', 'route add 10.1.2.0/24 via 10.254.254.1 dev hnv onlink'],
      ...[
        'route add blackhole 203.0.113.0/24',
        'route append default via 169.254.1.1 dev ext onlink metric 0',
      ],
      ...['neigh del 10.254.254.1 dev hnv', 'addr add 192.0.2.9/32 dev ext', 'addr add 192.0.2.10/32 dev lo'],
      'link set ext mtu 1400',
      // An operator's own link, with what is on it, stays.
      ...['link add tap0 type veth peer name tap1', 'addr add 192.0.2.77/24 dev tap0', 'link set tap0 up'],
    ]);
    await nft(
      netns,
      `flush chain inet hnvgw leaving; flush chain inet hnvgw source;
       add chain inet hnvgw leaving { policy accept; }; add table inet operator`,
    );
    inNetns(netns, () => {
      writeSysctl('net/ipv4/conf/ext/rp_filter', '0');
      writeSysctl('net/ipv6/conf/hnv/accept_ra', '2');
    });
    await ipBatch(fabrikamNames.netns, ['link set hnv down']);
    await nft(
      fabrikamNames.netns,
      `delete element inet hnvgw external { ${FABRIKAM.externalAddress} };
       add chain inet hnvgw more; insert rule inet hnvgw leaving accept`,
    );
    await gateway.namespace.ip('link', 'set', fabrikamNames.externalPort, 'down');
    const reasons = await mended(
      t,
      ...[/route 10\.1\.1\.0\/24 .* was missing/, /route 10\.1\.2\.0\/24 .* was there/],
      ...[/203\.0\.113\.0\/24 .*blackhole/, /neighbour hnv 10\.254\.254\.1 .* was missing/],
      ...[/address ext 192\.0\.2\.9\/32 was there/, /address lo 192\.0\.2\.10\/32 was there/],
      ...[/link ext had the MTU 1400/, /link hnv was down/],
      new RegExp(`link ${fabrikamNames.externalPort} was down`),
      ...[/a rule of the chain leaving was missing or changed/, /a rule of the chain source was missing/],
      ...[/the chain leaving was missing or changed/, /setting net\/ipv4\/conf\/ext\/rp_filter was 0/],
      ...[/setting net\/ipv6\/conf\/hnv\/accept_ra was 2/, /external address 198\.51\.100\.102 was missing/],
      ...[/the chain more was there/, /a rule of the chain leaving was there that is not hnvgw's/],
    );
    await pings;
    t.notMatch(reasons.join(), /tap0|192\.0\.2\.77|operator/);
    const { stdout } = await runChecked(new Set(), 'ip', ['-n', netns, 'addr', 'show', 'dev', 'tap0']);
    t.match(stdout, /192\.0\.2\.77/);
    await nft(netns, 'delete table inet operator');
    await ipBatch(netns, ['link del tap0']);
    await isAsBefore(t);
  });

  await t.test('a whole ruleset, also one that sleeps; pins', async (t) => {
    await nft(netns, 'flush ruleset');
    await nft(fabrikamNames.netns, 'add table inet hnvgw { flags dormant; }');
    rmSync(pinDirectory(gateway.instance), { recursive: true });
    await mended(
      t,
      ...[/the nft table inet hnvgw was missing/, /the table hnvgw was missing or changed/],
      /the pin .*maps\/.* was missing/,
    );
    await isAsBefore(t);
  });

  await t.test('a namespace and a link', async (t) => {
    await gateway.namespace.run(['ip', 'netns', 'del', netns]);
    await gateway.namespace.ip('link', 'del', fabrikamNames.externalPort);
    await mended(t, /the namespace .* was missing/, /a link of the namespace .* was missing/);
  });

  await t.test('filters; map entries that are removed, changed or put there', async (t) => {
    inNetns(gateway.namespace.name, () => {
      for (const nic of [PROVIDER_NIC, UPLINK_NIC]) detachTc(ifindexOf(nic) ?? 0, 'ingress', OWNER);
    });
    await gateway.namespace.run(['tc', 'filter', 'del', 'dev', contosoNames.tenantPort, 'ingress']);
    await gateway.namespace.run(['tc', 'qdisc', 'del', 'dev', fabrikamNames.externalPort, 'clsact']);
    const maps = mapEntries(gateway.instance);
    const directory = generationDirectory(gateway.instance);
    for (const name of Object.keys(maps)) {
      const map = BpfMap.openPinned(`${directory}/maps/${name}`);
      const entries = map?.entries() ?? [];
      if (map === undefined || entries.length === 0) continue;
      const [[key, value] = [], [other] = []] = entries;
      if (key === undefined || value === undefined) continue;
      // One removed, one changed in its last byte, one with a key that nobody has, one of a domain that nobody knows.
      if (name === 'records' || name === 'ports_by_mac') map.delete(key);
      const changed = Uint8Array.from(map.lookup(other ?? key) ?? value);
      changed[changed.length - 1] = (changed.at(-1) ?? 0) ^ 0x80;
      map.update(other ?? key, changed);
      if (name === 'records' || name === 'providers') {
        const foreign = Uint8Array.from(other ?? key);
        foreign[foreign.length - 1] = (foreign.at(-1) ?? 0) ^ 0x55;
        map.update(foreign, value);
      }
      if (name === 'routes' || name === 'wildcards') {
        const nobodys = Buffer.from(key);
        nobodys.writeUInt32LE(77, name === 'routes' ? 4 : 0); // a route's key begins with its length
        map.update(nobodys, value);
      }
      map.close();
    }
    const names = Object.entries(maps).flatMap(([name, entries]) => (entries.length > 0 ? [name] : []));
    await mended(
      t,
      ...names.map((name) => new RegExp(`the map ${name}\\b`)),
      /an entry of the map records was missing/,
      ...[/pa0: the program provider was missing/, /wan0: the program uplink was missing/],
      ...[/the program of hnv was missing/, /the program of ext was missing/],
    );
    t.same(mapEntries(gateway.instance), maps, 'the maps are as they were');
  });

  await t.test('what is changed while the node is stopped is mended at its start', async (t) => {
    const maps = mapEntries(gateway.instance);
    await gateway.kill('SIGKILL'); // whose pins are there again
    await ipBatch(netns, ['route del 10.1.1.0/24', 'addr add 192.0.2.9/32 dev ext', 'link set hnv down']);
    await nft(netns, 'flush chain inet hnvgw input; add rule inet hnvgw source accept');
    inNetns(netns, () => writeSysctl('net/ipv4/ip_forward', '0'));
    await gateway.namespace.run(['tc', 'filter', 'del', 'dev', contosoNames.tenantPort, 'ingress']);
    await gateway.namespace.run(['ip', 'netns', 'del', fabrikamNames.netns]);
    const map = BpfMap.openPinned(`${generationDirectory(gateway.instance)}/maps/sources`);
    for (const [key] of map?.entries() ?? []) map?.delete(key);
    map?.close();
    await gateway.start();
    await works(t);
    const links = (entries: string[] | undefined): number | undefined => entries?.length;
    for (const [name, entries] of Object.entries(mapEntries(gateway.instance)))
      t.equal(links(entries), links(maps[name]), name);
    const { stdout } = await runChecked(new Set(), 'ip', ['-n', netns, 'addr', 'show', 'dev', 'ext']);
    t.notMatch(stdout, /192\.0\.2\.9/);
  });

  await t.test('nothing is found where nothing was changed, also while policy changes', async (t) => {
    const watch = await DriftWatch.start(gateway);
    t.teardown(() => watch.close());
    let isOver = false;
    const at = `/v1/routing-domains/${CONTOSO.rdid}`;
    const churn = (async () => {
      for (let i = 0; !isOver; i++) {
        await gateway.api.put(`${at}/lookup-records/churn`, {
          ...{ customerAddress: `10.1.1.${100 + (i % 100)}`, virtualSubnetId: CONTOSO.vsid },
          ...{ macAddress: '02:00:00:50:01:99', providerAddress: '192.168.1.10', type: 'static' },
        });
        const more = i % 2 === 0 ? [{ ipAddress: '198.51.100.110' }] : [];
        await gateway.api.put(`${at}/nat`, {
          externalAddresses: [{ ipAddress: CONTOSO.externalAddress }, ...more],
        });
        if (i % 5 === 0) await gateway.api.delete(`${at}/lookup-records/churn`);
      }
    })();
    // Each time that something is found, everything has been looked at.
    for (let sweep = 0; sweep < 2; sweep++) {
      await ipBatch(fabrikamNames.netns, ['route del 10.1.1.0/24']);
      const { reasons } = await watch.mended(/10\.1\.1\.0\/24/);
      t.equal(reasons.length, 1, reasons.join('\n'));
    }
    isOver = true;
    await churn;
  });
});
