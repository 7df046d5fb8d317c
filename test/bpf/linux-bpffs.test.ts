import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import t from 'tap';
import { bpffsMounted, ensureBpffs } from '../../src/linux/bpffs.ts';

t.test('bpffs is mounted where it is missing, and once only', async (t) => {
  // In a mount namespace of its own, so that the machine's pins stay where they are.
  const module = join(import.meta.dirname, '../../src/linux/bpffs.ts');
  const script = `
    import { execFileSync } from 'node:child_process';
    import { bpffsMounted, ensureBpffs } from ${JSON.stringify(module)};
    while (bpffsMounted()) execFileSync('umount', ['/sys/fs/bpf']);
    const before = bpffsMounted();
    ensureBpffs();
    ensureBpffs();
    execFileSync('umount', ['/sys/fs/bpf']);
    console.log(JSON.stringify([before, bpffsMounted()]));
    ensureBpffs();
    console.log(bpffsMounted());
  `;
  const output = execFileSync(
    'unshare',
    ['--mount', process.execPath, '--input-type=module', '--eval', script],
    { encoding: 'utf8' },
  );
  t.equal(output, '[false,false]\ntrue\n');
});

t.test('where bpffs is mounted, nothing is done', async (t) => {
  ensureBpffs();
  t.equal(bpffsMounted(), true);
});
