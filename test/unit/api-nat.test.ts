/** NAT policies as a portal writes them: what may be left out, what "auto" gives, and where it stays. */
import t from 'tap';
import { compileSchema } from '../../src/config/schema-violation.ts';
import { Nat } from '../../src/policy/resources.ts';
import { type RunningApi, runApi } from './api-server.ts';
import { contoso, fabrikam } from './store-folder.ts';

const pathOf = (rdid: string) => `/v1/routing-domains/${rdid}`;
const natPath = `${pathOf(contoso)}/nat`;
const pool = '/v1/external-address-pools/shared';

async function put(api: RunningApi, path: string, body: unknown): Promise<Record<string, unknown>> {
  const answer = await api.request('PUT', path, body);
  if (answer.status > 201) throw new Error(`${path}: ${JSON.stringify(answer.body)}`);
  return answer.body as unknown as Record<string, unknown>;
}

async function withPool(t: Parameters<typeof runApi>[0]): Promise<RunningApi> {
  const api = await runApi(t);
  await put(api, pool, { prefixes: ['203.0.113.0/30'], portBlockSize: 16128 });
  for (const rdid of [contoso, fabrikam]) await put(api, pathOf(rdid), { name: rdid });
  return api;
}

t.test('"auto" is answered with what it has given, and whoever writes again keeps it', async (t) => {
  const api = await withPool(t);
  const first = await put(api, natPath, { externalAddresses: 'auto' });
  t.match(first, { externalAddresses: 'auto', allocatedAddress: { ipAddress: /^203\.0\.113\.[0-3]$/ } });
  t.notOk('pool' in first);
  const { allocatedAddress } = first as { allocatedAddress: { portStart: number; portEnd: number } };
  t.equal(allocatedAddress.portEnd - allocatedAddress.portStart, 16127);
  const etag = (await api.request('GET', natPath)).headers.get('etag') ?? '';
  const again = await api.request('PUT', natPath, { externalAddresses: 'auto' }, { 'if-match': etag });
  t.match(again, { status: 200, body: { allocatedAddress } });
  t.match(await api.request('PUT', natPath, { externalAddresses: 'auto' }, { 'if-match': etag }), {
    status: 412,
  });
  t.match(await api.request('PATCH', natPath, { pool: 'shared' }), {
    body: { pool: 'shared', allocatedAddress },
  });

  t.match(await api.request('DELETE', pool), { status: 409, body: { rule: 'pool-in-use' } });
  const named = { externalAddresses: [allocatedAddress], pool: null, allocatedAddress: null };
  t.match(await api.request('PATCH', natPath, named), { status: 200 });
  t.equal((await api.request('DELETE', pool)).status, 204, 'what is named is not from the pool any more');
});

t.test('the policy of one node, put to another, gives the same addresses', async (t) => {
  const api = await withPool(t);
  for (const rdid of [contoso, fabrikam])
    await put(api, `${pathOf(rdid)}/nat`, { externalAddresses: 'auto' });
  const { body } = await api.request('GET', '/v1/policy');
  const tag = (await api.request('GET', natPath)).headers.get('etag');
  t.match(await api.request('PUT', '/v1/policy', body), { body: { changed: 0, created: 0, deleted: 0 } });
  const document = structuredClone(body) as unknown as { routingDomains: { nat: Record<string, unknown> }[] };
  for (const { nat } of document.routingDomains) delete nat.allocatedAddress;
  for (const [method, query] of [
    ['PUT', '?dryRun=true'],
    ['PUT', ''],
    ['POST', ''],
  ] as const)
    t.match(await api.request(method, `/v1/policy${query}`, document), {
      body: { changed: 0, created: 0, deleted: 0, unchanged: 5 },
    });
  t.equal((await api.request('GET', natPath)).headers.get('etag'), tag);

  const other = await runApi(t);
  t.match(await other.request('PUT', '/v1/policy', body), { body: { created: 5 } });
  t.strictSame((await other.request('GET', '/v1/policy')).body, body);
});

t.test('what is left out has its default, inside of objects too, by REST and in documents', async (t) => {
  const api = await withPool(t);
  const given = {
    externalAddresses: [{ ipAddress: '198.51.100.1' }],
    timeouts: { udp: 30 },
    filtering: { tcp: 'endpointIndependent' },
  };
  const expected = {
    timeouts: { icmp: 60, tcpEstablished: 7440, tcpTransient: 240, udp: 30 },
    filtering: { tcp: 'endpointIndependent', udp: 'addressAndPortDependent' },
    ...{ hairpinning: 'local', algs: [], oneToOne: [], externalPrefixes: [], staticMappings: [] },
  };
  t.match(await put(api, natPath, given), expected);
  const document = { routingDomains: [{ rdid: contoso, name: contoso, nat: given }] };
  t.match(await api.request('POST', '/v1/policy', document), {
    status: 200,
    body: { changed: 0, unchanged: 2 },
  });
  const patched = await api.request('PATCH', natPath, { timeouts: { udp: null, icmp: 5 }, filtering: null });
  t.match(patched.body, {
    timeouts: { ...expected.timeouts, udp: 300, icmp: 5 },
    filtering: { tcp: 'addressAndPortDependent', udp: 'addressAndPortDependent' },
  });
});

t.test(
  'a wrong list of addresses is told by what is wrong in it, and a wrong word by what there is',
  async (t) => {
    const check = compileSchema(Nat);
    const violation = (externalAddresses: unknown) => {
      const checked = check({ externalAddresses });
      return 'violation' in checked ? checked.violation : undefined;
    };
    t.match(violation([{}]), { pointer: '/externalAddresses/0/ipAddress', rule: 'required' });
    t.match(violation([{ ipAddress: '1.2.3.4', portEnd: 65536 }]), {
      pointer: '/externalAddresses/0/portEnd',
      rule: 'maximum',
    });
    t.match(violation([{ ipAdress: '1.2.3.4' }]), {
      pointer: '/externalAddresses/0/ipAdress',
      rule: 'unknown-field',
    });
    t.match(violation('any'), {
      pointer: '/externalAddresses',
      rule: 'enum',
      reason: /^is "any", but must be one of a list of addresses, auto /,
    });
    t.match(violation({}), { pointer: '/externalAddresses', rule: 'enum' });
  },
);
