import { spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { readPolicyInput } from '../../src/cli/document.ts';
import { ApiProblem } from '../../src/cli/failures.ts';
import { testFolder } from './cli-node.ts';

const folder = testFolder(t);

async function read(text: string) {
  const file = join(folder, 'policy');
  writeFileSync(file, text);
  const input = await readPolicyInput(file);
  /** The line that a problem at the pointer is told with. */
  const lineOf = (pointer: string): number => {
    const problem = { status: 400, code: 'HNV_INVALID_FIELD', detail: 'It is wrong.', pointer };
    const { message } = input.located(new ApiProblem(problem)) as ApiProblem;
    const [, line] = /^.*\/policy:(\d+): It is wrong\.$/.exec(message) ?? [];
    return Number(line);
  };
  return { ...input, lineOf };
}

const yaml = `# two domains
routingDomains:
  - rdid: 11111111-0000-0000-0000-00000000000a
    name: Contoso
    virtualSubnets:
      - vsid: 5001
        addressPrefixes:
          - 10.1.1.0/24
          - 10.1.1.0/33
  - name: Fabrikam
ports:
  - { interface: tap0 }
`;

t.test('a field of a YAML document is found by its line', async (t) => {
  const { document, lineOf } = await read(yaml);
  t.match(document, {
    routingDomains: [{ name: 'Contoso' }, { name: 'Fabrikam' }],
    ports: [{ interface: 'tap0' }],
  });
  t.equal(lineOf('/routingDomains/0/virtualSubnets/0/addressPrefixes/1'), 9);
  t.equal(lineOf('/routingDomains/0/virtualSubnets/0/vsid'), 6);
  t.equal(lineOf('/routingDomains/1/name'), 10);
  t.equal(lineOf('/ports/0/interface'), 12);
});

t.test('what is missing is looked for where it should be', async (t) => {
  const { lineOf } = await read(yaml);
  t.equal(lineOf('/routingDomains/1/rdid'), 10);
  t.equal(lineOf('/routingDomains/0/gateway/virtualSubnetId'), 3);
  t.equal(lineOf('/providerRoutes'), 2);
  t.equal(lineOf(''), 2);
});

t.test('JSON is taken as well, with its lines', async (t) => {
  const json = JSON.stringify({ routingDomains: [{ rdid: 'x', name: 'a~b/c' }], ports: [] }, undefined, 2);
  const { document, lineOf } = await read(json);
  t.strictSame(document, JSON.parse(json));
  t.equal(lineOf('/routingDomains/0/name'), 5);
  t.equal((await read(JSON.stringify(document))).lineOf('/routingDomains/0/name'), 1);
});

t.test('several documents are one policy, and each field is found in its own', async (t) => {
  const { document, lineOf } = await read(
    `---\nrouting: []\nroutingDomains:\n- name: a\n---\n---\nports:\n- interface: tap0\nroutingDomains:\n- name: b\n- name: c\n`,
  );
  t.strictSame(document, {
    routing: [],
    routingDomains: [{ name: 'a' }, { name: 'b' }, { name: 'c' }],
    ports: [{ interface: 'tap0' }],
  });
  t.equal(lineOf('/routingDomains/0/name'), 4);
  t.equal(lineOf('/routingDomains/1/name'), 10);
  t.equal(lineOf('/routingDomains/2/name'), 11);
  t.equal(lineOf('/ports/0/interface'), 8);
  t.equal(lineOf('/routing'), 2, 'also one that nobody knows');
});

t.test('anchors are followed to where the value stands', async (t) => {
  const { document, lineOf } = await read('x: &subnet\n  vsid: 1\nvirtualSubnets:\n  - *subnet\n');
  t.match(document, { virtualSubnets: [{ vsid: 1 }] });
  t.equal(lineOf('/virtualSubnets/0/vsid'), 2);
});

const broken: [what: string, text: string, said: RegExp][] = [
  ['broken YAML', 'routingDomains:\n  - name: "x\n', /policy:3: Missing closing "quote\.$/],
  ['broken JSON', '{\n "ports": [\n', /policy:\d+: /],
  ['a key twice', 'ports: []\nports: []\n', /policy:2: Map keys must be unique/],
  ['nothing', '', /policy:1: There is nothing in it/],
  ['only a comment', '# nothing\n---\n', /policy:1: There is nothing in it/],
  ['a list among documents', 'ports: []\n---\n- a\n', /policy:3: A policy document must have lists/],
  ['no list among documents', 'ports: []\n---\nports: tap0\n', /policy:3: ports must be a list/],
  [
    'aliases without end',
    `a: &a [x, x]\n${'bcdefghijk'
      .split('')
      .map((k, i) => `${k}: &${k} [${Array(9).fill(`*${'abcdefghij'[i]}`).join(', ')}]`)
      .join('\n')}\n`,
    /policy:1: Excessive alias count/,
  ],
];

for (const [what, text, message] of broken) {
  t.test(`${what} is refused with file and line`, async (t) => {
    await t.rejects(read(text), { code: 'HNV_INPUT', message });
  });
}

t.test('a file that is not there is named', async (t) => {
  await t.rejects(readPolicyInput(join(folder, 'missing')), {
    code: 'HNV_INPUT',
    message: /cannot be read: .*missing/,
  });
});

t.test('standard input may come late, through a pipe that does not wait', async (t) => {
  const module = new URL('../../src/cli/document.ts', import.meta.url).href;
  const script = `const { readPolicyInput } = await import('${module}');
    const input = readPolicyInput('-');
    console.log('reading');
    console.log(JSON.stringify((await input).document));`;
  // Pipes of Node's own are sockets that do not block.
  const child = spawn(process.execPath, ['--input-type=module', '--eval', script]);
  let printed = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    if (printed === '') child.stdin.end('ports: []\n');
    printed += text;
  });
  const code = await new Promise((resolve) => child.on('close', resolve));
  t.equal(code, 0);
  t.equal(printed, 'reading\n{"ports":[]}\n');
});
