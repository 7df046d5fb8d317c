/** The commands that read, against a node's API with a real store: exit codes and data. */
import { createInterface } from 'node:readline';
import t from 'tap';
import { parse } from 'yaml';
import { contosoPath } from './api-server.ts';
import { contosoNode } from './cli-node.ts';

const contoso = '11111111-0000-0000-0000-00000000000a';

t.test('reading', async (t) => {
  const { hnvgw, bash, api, operations } = await contosoNode(t);
  const json = async (...words: string[]) => JSON.parse((await hnvgw([...words, '-o', 'json'])).stdout);

  await t.test('a list is a table with what the kernel has', async (t) => {
    const { stdout, stderr, status } = await hnvgw(['get', 'lookup-records', '-d', 'Contoso']);
    const [heading = '', ...rows] = stdout.trimEnd().split('\n');
    t.strictSame({ status, stderr }, { status: 0, stderr: '' });
    t.match(heading, /^ID +CUSTOMER ADDRESS +VSID +MAC +PROVIDER ADDRESS +TYPE +STATE +REASON$/);
    t.match(rows, [
      /^web1 +10\.1\.1\.11 +5001 +02:00:00:aa:bb:cc +192\.0\.2\.11 +static +pending +not programmed yet$/,
    ]);
    t.notMatch(stdout, '\x1b', 'without colours, since this is no terminal');
  });

  await t.test('every resource has a list, or is one, under its names', async (t) => {
    for (const [names, path] of [
      [['routing-domains', 'rd'], '/v1/routing-domains'],
      [['provider-addresses', 'pa'], '/v1/provider-addresses'],
      [['provider-routes'], '/v1/provider-routes'],
      [['external-address-pools', 'pools'], '/v1/external-address-pools'],
      [['ports', 'port'], '/v1/ports'],
      [['tokens'], '/v1/tokens'],
    ] as const)
      for (const name of names) t.strictSame(await json('get', name), await api.get(path), name);
    for (const name of [
      ...['virtual-subnets', 'customer-routes', 'gateway', 'nat', 'forwarding', 'bgp', 'site-connections'],
    ])
      t.strictSame(await json('get', name, '-d', contoso), await api.get(`${contosoPath}/${name}`), name);
  });

  await t.test('one resource is exactly the data of the API, as YAML for people', async (t) => {
    const expected = await api.get(`${contosoPath}/lookup-records/web1`);
    for (const more of [[], ['-o', 'yaml']])
      t.strictSame(
        parse((await hnvgw(['get', 'record', 'web1', '-d', 'Contoso', ...more])).stdout),
        expected,
      );
    t.strictSame(await json('get', 'record', 'web1', '-d', 'Contoso'), expected);
    t.strictSame(await json('get', 'rd', 'Contoso'), await api.get(contosoPath), 'a domain by its name too');
    t.strictSame(await json('get', 'pa', '2001:db8::1'), await api.get('/v1/provider-addresses/2001:db8::1'));
  });

  await t.test('a domain that is not there, and a resource that is not, fail with the code', async (t) => {
    t.match(await hnvgw(['get', 'records', '-d', 'contoso']), {
      status: 1,
      stdout: '',
      stderr: /^hnvgw: HNV_NOT_FOUND: No routing domain has the name contoso; did you mean Contoso\?/,
    });
    t.match(await hnvgw(['get', 'record', 'web2', '-d', 'Contoso']), {
      status: 1,
      stderr: /^hnvgw: HNV_NOT_FOUND: .*web2 .*does not exist\.\n$/,
    });
    t.match(await hnvgw(['get', 'records']), {
      status: 2,
      stderr: /^hnvgw: lookup-records are of a routing domain: say which with -d DOMAIN\n/,
    });
  });

  await t.test('a name that two domains have is no name', async (t) => {
    const other = '/v1/routing-domains/22222222-0000-0000-0000-00000000000b';
    await api.put(other, { name: 'Contoso' });
    t.match(await hnvgw(['get', 'nat', '-d', 'Contoso']), {
      status: 2,
      stderr: new RegExp(
        `^hnvgw: several routing domains have the name Contoso; name one by its RDID: ${contoso}, 2222`,
      ),
    });
    await api.delete(other);
  });

  await t.test('all pages of a list are read', async (t) => {
    const lookupRecords = Array.from({ length: 1100 }, (_, at) => ({
      id: `many${at}`,
      customerAddress: `2001:db8:1::1:${at}`,
      virtualSubnetId: 5001,
      macAddress: '02:00:00:00:00:01',
      providerAddress: '192.0.2.11',
    }));
    const written = await api.request('POST', '/v1/policy', {
      routingDomains: [{ rdid: contoso, name: 'Contoso', lookupRecords }],
    });
    t.equal(written.status, 200);
    const { items } = await json('get', 'records', '-d', 'Contoso');
    t.equal(new Set(items.map(({ id }: { id: string }) => id)).size, 1101);
  });

  await t.test('a name reaches no terminal as a command', async (t) => {
    const name = '\x1b[2Jgone\x9b31m\u202e';
    const path = '/v1/routing-domains/44444444-0000-0000-0000-00000000000d';
    await api.put(path, { name });
    for (const words of [['get', 'rd'], ['get', 'rd', '-o', 'json'], ['get', 'policy'], ['counters']])
      t.notMatch((await hnvgw(words)).stdout.replaceAll('\n', ''), /[\p{Cc}\p{Cf}]/u, words.join(' '));
    t.match(await hnvgw(['get', 'nat', '-d', `${name}!`]), {
      status: 1,
      stderr: /^hnvgw: [^\p{Cc}\p{Cf}]*\n$/u,
    });
    t.equal((await json('get', 'rd')).items.at(-1).name, name);
    await api.delete(path);
  });

  await t.test('status is told in words, and as the data of the API', async (t) => {
    t.match(await hnvgw(['status']), {
      status: 0,
      stdout:
        /^node +gateway hg, version 0\.1\.0\nstate +ready\nrevision +4, the kernel is at 3\ndomains +1 ready, 0 pend/,
    });
    t.match(await hnvgw(['status']), {
      stdout:
        /\n\nNot ready:\nSTATE +RESOURCE +REASON\nfailed +routing-domains\/1+-0000-0000-0000-0+a\/nat +no memory\n/,
    });
    t.strictSame(await json('status'), operations.nodeStatus());
  });

  await t.test('counters of one domain and of all', async (t) => {
    t.match(await hnvgw(['counters', '-d', 'Contoso']), {
      status: 0,
      stdout:
        /PACKETS +BYTES\nfrom tunnels +1 +84\nto tunnels +1 +84\nlocal +1 +84\n\nBy the fast path: 2 packets.\n\nDropped packets:\n/,
    });
    t.match(await hnvgw(['counters', '-d', 'Contoso']), {
      stdout:
        /\n\nNAT sessions: 7. Refused: 1 over the limit, 2 without a free port, 3 for another's binding.\n$/,
    });
    const counters = { ...operations.domainCounters(), nat: operations.natUse() };
    t.strictSame(await json('counters', '-d', 'Contoso'), counters);
    t.strictSame(await json('counters'), {
      items: [{ rdid: contoso, name: 'Contoso', ...counters }],
    });
  });

  await t.test('drops are the samples of the node, of a domain when one is named', async (t) => {
    t.match(await hnvgw(['drops']), {
      status: 0,
      stdout: /^TIME .*REASON +PACKET\n2026-01-01T00:00:00.000Z +eth0 +60 /,
    });
    t.strictSame(await json('drops'), operations.nodeStatus().recentDrops);
    t.match(await hnvgw(['drops', '-d', 'Contoso']), {
      status: 0,
      stdout: 'No packet was dropped lately.\n',
    });
  });

  await t.test('events are what happened, oldest first', async (t) => {
    const { status, stdout } = await hnvgw(['events']);
    t.equal(status, 0);
    t.match(stdout.split('\n')[0], /^\S+ +resource +created +provider-addresses\/192\.0\.2\.1$/);
    const lines = (await hnvgw(['events', '-o', 'json', '-d', 'Contoso'])).stdout.trimEnd().split('\n');
    t.ok(lines.length > 5);
    for (const line of lines)
      t.match(JSON.parse(line), { type: /^(resource|policy)$/, routingDomainId: contoso });
  });

  await t.test('a reader that has seen enough is no error', async (t) => {
    const script = 'set -o pipefail; hnvgw get policy -o json | head -c 1 >/dev/null';
    t.strictSame(await bash(script), { status: 0, stdout: '', stderr: '' });
  });
});

t.test('following and watching go on until they are ended', async (t) => {
  const node = await contosoNode(t);
  /** The first lines; then it is ended. */
  const follow = async (words: string, lines: number): Promise<string[]> => {
    const child = node.spawn(words.split(' '));
    const found: string[] = [];
    for await (const line of createInterface({ input: child.stdout })) {
      found.push(line);
      if (found.length === lines) break;
    }
    child.kill();
    return found;
  };
  const made = follow('events --follow -d Contoso --type drift -o json', 1);
  const told = setInterval(() => {
    node.operations.events.add({
      type: 'drift',
      routingDomainId: contoso,
      what: 'mended',
      reason: 'A route is back.',
    });
  }, 50);
  t.match(JSON.parse((await made)[0] ?? ''), { type: 'drift', what: 'mended', reason: 'A route is back.' });
  clearInterval(told);
  t.match(await follow('counters --watch', 3), [
    'Each second:',
    /^DOMAIN +RDID +FROM TUNNELS/,
    /^Contoso +1111/,
  ]);
  t.match(await follow('drops --follow', 1), [/^2026-01-01T00:00:00.000Z +eth0/]);
});

t.test('NAT sessions are shown as a table, by filters, and as the API has them', async (t) => {
  const node = await contosoNode(t);
  const table = await node.bash('hnvgw sessions -d Contoso');
  t.match(
    table.stdout,
    /^PROTOCOL +DIRECTION +INTERNAL +EXTERNAL +REMOTE +STATE +STARTED +ENDS IN +SENT +RECEIVED\n/,
  );
  t.match(table.stdout, /\ntcp +outbound +10.1.1.11:40000 +203.0.113.1:2000 +198.51.100.9:443 +established /);
  const asJson = await node.bash(
    'hnvgw sessions -d Contoso --external 203.0.113.1 --external-port 2000 -o json',
  );
  t.match(JSON.parse(asJson.stdout), { items: [{ internalAddress: '10.1.1.11', icmpId: undefined }] });
  const wrong = await node.bash('hnvgw sessions -d Contoso --internal 10.1.1.256');
  t.not(wrong.status, 0);
  t.match(wrong.stderr, /The parameter internalAddress is "10.1.1.256", but must be an IPv4 or IPv6 address/);
});
