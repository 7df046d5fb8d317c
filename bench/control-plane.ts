/**
 * The control plane under a hoster's load, on the real gateway: a thousand routing domains with a hundred lookup records
 * each by one request, single changes of them, reads while a writer works, a kill and the restart. Each figure beside its
 * limit, where it has one.
 */
import { Random } from '../test/fuzz/random.ts';
import { Fabric } from '../test/lab/fabric.ts';
import type { Lab } from '../test/lab/lab.ts';
import { KernelRecords } from './control-plane-kernel.ts';
import { BenchNode, type LoadOptions, required } from './control-plane-node.ts';
import {
  DOMAINS,
  domains,
  policyDocument,
  RECORDS,
  recordPath,
  recordValue,
  vmMac,
} from './control-plane-policy.ts';
import type { Row } from './control-plane-report.ts';
import { PacketStream } from './control-plane-stream.ts';
import { quantile } from './quantile.ts';

const LIMITS = {
  policySeconds: 20,
  changeMs: 20,
  memoryMib: 400,
  loopMs: 50,
  restartSeconds: 10,
  readsPerSecond: 3000,
};
const CHANGES = 500;
const WRITES_PER_SECOND = 50;
/** How often the same policy is put again: what that leaves behind would add up. */
const REPETITIONS = 5;
/** Single writes of a busy hour. */
const HOUR_WRITES = 10_000;
const WRITERS = 4;
const READS: Omit<LoadOptions, 'over'> = { seconds: 5, connections: 16, lists: 20 };

/** Everything, on a gateway of its own. */
export async function controlPlane(lab: Lab): Promise<Row[]> {
  const node = await BenchNode.start(await Fabric.create(lab));
  const bench = new ControlPlane(node);
  try {
    await bench.run();
  } finally {
    node.close();
  }
  return bench.rows;
}

class ControlPlane {
  readonly rows: Row[] = [];
  readonly #node: BenchNode;
  readonly #random = new Random(1);
  #version = 0;

  constructor(node: BenchNode) {
    this.#node = node;
  }

  async run(): Promise<void> {
    const { resident } = await this.#node.memory();
    this.#row('resident memory without policy', resident, 'MiB');
    await this.#replace(`${DOMAINS * RECORDS} records in ${DOMAINS} domains`, policyDocument(false), DOMAINS);
    await this.#replace('all of it removed', {}, 0);
    await this.#replace('the same with gateways and NAT', policyDocument(true), DOMAINS);
    for (let time = 1; time <= REPETITIONS; time++)
      await this.#replace(`the same again, nothing to change (${time})`, policyDocument(true), DOMAINS);
    await this.#stage('single records', () => this.#changes('one record', { most: LIMITS.changeMs }));
    for (const over of ['unix', 'tcp'] as const)
      await this.#stage(`reads, ${over}`, () => this.#reads(`lists and gets, ${over}`, { ...READS, over }));
    // As many reads as must be possible, by a node that has answered some. Without a limit: the generator, this bench and the
    // node share two cores, and the slowest of a hundred changes waits for one of them.
    const perSecond = LIMITS.readsPerSecond;
    await this.#stage('single records among reads', async () => {
      const { done } = await this.#node.load({ ...READS, seconds: 10, perSecond, over: 'unix' });
      await this.#changes(`one record, among ${perSecond} reads/s`);
      await done;
    });
    for (const [title, lists] of [
      ['gets alone', 0],
      ['lists of 100 alone', 100],
    ] as const)
      await this.#stage(title, () => this.#reads(`${title}, unix`, { ...READS, lists, over: 'unix' }, true));
    await this.#stage(`${HOUR_WRITES} single writes`, () => this.#manyWrites());
    await this.#restart();
  }

  #row(title: string, value: number, unit: string, limit?: Row['limit']): void {
    const row: Row = { title, value, unit, ...(limit === undefined ? {} : { limit }) };
    this.rows.push(row);
    console.log(`  ${title}: ${value.toFixed(1)} ${unit}`);
  }

  /** Does it, and says what it took of memory and event loop. */
  async #stage(title: string, work: () => Promise<void>): Promise<void> {
    await this.#node.forgetPeak();
    await this.#node.loopDelay();
    await work();
    this.#row(`  event loop not free, ${title}`, await this.#node.loopDelay(), 'ms', { most: LIMITS.loopMs });
    const { resident, peak } = await this.#node.memory();
    this.#row(`  resident memory after it, ${title}`, resident, 'MiB');
    this.#row(`  most resident memory, ${title}`, peak, 'MiB', { most: LIMITS.memoryMib });
  }

  /** One `PUT /v1/policy`. */
  async #replace(title: string, document: unknown, ready: number): Promise<void> {
    const payload = Buffer.from(JSON.stringify(document));
    await this.#stage(title, async () => {
      const began = performance.now();
      const seconds = (): number => (performance.now() - began) / 1000;
      required('PUT /v1/policy', await this.#node.send('PUT', '/v1/policy', payload));
      this.#row(`PUT /v1/policy, ${title}: answered`, seconds(), 's');
      await this.#node.ready(ready);
      this.#row(`PUT /v1/policy, ${title}: in the kernel`, seconds(), 's', { most: LIMITS.policySeconds });
    });
    const kernel = new KernelRecords(this.#node.gateway.instance);
    const count = kernel.count();
    kernel.close();
    if (count !== ready * RECORDS) throw new Error(`the kernel has ${count} records`);
  }

  /** One record after the other, each from the request's first byte until the kernel's table has it. */
  async #changes(title: string, limit?: Row['limit']): Promise<void> {
    const kernel = new KernelRecords(this.#node.gateway.instance);
    const inKernel: number[] = [];
    const answered: number[] = [];
    for (let change = 0; change < CHANGES; change++) {
      const { key, mac, write } = this.#change(kernel);
      const began = performance.now();
      const answer = write().then(() => answered.push(performance.now() - began));
      inKernel.push((await kernel.has(key, mac)) - began);
      await answer;
    }
    kernel.close();
    for (const times of [inKernel, answered]) times.sort((a, b) => a - b);
    this.#row(`${title}: answered, p99`, quantile(answered, 0.99), 'ms');
    this.#row(`${title}: in the kernel, p50`, quantile(inKernel, 0.5), 'ms');
    this.#row(`${title}: in the kernel, p99`, quantile(inKernel, 0.99), 'ms', limit);
    this.#row(`${title}: in the kernel, slowest`, inKernel.at(-1) ?? 0, 'ms');
  }

  /** A record of any domain that is to get a MAC address that it never had. */
  #change(kernel: KernelRecords): { key: Uint8Array; mac: string; write: () => Promise<unknown> } {
    const domain = this.#random.pick(domains);
    // The first one is for the packets of the restart.
    const record = 1 + this.#random.below(RECORDS - 1);
    const version = ++this.#version;
    return {
      key: kernel.key(domain, record),
      mac: vmMac(record, version),
      write: () => this.#node.must('PUT', recordPath(domain, record), recordValue(domain, record, version)),
    };
  }

  async #reads(title: string, options: LoadOptions, isInformation = false): Promise<void> {
    const stop = this.#writer();
    const load = await (await this.#node.load(options)).done;
    const writes = await stop();
    if (load.wrong > 0) throw new Error(`${load.wrong} reads were not answered with 200`);
    const limit = isInformation ? undefined : { least: LIMITS.readsPerSecond };
    this.#row(`${title}, ${writes.toFixed(0)} writes/s beside`, load.perSecond, 'requests/s', limit);
    this.#row(`  ${title}, p99`, load.p99, 'ms');
    this.#row(`  ${title}, slowest`, load.max, 'ms');
  }

  /** Changes records all the time, so many a second; the function that it returns ends it and says how many there were. */
  #writer(): () => Promise<number> {
    const kernel = new KernelRecords(this.#node.gateway.instance);
    const began = performance.now();
    const writes: Promise<unknown>[] = [];
    const timer = setInterval(() => {
      const due = ((performance.now() - began) / 1000) * WRITES_PER_SECOND;
      while (writes.length < due) writes.push(this.#change(kernel).write());
    }, 1000 / WRITES_PER_SECOND);
    return async () => {
      clearInterval(timer);
      const seconds = (performance.now() - began) / 1000;
      await Promise.all(writes);
      kernel.close();
      return writes.length / seconds;
    };
  }

  async #manyWrites(): Promise<void> {
    const kernel = new KernelRecords(this.#node.gateway.instance);
    const began = performance.now();
    let left = HOUR_WRITES;
    const writer = async (): Promise<void> => {
      while (left-- > 0) await this.#change(kernel).write();
    };
    await Promise.all(Array.from({ length: WRITERS }, writer));
    kernel.close();
    this.#row(
      'single writes, one after another',
      HOUR_WRITES / ((performance.now() - began) / 1000),
      'writes/s',
    );
  }

  async #restart(): Promise<void> {
    const stream = await PacketStream.start(this.#node);
    const ms = await this.#node.restart();
    const { sent, lost } = await stream.stop();
    this.#row('SIGKILL to ready again', ms / 1000, 's', { most: LIMITS.restartSeconds });
    this.#row(`packets lost of ${sent} through kill and restart`, lost, 'packets', { most: 0 });
    const { resident, peak } = await this.#node.memory();
    this.#row('  resident memory after the restart', resident, 'MiB');
    this.#row('  most resident memory of the restart', peak, 'MiB', { most: LIMITS.memoryMib });
    this.#row('  event loop not free, restart', await this.#node.loopDelay(), 'ms');
  }
}
