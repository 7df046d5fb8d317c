import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';
import t from 'tap';
import { ensureBpffs } from '../../src/linux/bpffs.ts';
import {
  CONNTRACK_FROM_EBPF,
  type KernelFeature,
  probeFeatures,
  requireFeatures,
} from '../../src/linux/features.ts';
import { ipsecEngine } from '../../src/s2s/engine.ts';

ensureBpffs();

t.test('this kernel has every feature that hnvgw must have', async (t) => {
  const features = probeFeatures();
  t.same(
    features.filter((feature) => feature.requirement === 'must' && !feature.present),
    [],
  );
  requireFeatures(features);
});

t.test('the answers are the same when asked again', async (t) => {
  t.same(probeFeatures(), probeFeatures());
});

t.test('what is found in the kernel’s BTF is what bpftool reads there', async (t) => {
  const dump = execFileSync('bpftool', ['btf', 'dump', 'file', '/sys/kernel/btf/vmlinux'], {
    encoding: 'utf8',
    maxBuffer: 1 << 28,
  });
  const modules = readdirSync('/sys/kernel/btf').length > 1;
  const present = new Map(probeFeatures().map((feature) => [feature.name, feature.present]));
  t.equal(present.get('BPF_F_ADJ_ROOM_DECAP_L4_GRE'), dump.includes("'BPF_F_ADJ_ROOM_DECAP_L4_GRE'"));
  const functions = [
    'bpf_skb_ct_lookup',
    'bpf_xdp_ct_lookup',
    'bpf_ct_change_timeout',
    'bpf_ct_release',
  ].every((name) => dump.includes(`FUNC '${name}'`));
  if (functions || !modules) t.equal(present.get(CONNTRACK_FROM_EBPF), functions);
});

t.test(
  'what is found of IPsec is what the kernel was built with',
  { skip: existsSync('/proc/config.gz') ? false : 'this kernel does not tell' },
  async (t) => {
    const config = gunzipSync(readFileSync('/proc/config.gz')).toString();
    const builtIn = (...names: string[]): boolean =>
      names.every((name) => new RegExp(`^CONFIG_${name}=y$`, 'm').test(config));
    const absent = (...names: string[]): boolean =>
      names.some((name) => !new RegExp(`^CONFIG_${name}=[ym]$`, 'm').test(config));
    const present = new Map(probeFeatures().map((feature) => [feature.name, feature.present]));
    // A module may be there or not.
    const parts = {
      'ESP with AES-GCM': ['INET_ESP', 'INET6_ESP', 'CRYPTO_GCM'],
      'xfrm interfaces': ['XFRM_INTERFACE'],
    };
    for (const [name, needed] of Object.entries(parts)) {
      if (builtIn(...needed)) t.equal(present.get(name), true, name);
      if (absent(...needed)) t.equal(present.get(name), false, name);
    }
    const isKernel = present.get('ESP with AES-GCM') === true && present.get('xfrm interfaces') === true;
    t.equal(ipsecEngine(), isKernel ? 'kernel' : 'userspace');
  },
);

t.test('probing leaves nothing behind', async (t) => {
  const remains = (): string[] => [
    execFileSync('tc', ['qdisc', 'show', 'dev', 'lo'], { encoding: 'utf8' }),
    execFileSync('nft', ['list', 'tables'], { encoding: 'utf8' }),
    execFileSync('ip', ['xfrm', 'state'], { encoding: 'utf8' }),
    String(readdirSync('/proc/self/fd').length),
  ];
  const before = remains();
  probeFeatures();
  t.same(remains(), before);
});

t.test('without root, probing fails instead of finding nothing', async (t) => {
  const module = JSON.stringify(new URL('../../src/linux/features.ts', import.meta.url).pathname);
  const script = `
    import { probeFeatures } from ${module};
    process.seteuid(65534);
    try { probeFeatures(); } catch (error) { console.log(error.code, error.message); }
    process.seteuid(0); // the test runner's hook in this process writes a file at its end
  `;
  const output = execFileSync(process.execPath, ['--input-type=module', '--eval', script], {
    encoding: 'utf8',
  });
  t.match(output, /^HNV_BPF .*EPERM/);
});

t.test(
  'missing features are all named, with the kernels that have them; those that may be missing are not',
  async (t) => {
    const feature = (
      name: string,
      since: string,
      requirement: 'must' | 'may',
      present: boolean,
    ): KernelFeature => ({
      name,
      since,
      requirement,
      present,
      note: '',
    });
    const features = [
      feature('one', '5.1', 'must', false),
      feature('two', '5.2', 'must', true),
      feature('three', '5.3', 'may', false),
      feature('four', '5.4', 'must', false),
    ];
    t.throws(() => requireFeatures(features), {
      code: 'HNV_KERNEL_FEATURE',
      message: 'This kernel lacks: one (Linux 5.1 and later), four (Linux 5.4 and later).',
    });
    requireFeatures(features.filter((one) => one.requirement === 'may'));
  },
);
