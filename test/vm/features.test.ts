/** What the probes find in a stock kernel (Debian 12's, Linux 6.1) is what it has. */
import t from 'tap';
import { ensureBpffs } from '../../src/linux/bpffs.ts';
import { probeFeatures, requireFeatures } from '../../src/linux/features.ts';
import { ipsecEngine } from '../../src/s2s/engine.ts';

t.test('what came after Linux 6.1 is absent, and nothing else', async (t) => {
  ensureBpffs();
  const features = probeFeatures();
  t.same(
    features.filter(({ present }) => !present).map(({ name }) => name),
    ['tcx', 'BPF_F_ADJ_ROOM_DECAP_L4_GRE'],
  );
  requireFeatures(features);
});

t.test('ESP is the kernel’s', async (t) => {
  t.equal(ipsecEngine(), 'kernel');
});
