/** Site connections on the command line: lists, tunnels, and that no output shows a secret. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { parse } from 'yaml';
import type { SiteConnectionLive } from '../../src/api/operations.ts';
import { contosoPath } from './api-server.ts';
import { contosoNode, type Ended } from './cli-node.ts';
import { formsOf, liveConnection, preSharedKey, siteConnectionBody } from './site-connection.ts';

const newSecret = 'ostrich-8Wy-feldspar-27182';

t.test('site connections', async (t) => {
  const node = await contosoNode(t);
  const { api, operations, folder } = node;
  const outputs: string[] = [];
  const hnvgw = async (...words: string[]): Promise<Ended> => {
    const ended = await node.hnvgw(words);
    outputs.push(`${words.join(' ')}: ${ended.stdout} ${ended.stderr}`);
    return ended;
  };

  await t.test('are listed, and shown whole but for secrets', async (t) => {
    const { stdout } = await hnvgw('get', 'sites', '-d', 'Contoso');
    t.match(stdout, /^NAME +DESTINATION +SUBNETS +BEGINS +STATE +REASON\n/);
    t.match(stdout, /\noffice +198\.51\.100\.7 +192\.168\.50\.0\/24 +start +pending +not programmed yet\n/);
    const expected = await api.get(`${contosoPath}/site-connections/office`);
    t.strictSame(parse((await hnvgw('get', 'site-connection', 'office', '-d', 'Contoso')).stdout), expected);
  });

  await t.test('differ from a document by what it has, not by what it leaves out', async (t) => {
    const policy = join(folder, 'policy.yaml');
    writeFileSync(policy, (await hnvgw('get', 'policy')).stdout);
    t.match(readFileSync(policy, 'utf8'), /siteConnections:\n +- name: office\n/);
    t.strictSame(await hnvgw('diff', '-f', policy, '--whole'), { status: 0, stdout: '', stderr: '' });
    const change = join(folder, 'change.json');
    const authentication = { method: 'psk', preSharedKey: newSecret };
    const office = { name: 'office', ...siteConnectionBody, authentication, initiate: 'onTraffic' };
    const domain = { rdid: contosoPath.slice(-36), name: 'Contoso', labels: { tier: 'gold' } };
    writeFileSync(change, JSON.stringify({ routingDomains: [{ ...domain, siteConnections: [office] }] }));
    t.match(await hnvgw('diff', '-f', change), {
      status: 1,
      stdout:
        /\n {4}authentication\.preSharedKey: changed, not shown\n {4}initiate: "start" -> "onTraffic"\n/,
    });
    t.match(await hnvgw('diff', '-f', change, '-o', 'json'), { status: 1 });
    t.match(await hnvgw('apply', '-f', change), { status: 0 });
    t.match(await hnvgw('diff', '-f', change), { status: 0 });
  });

  await t.test('that are wrong are refused without what they have', async (t) => {
    const wrong = join(folder, 'wrong.yaml');
    const document = (secret: string) => `routingDomains:
- rdid: ${contosoPath.slice(-36)}
  name: Contoso
  siteConnections:
  - name: office
    destination: 198.51.100.7
    authentication: { method: psk, preSharedKey: ${secret} }
    subnets: [{ prefix: 192.168.50.0/24 }]
`;
    for (const [secret, status] of [
      [newSecret.slice(0, 7), 1],
      [`*${newSecret}`, 1],
      [`@${newSecret}`, 1],
      [`"${newSecret}`, 1],
      [`|${newSecret}`, 1],
      [`[${newSecret}]`, 1],
      [`{${newSecret}: 1}`, 1],
    ] as const) {
      writeFileSync(wrong, document(secret));
      const ended = await hnvgw('apply', '-f', wrong);
      t.equal(ended.status, status, secret);
      t.match(ended.stderr, /^hnvgw: HNV_\w+: .*wrong\.yaml:\d+: /);
      t.notMatch(ended.stderr, newSecret.slice(0, 7), secret);
    }
  });

  await t.test('tell what their tunnel does', async (t) => {
    t.match(
      (await hnvgw('sas', 'office', '-d', 'Contoso')).stdout,
      /^state +connecting since \S+\nerror +not programmed yet\n$/,
    );
    operations.tunnels.set('office', liveConnection);
    const { stdout, status } = await hnvgw('sas', 'office', '-d', 'Contoso');
    t.equal(status, 0);
    t.match(
      stdout,
      /^state +connected since \S+\ncarries +all its subnets\nerror +\S+: No answer.*\nESP +by the IKE daemon\n\nIKE:\n/,
    );
    t.match(
      stdout,
      /\nESTABLISHED +203\.0\.113\.1:4500 +203\.0\.113\.1 +198\.51\.100\.7:4500 +office\.example +yes +the site +60 s/,
    );
    t.match(
      stdout,
      /\nESP:\nSTATE +LOCAL SUBNETS +REMOTE SUBNETS +SPI IN +SPI OUT +IN UDP +AGE +NEW IN +SENT +RECEIVED +ALGORITHMS\n/,
    );
    const data = JSON.parse((await hnvgw('sas', 'office', '-d', 'Contoso', '-o', 'json')).stdout);
    t.strictSame(data as SiteConnectionLive, liveConnection);
    t.match(await hnvgw('sas', 'nobody', '-d', 'Contoso'), { status: 1, stderr: /HNV_NOT_FOUND.*nobody/ });
  });

  await t.test('are deleted', async (t) => {
    t.match(await hnvgw('delete', 'nat', '-d', 'Contoso'), {
      status: 1,
      stderr: /office.*\(rule nat-in-use\)/,
    });
    t.match(await hnvgw('delete', 'site', 'office', '-d', 'Contoso'), {
      status: 0,
      stderr: /^deleted .*\/site-connections\/office\n$/,
    });
    t.match((await hnvgw('get', 'sites', '-d', 'Contoso')).stdout, 'There are no site connections.');
  });

  const leaks = [preSharedKey, newSecret]
    .flatMap(formsOf)
    .flatMap((form) => outputs.filter((output) => output.includes(form)));
  t.strictSame(leaks, []);
});
