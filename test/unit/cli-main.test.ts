import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import t from 'tap';

const program = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url));

function hnvgw(...args: string[]) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [program, ...args], { encoding: 'utf8' });
  return { status, stdout, stderr };
}

t.test('help and version are printed to standard output with exit code 0', async (t) => {
  t.match(hnvgw('--help'), {
    status: 0,
    stdout: /^Usage: hnvgw gateway\|host \[--config FILE\]/,
    stderr: '',
  });
  const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'));
  t.strictSame(hnvgw('--version'), { status: 0, stdout: `${version}\n`, stderr: '' });
});

t.test('wrong usage says what is wrong and exits with 2', async (t) => {
  t.match(hnvgw(), { status: 2, stdout: '', stderr: /^hnvgw: a command is missing\n\nUsage/ });
  t.match(hnvgw('router'), { status: 2, stderr: /^hnvgw: there is no command router\n/ });
  t.match(hnvgw('host', 'x'), { status: 2, stderr: /^hnvgw: host takes no argument x\n/ });
  t.match(hnvgw('gateway', 'x'), { status: 2, stderr: /^hnvgw: gateway takes no argument x\n/ });
  t.match(hnvgw('gateway', '--bad'), { status: 2, stderr: /^hnvgw: Unknown option '--bad'/ });
  t.match(hnvgw('gateway', '--config'), {
    status: 2,
    stderr: /^hnvgw: Option '--config <value>' argument missing/,
  });
});

t.test('a wrong configuration is one line with the code, and exits with 1', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'hnvgw-cli-'));
  t.teardown(() => rmSync(folder, { recursive: true }));
  const file = join(folder, 'gateway.yaml');
  writeFileSync(file, 'uplink:\n  interfac: eth1\n');
  t.strictSame(hnvgw('gateway', '--config', file), {
    status: 1,
    stdout: '',
    stderr: `hnvgw: HNV_CONFIG: ${file}:2: uplink.interfac is no known field; known are interface.\n`,
  });
});

t.test('a host refuses the configuration of a gateway', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'hnvgw-cli-'));
  t.teardown(() => rmSync(folder, { recursive: true }));
  const file = join(folder, 'host.yaml');
  writeFileSync(file, 'uplink:\n  interface: eth1\n');
  t.strictSame(hnvgw('host', '--config', file), {
    status: 1,
    stdout: '',
    stderr: `hnvgw: HNV_CONFIG: ${file}:1: uplink is for a gateway only, and this node is a host.\n`,
  });
});
