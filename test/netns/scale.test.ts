/**
 * Hundreds of routing domains on one gateway, a thousand with SCALE_DOMAINS=1000: provisioned through REST, each carries its
 * own traffic under its own public address, and each is gone without a trace when it is deleted. Time and memory are
 * printed, never judged, except for the bound on memory.
 */
import { readdirSync } from 'node:fs';
import t from 'tap';
import type { ApiClient } from '../lab/api-client.ts';
import { mapEntries } from '../lab/data-plane-maps.ts';
import { Fabric } from '../lab/fabric.ts';
import { GatewayNode, PROVIDER_NIC, UPLINK_NIC } from '../lab/gateway-node.ts';
import { Internet } from '../lab/internet.ts';
import { Lab } from '../lab/lab.ts';
import { echoRequest, nvgreFrame, readNvgre } from '../lab/nvgre-frame.ts';
import { RawLink } from '../lab/raw-link.ts';
import { until } from '../lab/until.ts';

const DOMAINS = Number(process.env.SCALE_DOMAINS ?? 400);
const RECORDS = 10;
const RSS_LIMIT_KIB = 400 * 1024;
/** Maps of what the node itself has: provider addresses and NICs. */
const OF_NODE = ['providers', 'uplinks', 'fast_links'];
const HOST = '192.168.1.10';
const GATEWAY = '192.168.1.20';
const GATEWAY_MAC = '02:00:00:00:fe:02';

const domains = Array.from({ length: DOMAINS }, (_, i) => ({
  rdid: `00000000-0000-4000-8000-${i.toString(16).padStart(12, '0')}`,
  vsid: 10_000 + 2 * i,
  gatewayVsid: 10_001 + 2 * i,
  external: `100.64.${i >> 8}.${i & 255}`,
}));
const vmAddress = (record: number): string => `10.1.1.${10 + record}`;
const vmMac = (record: number): string => `02:00:00:01:01:${(10 + record).toString(16).padStart(2, '0')}`;

async function provision(api: ApiClient, domain: (typeof domains)[number]): Promise<void> {
  const at = `/v1/routing-domains/${domain.rdid}`;
  await api.put(at, { name: `tenant ${domain.vsid}` });
  await Promise.all([
    api.put(`${at}/virtual-subnets/${domain.vsid}`, { addressPrefixes: ['10.1.1.0/24'] }),
    api.put(`${at}/virtual-subnets/${domain.gatewayVsid}`, {
      addressPrefixes: ['10.254.254.0/29'],
      isGatewaySubnet: true,
    }),
  ]);
  const records = Array.from({ length: RECORDS }, (_, i) =>
    api.put(`${at}/lookup-records/vm${i}`, {
      customerAddress: vmAddress(i),
      virtualSubnetId: domain.vsid,
      macAddress: vmMac(i),
      providerAddress: HOST,
      type: 'static',
    }),
  );
  await Promise.all(records);
  await api.put(`${at}/gateway`, {
    virtualSubnetId: domain.gatewayVsid,
    customerAddresses: ['10.254.254.2'],
    macAddress: GATEWAY_MAC,
  });
  await api.put(`${at}/nat?wait=60s`, { externalAddresses: [{ ipAddress: domain.external }] });
}

/** Runs `work` for all domains, eight at a time, as a portal would. */
async function forAll(work: (domain: (typeof domains)[number]) => Promise<unknown>): Promise<void> {
  const queue = domains.values();
  const worker = async (): Promise<void> => {
    for (const domain of queue) await work(domain);
  };
  await Promise.all(Array.from({ length: 8 }, worker));
}

const seconds = (since: number): string => `${((Date.now() - since) / 1000).toFixed(1)} s`;

t.test(
  'hundreds of routing domains forward each its own traffic and leave nothing behind',
  { timeout: 300_000 },
  async (t) => {
    const lab = await Lab.create(`scale${process.pid}`);
    t.teardown(() => lab.close());
    const fabric = await Fabric.create(lab);
    const node = await GatewayNode.create(fabric, 'gw', `${GATEWAY}/24`);
    const internet = await Internet.create(lab, node.namespace, UPLINK_NIC);
    await internet.namespace.ip('route', 'add', '100.64.0.0/16', 'via', '198.51.100.2');
    const host = await lab.namespace('host');
    await fabric.attach(host, 'pa', { wireFrames: false });
    await host.ip('addr', 'add', `${HOST}/24`, 'dev', 'pa');
    await node.start();
    await node.api.put(`/v1/provider-addresses/${GATEWAY}`, { interface: PROVIDER_NIC, prefixLength: 24 });
    const links = async (): Promise<string[]> =>
      (JSON.parse(await node.namespace.ip('-json', 'link', 'show')) as { ifname: string }[]).map(
        (l) => l.ifname,
      );
    const linksBefore = (await links()).sort();
    const idle = await node.rssKib();

    let began = Date.now();
    await forAll((domain) => provision(node.api, domain));
    t.comment(`provisioned ${DOMAINS} routing domains with ${RECORDS} records each in ${seconds(began)}`);
    const status = (await node.api.get('/v1/status')) as { routingDomains: unknown };
    t.same(status.routingDomains, { ready: DOMAINS, pending: 0, failed: 0 });
    const full = await node.rssKib();
    t.comment(`resident memory: ${idle >> 10} MiB idle, ${full >> 10} MiB full`);
    t.ok(full < RSS_LIMIT_KIB, `the process stays under 400 MiB (${full >> 10})`);

    const raw = await RawLink.open(host, 'pa');
    const addressOf = async (ns: typeof host, nic: string): Promise<string> =>
      (JSON.parse(await ns.ip('-json', 'link', 'show', 'dev', nic)) as { address: string }[])[0]?.address ??
      '';
    const frames = {
      destinationMac: await addressOf(node.namespace, PROVIDER_NIC),
      sourceMac: await addressOf(host, 'pa'),
    };
    /** VSIDs of the domains that have their answer. What the test's own socket loses is asked for again. */
    const forwarding = async (): Promise<Set<number>> => {
      const answered = new Set<number>();
      const byRdid = new Map(domains.map((domain) => [domain.rdid, domain]));
      const take = (frame: Buffer): void => {
        const nvgre = readNvgre(frame);
        if (nvgre?.inner[20] !== 0 || nvgre.innerDestinationMac !== vmMac(3)) return;
        // The data says whose request it was; it must come back in that domain's VSID, to that domain's VM.
        const owner = byRdid.get(nvgre.inner.toString('latin1', 28, 64));
        if (owner?.vsid !== nvgre.vsid)
          throw new Error(`an answer for ${owner?.vsid} came in VSID ${nvgre.vsid}`);
        answered.add(nvgre.vsid);
      };
      for (let round = 0; round < 5 && answered.size < DOMAINS; round++) {
        for (const domain of domains) {
          if (answered.has(domain.vsid)) continue;
          const inner = echoRequest(vmAddress(3), '198.51.100.1', domain.vsid & 0xffff, round, domain.rdid);
          await raw.send(
            nvgreFrame({
              ...frames,
              ...{ from: HOST, to: GATEWAY, vsid: domain.gatewayVsid, inner },
              ...{ innerDestinationMac: GATEWAY_MAC, innerSourceMac: vmMac(3) },
            }),
          );
        }
        await until('all answers', 2_000, async () => {
          for (const frame of raw.received.splice(0)) take(frame);
          return answered.size === DOMAINS;
        }).catch(() => t.comment(`round ${round}: ${answered.size} answers`));
      }
      return answered;
    };
    t.equal(
      (await forwarding()).size,
      DOMAINS,
      'every routing domain carries its own ping to the internet and back',
    );

    const contexts = (): string[] =>
      readdirSync('/run/netns').filter((name) => name.startsWith(`${node.instance}-`));
    const before = contexts();
    began = Date.now();
    await node.restart('SIGKILL');
    t.comment(
      `killed and ready again, all adopted, in ${seconds(began)}; ${(await node.rssKib()) >> 10} MiB`,
    );
    t.same(contexts(), before, 'the restart made and removed no namespace');
    t.equal((await forwarding()).size, DOMAINS, 'every routing domain still forwards after the restart');

    began = Date.now();
    await forAll((domain) => node.api.delete(`/v1/routing-domains/${domain.rdid}?wait=60s`));
    t.comment(`removed ${DOMAINS} routing domains in ${seconds(began)}`);
    await until('the kernel has let go', 60_000, async () => (await links()).length <= linksBefore.length);
    t.same((await links()).sort(), linksBefore, 'no interface is left');
    t.same(contexts(), [], 'no namespace is left');
    for (const [name, entries] of Object.entries(mapEntries(node.instance)))
      if (!OF_NODE.includes(name)) t.same(entries, [], `the map ${name} is empty`);
  },
);
