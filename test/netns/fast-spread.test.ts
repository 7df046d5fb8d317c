/**
 * Frames of one pair of hosts, which a NIC may give to one CPU all, are spread over CPUs by the conversations in them, when the
 * configuration says so: a real gateway, in whose drivers XDP is. All frames are sent from one CPU, where veths receive them.
 */
import { availableParallelism } from 'node:os';
import t from 'tap';
import {
  decodeSpread,
  decodeSpreadCpu,
  decodeTraffic,
  trafficSize,
} from '../../src/encap/layout.generated.ts';
import { BpfProgram } from '../../src/linux/bpf-program.ts';
import { ipJson } from '../../src/linux/iproute2.ts';
import { testRun } from '../../src/linux/test-run.ts';
import { frameBytes } from '../lab/crafted-packet.ts';
import { generationDirectory, withMap } from '../lab/data-plane-maps.ts';
import { DriftWatch } from '../lab/drift-watch.ts';
import { Lab } from '../lab/lab.ts';
import { stayOnThisCpu } from '../lab/one-cpu.ts';
import { type Running, TalkWires } from '../lab/talk-wires.ts';
import { addProviderAddress, REMOTE, TalkingTenant, VMS } from '../lab/talking-tenant.ts';
import { until } from '../lab/until.ts';
import { NICS, WiredGateway } from '../lab/wired-gateway.ts';

const TALKS = 12;
const CPUS = [0, 1];
const XDP = { pass: 2, redirect: 4 } as const;

interface Shown {
  ifname: string;
  xdp?: { prog: { id: number; name: string } };
}

t.test(
  'one pair of hosts and several CPUs',
  {
    timeout: 90_000,
    skip: availableParallelism() < CPUS.length ? 'there is one CPU' : false,
  },
  async (t) => {
    stayOnThisCpu();
    const lab = await Lab.create(`spread${process.pid}`);
    t.teardown(() => lab.close());
    const gateway = await WiredGateway.create(await lab.namespace('wire'), 'native');
    const { namespace, instance } = gateway;
    const spreadOver = (cpus: number[]) =>
      gateway.configure({ dataplane: { xdp: 'native', spreadOver: cpus } });
    const programs = async (): Promise<Record<string, string>> => {
      const links = await ipJson<Shown>(['-details', 'link', 'show'], { netns: namespace.name });
      return Object.fromEntries(
        links.flatMap(({ ifname, xdp }) => (xdp ? [[ifname, `${xdp.prog.name} ${xdp.prog.id}`]] : [])),
      );
    };
    const entries = (name: string) => withMap(instance, name, (map) => map.entries());
    /** What frames are spread over: each CPU, and the program that it runs. */
    const spread = () => ({
      over: entries('spread_over').flatMap(([, value]) => {
        const { count, cpus } = decodeSpread(value);
        return [...cpus.slice(0, count)];
      }),
      programs: entries('spread_cpus').map(([key, value]) => [
        Buffer.from(key).readUInt32LE(),
        decodeSpreadCpu(value).program,
      ]),
    });
    /** Packets that came out of tunnels, by CPU. */
    const decapsulated = (): number[] => {
      const counts: number[] = [];
      for (const [, values] of entries('traffic'))
        for (let cpu = 0; cpu * trafficSize < values.length; cpu++) {
          const { decapPackets } = decodeTraffic(values.subarray(cpu * trafficSize, (cpu + 1) * trafficSize));
          counts[cpu] = (counts[cpu] ?? 0) + Number(decapPackets);
        }
      return counts;
    };

    await spreadOver(CPUS);
    await gateway.start();
    await addProviderAddress(gateway, NICS.provider.addresses[4]);
    const tenant = new TalkingTenant(gateway, 1);
    await tenant.provision();
    const wires = new TalkWires(gateway);
    const talks: Running[] = [];
    for (let index = 0; index < TALKS; index++)
      talks.push(
        await wires.open(tenant.rdid, tenant.talk(index % 2 ? 'tcp' : 'udp', {}, index % 4 < 2 ? 4 : 6)),
      );
    /** What comes of it, by CPU. */
    const during = async (talking: () => Promise<unknown>): Promise<number[]> => {
      const before = decapsulated();
      await talking();
      return decapsulated().map((count, cpu) => count - (before[cpu] ?? 0));
    };
    const busy = (counts: number[]): number => counts.filter((count) => count > 0).length;
    /** Each conversation becomes fast, which it stays on one CPU alone, and all of it arrives. */
    const exchangeAll = async (): Promise<void> => {
      for (const talk of talks) await wires.warm(talk);
    };

    const attached = await programs();
    const made = spread();
    await t.test('each CPU has conversations, and each conversation one CPU', async (t) => {
      t.match(Object.values(attached), [/^hnv_spread /, /^hnv_spread /]);
      t.same(made.over, CPUS);
      t.equal(busy(await during(exchangeAll)), CPUS.length);
      for (const talk of talks) t.equal(busy(await during(() => wires.exchange(talk))), 1);
    });

    await t.test('a frame’s CPU is that of its inner flow, in NVGRE alone', async (t) => {
      const program = BpfProgram.openPinned(`${generationDirectory(instance)}/programs/spread`);
      if (program === undefined) throw new Error('the program is not pinned');
      t.teardown(() => program.close());
      const leaves = (frame: FrameSpec): boolean => {
        const { retval } = testRun(program, { data: frameOf(frame) });
        if (retval !== XDP.pass && retval !== XDP.redirect) throw new Error(`the program answers ${retval}`);
        return retval === XDP.redirect;
      };
      for (const outer of [4, 6] as const)
        for (const inner of [4, 6] as const) {
          const flows = Array.from({ length: 64 }, (_, index) => ({ outer, inner, port: 3000 + index }));
          const away = flows.filter(leaves).length;
          t.ok(away > 16 && away < 48, `${away} of 64 flows of IPv${inner} in IPv${outer}`);
          t.ok(
            flows.every((flow) => leaves({ ...flow, size: 900, tos: 0x28 }) === leaves(flow)),
            'whatever its packets are',
          );
          t.notOk(
            flows.some((flow) => leaves({ ...flow, isPlain: true })),
            'plain packets stay',
          );
        }
      const pieces = [0x2000, 0x2001, 0x0002].flatMap((fragment) =>
        Array.from({ length: 8 }, (_, port) => leaves({ outer: 4, inner: 4, port, fragment })),
      );
      t.equal(new Set(pieces).size, 1, 'all fragments have one CPU, whatever seem to be their ports');
    });

    await t.test('all of it goes on without the process, and the next one replaces nothing', async (t) => {
      await gateway.kill('SIGKILL');
      const before = decapsulated();
      for (const talk of talks) for (const side of ['inside', 'outside'] as const) wires.say(talk, side);
      await until('all arrive', 5_000, () => {
        const counts = decapsulated().map((count, cpu) => count - (before[cpu] ?? 0));
        return counts.reduce((sum, count) => sum + count, 0) === TALKS && busy(counts) === CPUS.length;
      });
      await gateway.start();
      t.same(await programs(), attached);
      t.same(spread(), made);
      t.equal(busy(await during(exchangeAll)), CPUS.length);
    });

    await t.test('what is changed by hand is mended', async (t) => {
      const drift = await DriftWatch.start(gateway);
      t.teardown(() => drift.close());
      const [entry] = entries('spread_cpus');
      withMap(instance, 'spread_cpus', (map) => entry && map.delete(entry[0]));
      await drift.mended(/maps spread_over or spread_cpus/);
      t.same(spread(), made);
    });

    await t.test('off again, frames stay where they came', async (t) => {
      await spreadOver([]);
      await gateway.restart('SIGKILL');
      t.match(Object.values(await programs()), [/^hnv_fast /, /^hnv_fast /]);
      t.same(spread(), { over: [], programs: [] });
      await exchangeAll();
      t.equal(busy(await during(exchangeAll)), 1);
    });
  },
);

interface FrameSpec {
  outer: 4 | 6;
  inner: 4 | 6;
  port: number;
  size?: number;
  tos?: number;
  /** Flags and offset, as in the header of IPv4. */
  fragment?: number;
  /** Without a tunnel. */
  isPlain?: boolean;
}

/** From a VM, by UDP. */
function frameOf({ outer, inner, port, size = 8, tos = 0, fragment = 0, isPlain }: FrameSpec): Buffer {
  const [{ mac, host, addresses }] = VMS;
  const none = Buffer.alloc(0);
  return frameBytes({
    link: { destinationMac: NICS.provider.mac, sourceMac: host.mac, tags: [] },
    tunnel: isPlain
      ? undefined
      : {
          ...{ destinationMac: mac, sourceMac: mac, tags: [], more: none, wrong: 0 },
          ...{ from: host.addresses[outer], to: NICS.provider.addresses[outer], tos: 0, ttl: 64 },
          ...{ fragment: 0, flags: 0x2000, protocol: 0x6558, vsid: 5001, flowId: 0 },
        },
    ip: {
      ...{ source: addresses[inner], destination: REMOTE[inner], tos, ttl: 64, id: 1, fragment },
      ...{ options: none, label: 0, extensions: [], excess: 0, wrong: 0 },
    },
    transport: { kind: 'udp', ports: [port, 53], excess: 0, wrong: 0, data: Buffer.alloc(size) },
    ...{ trailer: none, padding: none },
  });
}
