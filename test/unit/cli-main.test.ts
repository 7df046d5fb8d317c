import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { cliEnvironment, type Ended, runProgram, testFolder } from './cli-node.ts';

const folder = testFolder(t);
const env = cliEnvironment(folder);

function hnvgw(...args: string[]): Promise<Ended> {
  return runProgram(join(folder, 'hnvgw'), args, { env }, folder);
}

t.test('help and version are printed to standard output with exit code 0', async (t) => {
  for (const words of [['--help'], ['help'], ['-h']]) {
    t.match(await hnvgw(...words), { status: 0, stdout: /^hnvgw: .*\n\nUsage: hnvgw COMMAND/, stderr: '' });
  }
  const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'));
  for (const words of [['--version'], ['version']])
    t.strictSame(await hnvgw(...words), { status: 0, stdout: `${version}\n`, stderr: '' });
  t.match(await hnvgw('help', 'token'), {
    status: 0,
    stdout: /token create .*\n.*token list .*\n.*token revoke /,
  });
  const ofCreate = await hnvgw('help', 'token', 'create');
  t.match(ofCreate, { status: 0, stdout: /^hnvgw token create: / });
  t.strictSame(await hnvgw('token', 'create', '--help'), ofCreate);
});

t.test('wrong usage says what is wrong, what may have been meant, and exits with 2', async (t) => {
  const wrong: [words: string[], said: RegExp][] = [
    [[], /^hnvgw: a command is missing\nhnvgw --help tells more\.\n$/],
    [['router'], /^hnvgw: there is no command router\n/],
    [['aply'], /^hnvgw: there is no command aply; did you mean apply\?\n/],
    [['help', 'stauts'], /^hnvgw: there is no command stauts; did you mean status\?\n/],
    [
      ['--server', 'x', 'get'],
      /^hnvgw: the command comes first, and --server after it: hnvgw COMMAND --server\n/,
    ],
    [['token'], /^hnvgw: token needs one of create, list, revoke\nhnvgw help token tells more\.\n$/],
    [['token', 'crate'], /^hnvgw: there is no command token crate; did you mean create\?\n/],
    [
      ['apply', 'a.yaml'],
      /^hnvgw: apply takes no argument a\.yaml; is it the file, -f a\.yaml\?\nhnvgw help apply tells more\.\n$/,
    ],
    [['host', 'x'], /^hnvgw: host takes no argument x\nhnvgw help host tells more\.\n$/],
  ];
  for (const [words, stderr] of wrong)
    t.match(await hnvgw(...words), { status: 2, stdout: '', stderr }, words.join(' '));
});

t.test('a wrong configuration is one line with the code, and exits with 1', async (t) => {
  const file = join(folder, 'gateway.yaml');
  writeFileSync(file, 'uplink:\n  interfac: eth1\n');
  for (const words of [['gateway'], ['config', 'check']]) {
    t.strictSame(await hnvgw(...words, '--config', file), {
      status: 1,
      stdout: '',
      stderr: `hnvgw: HNV_CONFIG: ${file}:2: uplink.interfac is no known field; known are interface, bgp.\n`,
    });
  }
});

t.test('a host refuses the configuration of a gateway', async (t) => {
  const file = join(folder, 'host.yaml');
  writeFileSync(file, 'uplink:\n  interface: eth1\n');
  for (const words of [['host'], ['config', 'check', '--role', 'host']]) {
    t.strictSame(await hnvgw(...words, '--config', file), {
      status: 1,
      stdout: '',
      stderr: `hnvgw: HNV_CONFIG: ${file}:1: uplink is for a gateway only, and this node is a host.\n`,
    });
  }
});

t.test('a configuration is printed with its defaults, for the role that it is for', async (t) => {
  const file = join(folder, 'right.yaml');
  writeFileSync(file, 'uplink:\n  interface: eth1\n');
  t.match(await hnvgw('config', 'check', '--config', file), {
    status: 0,
    stdout: /^role: gateway\n(.|\n)*path: \/var\/lib\/hnvgw\/hg\/store\.db\n/,
    stderr: '',
  });
  writeFileSync(file, 'learning:\n  ageSeconds: 10\n');
  t.match(await hnvgw('config', 'check', '--config', file), {
    status: 0,
    stdout: /^role: host\n(.|\n)*ageSeconds: 10\n/,
  });
});
