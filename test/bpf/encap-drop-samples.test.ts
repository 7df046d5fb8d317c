import t from 'tap';
import { DropSamples, type SampledDrop } from '../../src/encap/drop-samples.ts';
import { encodeNvgre } from '../../src/encap/nvgre.ts';
import { possibleCpus } from '../../src/linux/bpf-map.ts';
import { until } from '../lab/until.ts';
import { DataPlane, LINK_MACS } from './data-plane.ts';
import { ipv4, patched, pattern } from './packets.ts';
import { contoso, tenantFrame } from './two-domains.ts';

/** How much of a packet a sample keeps. */
const HEAD = 128;

t.test('a dropped packet arrives with its reason, domain, place and first bytes', async (t) => {
  const dataPlane = DataPlane.open(t);
  const samples = new DropSamples(dataPlane.map('drop_samples'));
  t.teardown(() => samples.close());
  t.same(samples.recent(), []);

  const unknownVsid = encodeNvgre(tenantFrame(LINK_MACS.provider, { vsid: 7777 }));
  const spoofed = encodeNvgre(
    tenantFrame(LINK_MACS.provider, { inner: ipv4({ source: '10.1.1.5', payload: pattern(500) }) }),
  );
  const started = Date.now();
  dataPlane.run('provider', unknownVsid);
  dataPlane.run('provider', spoofed);
  const [first, second] = await until('two samples', 10_000, () => {
    const recent = samples.recent();
    return recent.length >= 2 && recent;
  });

  t.match(first, { reason: 'vsid-unknown', domain: 0, ifindex: dataPlane.ifindex('provider') });
  t.equal(first?.length, unknownVsid.length);
  t.same(Buffer.from(first?.head ?? []), Buffer.from(unknownVsid), 'a short packet is there whole');
  t.match(second, {
    reason: 'inner-source-address',
    domain: contoso.handle,
    ifindex: dataPlane.ifindex('provider'),
  });
  t.equal(second?.length, spoofed.length);
  t.same(
    Buffer.from(second?.head ?? []),
    Buffer.from(spoofed.subarray(0, HEAD)),
    'the beginning of a longer one',
  );
  for (const sample of [first, second]) {
    const at = sample?.at.getTime() ?? 0;
    t.ok(at >= started - 50 && at <= Date.now() + 50, `time of day ${sample?.at.toISOString()}`);
  }
});

t.test('a sample has the packet as it arrived, also when it is dropped late', async (t) => {
  const dataPlane = DataPlane.open(t);
  const samples = new DropSamples(dataPlane.map('drop_samples'));
  t.teardown(() => samples.close());
  const frame = encodeNvgre(
    tenantFrame(LINK_MACS.provider, { outer: { ...tenantFrame('').outer, tos: 3 }, inner: ipv4() }),
  );
  dataPlane.run('provider', frame);
  const [sample] = await until('a sample', 10_000, () => samples.recent().length > 0 && samples.recent());
  t.equal(sample?.reason, 'ecn');
  t.same(Buffer.from(sample?.head ?? []), Buffer.from(frame), 'with its tunnel header');
});

t.test(
  'a flood of drops is counted in full, and sampled at most 100 times a second for each CPU',
  async (t) => {
    const dataPlane = DataPlane.open(t);
    const samples = new DropSamples(dataPlane.map('drop_samples'));
    t.teardown(() => samples.close());
    const frame = patched(encodeNvgre(tenantFrame(LINK_MACS.provider)), 34, Buffer.of(0xff));
    const started = performance.now();
    const FLOOD = 500;
    for (let sent = 0; sent < FLOOD; sent++) dataPlane.run('provider', frame);
    const intervals = Math.floor((performance.now() - started) / 10) + 1;
    t.same(dataPlane.stats(0).drops, { 'gre-flags': FLOOD });
    // Samples come in order: with the one of another domain, all of the flood are here.
    dataPlane.run(
      'provider',
      encodeNvgre(tenantFrame(LINK_MACS.provider, { inner: ipv4({ source: '10.1.1.5' }) })),
    );
    const isLast = (sample: SampledDrop) => sample.reason === 'inner-source-address';
    await until('the last sample', 10_000, () => samples.recent().some(isLast));
    const count = samples.recent().filter((sample) => !isLast(sample)).length;
    t.ok(count >= 1 && count <= intervals * possibleCpus(), `${count} samples in ${intervals} intervals`);
  },
);
