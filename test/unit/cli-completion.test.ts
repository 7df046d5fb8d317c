/** Completion in a real bash, by the script that the program prints. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { shellWords } from '../../src/cli/shell-words.ts';
import { contosoNode } from './cli-node.ts';

const rdid = '11111111-0000-0000-0000-00000000000a';

t.test('bash completes', async (t) => {
  const node = await contosoNode(t);
  await node.api.put('/v1/routing-domains/33333333-0000-0000-0000-00000000000c', { name: 'Two Words' });
  await node.api.put('/v1/routing-domains/44444444-0000-0000-0000-00000000000d', { name: 'x$(touch pwned)' });
  await node.api.put('/v1/tokens/portal', { role: 'admin' });
  writeFileSync(join(node.folder, 'policy.yaml'), '');

  t.match(await node.bash('hnvgw completion bash > completion'), { status: 0 });

  /** What bash offers for the last word, in its order; `words` as bash parts the line. */
  const complete = async (line: string, words = line.split(' ')): Promise<string[]> => {
    const quoted = words.map((word) => `'${word}'`).join(' ');
    const { stdout } = await node.bash(
      `source completion; COMP_LINE='${line}' COMP_POINT=${line.length} COMP_WORDS=(${quoted})` +
        ` COMP_CWORD=${words.length - 1}; compopt() { :; }; _hnvgw; printf '%s\\n' "\${COMPREPLY[@]}"`,
    );
    return stdout.split('\n').filter((word) => word !== '');
  };
  const cases: [line: string, offered: string[], words?: string[]][] = [
    ['hnvgw st', ['status']],
    ['hnvgw --v', ['--version']],
    ['hnvgw token ', ['create', 'list', 'revoke']],
    ['hnvgw get lookup', ['lookup-records']],
    ['hnvgw get --ser', ['--server']],
    ['hnvgw get rd -o ', ['table', 'json', 'yaml']],
    ['hnvgw get rd Con', ['Contoso']],
    ['hnvgw get rd 1111', [rdid]],
    ['hnvgw get records -d Con', ['Contoso']],
    ['hnvgw get records -d Contoso ', ['web1']],
    [`hnvgw get subnets -d ${rdid} 50`, ['5001', '5002']],
    ['hnvgw get records ', []],
    ['hnvgw get ports up', ['uplink-of-vm7']],
    // bash parts words at colons, and replaces what is behind the last.
    ['hnvgw get pa 2001:db', ['db8::1'], ['hnvgw', 'get', 'pa', '2001', ':', 'db']],
    ['hnvgw get rd --output=j', ['json'], ['hnvgw', 'get', 'rd', '--output', '=', 'j']],
    ['hnvgw get nat -d Tw', ['Two\\ Words']],
    ['hnvgw get nat -d x', []],
    ['hnvgw token revoke ', ['portal']],
    ['hnvgw sas -d Contoso ', ['office']],
    ['hnvgw get sites -d Contoso ', ['office']],
    ['hnvgw get bgp -d Con', ['Contoso']],
    ['hnvgw bgp -d Con', ['Contoso']],
    ['hnvgw bgp --r', ['--routes']],
    ['hnvgw help ap', ['apply']],
    ['hnvgw help pol', ['policy']],
    ['hnvgw apply -f pol', ['policy.yaml']],
    ['hnvgw apply --wh', ['--whole']],
    ['hnvgw nothing ', []],
  ];
  for (const [line, offered, words] of cases) t.strictSame(await complete(line, words), offered, line);
  t.strictSame(
    await complete('hnvgw get rd --server unix:/nix Con'),
    [],
    'nothing is said when no node answers',
  );
  t.match(await complete('hnvgw '), ['gateway', 'host', 'config', 'apply', 'diff', 'delete', 'get']);
});

t.test('keys typed into an interactive bash complete a whole line', async (t) => {
  const node = await contosoNode(t);
  const typed = 'source <(hnvgw completion bash)\nhnvgw get lookup\tweb1 -d Con\t--outp\tjson\nexit\n';
  const { stdout } = await node.bash(
    `printf '${typed.replaceAll('\n', '\\n').replaceAll('\t', '\\t')}' | TERM=dumb script -qec 'bash --norc --noprofile -i' /dev/null`,
  );
  t.match(stdout, /"customerAddress": "10\.1\.1\.11"/);
});

t.test('a line is parted as a shell does', async (t) => {
  const parted: [line: string, words: string[], current: string][] = [
    ['hnvgw get ', ['hnvgw', 'get'], ''],
    ['A=b hnvgw ge', ['hnvgw'], 'ge'],
    ['hnvgw get -d Two\\ Wo', ['hnvgw', 'get', '-d'], 'Two Wo'],
    ["hnvgw get -d 'Two Wo", ['hnvgw', 'get', '-d'], 'Two Wo'],
    ['hnvgw get -d "a b" x', ['hnvgw', 'get', '-d', 'a b'], 'x'],
    ['', [], ''],
  ];
  for (const [line, words, current] of parted) t.match(shellWords(line), { words, current }, line);
});
