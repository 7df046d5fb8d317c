/** Forwarding and BGP on the command line: resources, sessions, routes, and that no output shows a password. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { parse } from 'yaml';
import { contosoPath } from './api-server.ts';
import { contosoNode, type Ended } from './cli-node.ts';
import { bgpBody, forwardingBody, knownRoutes, password, speaker } from './routed-domain.ts';
import { formsOf } from './site-connection.ts';

const newPassword = 'ostrich-8Wy-feldspar-27182';

t.test('forwarding and BGP', async (t) => {
  const node = await contosoNode(t);
  const { api, operations, folder } = node;
  const outputs: string[] = [];
  const hnvgw = async (...words: string[]): Promise<Ended> => {
    const ended = await node.hnvgw(words);
    outputs.push(`${words.join(' ')}: ${ended.stdout} ${ended.stderr}`);
    return ended;
  };

  await t.test('are shown whole but for passwords', async (t) => {
    for (const [name, path] of [
      ['bgp', 'bgp'],
      ['fwd', 'forwarding'],
    ] as const)
      t.strictSame(
        parse((await hnvgw('get', name, '-d', 'Contoso')).stdout),
        await api.get(`${contosoPath}/${path}`),
      );
  });

  await t.test('differ from a document by what it has, not by what it leaves out', async (t) => {
    const policy = join(folder, 'policy.yaml');
    writeFileSync(policy, (await hnvgw('get', 'policy')).stdout);
    t.strictSame(await hnvgw('diff', '-f', policy, '--whole'), { status: 0, stdout: '', stderr: '' });
    const change = join(folder, 'change.json');
    const [corporate, second] = bgpBody.peers;
    const third = { name: 'third', address: '10.40.0.4', asn: 65011, password: newPassword };
    const bgp = {
      ...bgpBody,
      hostRoutes: true,
      peers: [{ ...corporate, password: newPassword }, second, third],
    };
    const domain = { rdid: contosoPath.slice(-36), name: 'Contoso', labels: { tier: 'gold' } };
    const forwarding = { ...forwardingBody, vlanId: 313 };
    writeFileSync(change, JSON.stringify({ routingDomains: [{ ...domain, forwarding, bgp }] }));
    const { status, stdout } = await hnvgw('diff', '-f', change);
    t.equal(status, 1);
    t.match(
      stdout,
      /\n {4}peers\.0\.password: changed, not shown\n {4}peers\.2: absent -> \{"name":"third",/,
    );
    t.match(stdout, /\n {4}hostRoutes: false -> true\n/);
    t.match(stdout, /\n {4}vlanId: 312 -> 313\n/);
    t.match(await hnvgw('diff', '-f', change, '-o', 'json'), { status: 1 });
    t.match(await hnvgw('apply', '-f', change), { status: 0 });
    t.match(await hnvgw('diff', '-f', change), { status: 0 });
  });

  await t.test('tell what sessions do', async (t) => {
    t.match(
      (await hnvgw('bgp', '-d', 'Contoso')).stdout,
      /^PEER +ADDRESS +AS +STATE .*\ncorporate +10\.40\.0\.1 +65010 +Stopped .*not programmed yet\n/,
    );
    operations.speaker = { state: { ...speaker, refused: 'No such line.' }, routes: knownRoutes };
    const { stdout } = await hnvgw('bgp', '-d', 'Contoso');
    t.match(stdout, /^PEER +ADDRESS +AS +STATE +SINCE +RECEIVED +ACCEPTED +SENT +BFD +ERROR\n/);
    t.match(stdout, /\ncorporate +10\.40\.0\.1 +65010 +Established +2026-\S+ +12 +10 +3 +up\n/);
    t.match(
      stdout,
      /\nsecond .* Active .*The peer does not answer\.\n\nmemory +12\.0 MiB\nrefused +No such line\.\n$/,
    );
    t.strictSame(
      JSON.parse((await hnvgw('bgp', '-d', 'Contoso', '-o', 'json')).stdout),
      await api.get(`${contosoPath}/bgp/peers`),
    );
    t.match(await hnvgw('bgp'), { status: 1, stderr: /HNV_NOT_FOUND: .*uplink\.bgp is not configured/ });
    operations.uplinkSpeaker = { peers: [], memoryBytes: 0 };
    t.match(await hnvgw('bgp'), { status: 0, stdout: 'There are no peers.\n' });
  });

  await t.test('tell the routes', async (t) => {
    const { stdout } = await hnvgw('bgp', '-d', 'Contoso', '--routes');
    t.match(
      stdout,
      /^PREFIX +NEXT HOPS +PEER +USED +AS PATH +ORIGIN +PREFERENCE +MED +COMMUNITIES\n10\.1\.1\.0\/24 +best/,
    );
    t.match(
      stdout,
      /\n172\.17\.0\.0\/16 +10\.40\.0\.1 +corporate +yes +65010 4200000100 +IGP +200 +7 +65010:1 no-export\n/,
    );
    const some = await hnvgw(
      'bgp',
      '-d',
      'Contoso',
      '--routes',
      '--prefix',
      '172.16.0.0/12',
      '--peer',
      'second',
      '-o',
      'yaml',
    );
    t.match(parse(some.stdout), { items: [{ prefix: '172.16.9.0/24', peer: 'second', best: false }] });
    t.match(await hnvgw('bgp', '-d', 'Contoso', '--routes', '--peer', 'nobody'), {
      stdout: 'There are no such routes.\n',
    });
    for (const [words, stderr] of [
      [['--routes'], /-d DOMAIN/],
      [['-d', 'Contoso', '--peer', 'x'], /are for --routes/],
    ] as const)
      t.match(await hnvgw('bgp', ...words), { status: 2, stderr }, words.join(' '));
  });

  await t.test('are removed, BGP before what it stands on', async (t) => {
    t.match(await hnvgw('delete', 'forwarding', '-d', 'Contoso'), { status: 1, stderr: /HNV_IN_USE/ });
    t.match(await hnvgw('delete', 'bgp', '-d', 'Contoso'), { status: 0, stderr: /^deleted .*\/bgp\n$/ });
    t.match(await hnvgw('delete', 'forwarding', '-d', 'Contoso'), { status: 0 });
  });

  const forms = [password, newPassword].flatMap(formsOf);
  t.strictSame(
    outputs.filter((output) => forms.some((form) => output.includes(form))),
    [],
  );
});
