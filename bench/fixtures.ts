/**
 * What each packet of the fixtures (test/bpf/packet-fixtures/) costs in its program, by the kernel's own clock
 * (BPF_PROG_TEST_RUN): without driver, attachment and what comes after the verdict. To compare commits on one machine.
 */
import { inNetns } from '../src/linux/netns.ts';
import { testRun } from '../src/linux/test-run.ts';
import { DataPlane, skbOf } from '../test/bpf/data-plane.ts';
import { optionsOf } from '../test/bpf/fixture-runner.ts';
import { fixtures } from '../test/bpf/packet-fixtures/all.ts';
import type { Fixture } from '../test/bpf/packet-fixtures/fixture.ts';

/** Runs of a program that leaves the packet as it came: they can follow each other in one call. */
const REPEAT = 20_000;
/** Calls of one run each, on a fresh packet, of a program that changes it. */
const SINGLE = 1_000;

interface Cost {
  fixture: Fixture;
  /** Of one packet. */
  ns: number;
  /** Of single runs the clock's own cost is a part, and the packet is not in the cache. */
  isSingle: boolean;
}

function median(figures: readonly number[]): number {
  return figures.toSorted((a, b) => a - b)[figures.length >> 1] ?? 0;
}

function measure(dataPlane: DataPlane, fixture: Fixture): Cost {
  const { place, on, frame: data } = fixture;
  const program = dataPlane.object.program(`hnv_${place}`);
  const context = skbOf(dataPlane.ifindex(on), optionsOf(fixture));
  const once = testRun(program, { data, context });
  // A tag that was put on is not in the data, but it is on the packet.
  const isSame =
    place !== 'tag' &&
    fixture.expected.verdict !== 'copies' &&
    Buffer.compare(once.data, data) === 0 &&
    fixture.mark === undefined;
  if (isSame)
    return { fixture, ns: testRun(program, { data, context, repeat: REPEAT }).durationNs, isSingle: false };
  const durations = Array.from({ length: SINGLE }, () => testRun(program, { data, context }).durationNs);
  return { fixture, ns: median(durations), isSingle: true };
}

/** Prints a line for each fixture, and the median of each program. */
export function benchFixtures(): void {
  const undo: (() => void)[] = [];
  try {
    const dataPlane = DataPlane.open({ teardown: (fn) => undo.push(fn) });
    const plain = fixtures.filter(({ length, vlan }) => length === undefined && vlan === undefined);
    const costs = inNetns(dataPlane.namespace, () => plain.map((fixture) => measure(dataPlane, fixture)));
    for (const { fixture, ns, isSingle } of costs) {
      const { place, name, expected } = fixture;
      const end = 'reason' in expected && expected.reason !== undefined ? expected.reason : expected.verdict;
      console.log(
        `${String(ns).padStart(7)} ns${isSingle ? '*' : ' '} ${place.padEnd(9)}${end.padEnd(26)}${name}`,
      );
    }
    console.log('* runs one by one, each on a fresh packet');
    for (const place of new Set(plain.map((fixture) => fixture.place))) {
      const own = costs.filter(({ fixture }) => fixture.place === place).map(({ ns }) => ns);
      console.log(`${String(median(own)).padStart(7)} ns  median of ${own.length} packets, hnv_${place}`);
    }
    console.log(`${fixtures.length - plain.length} fixtures need a packet that only a test can prepare`);
  } finally {
    for (const fn of undo.reverse()) fn();
  }
}
