import t from 'tap';
import { family, line } from '../../src/api/exposition.ts';
import { type RunningApi, runApi } from './api-server.ts';
import { parseExposition } from './exposition-parser.ts';
import { contoso, fabrikam } from './store-folder.ts';

async function scrape(api: RunningApi) {
  const response = await fetch(`${api.base}/metrics`);
  if (response.status !== 200) throw new Error(await response.text());
  const metrics = parseExposition(await response.text());
  const value = (name: string, labels = '') =>
    metrics
      .get(name.replace(/_(bucket|sum|count)$/, ''))
      ?.samples.get(labels === '' ? name : `${name}{${labels}}`);
  return { response, metrics, value };
}

const putDomain = (api: RunningApi, rdid: string) =>
  api.store.put({ kind: 'routingDomain', rdid }, { name: 'x' });

t.test('what is scraped is what status and counters say', async (t) => {
  const api = await runApi(t);
  await putDomain(api, contoso);
  await putDomain(api, fabrikam);
  const { response, metrics, value } = await scrape(api);
  t.equal(response.headers.get('content-type'), 'text/plain; version=0.0.4; charset=utf-8');
  for (const [name, { help }] of metrics) t.match(help, /^\S.*\.$/, name);
  const status = api.operations.nodeStatus();
  t.equal(value('hnvgw_info', 'version="0.1.0",role="gateway",instance="hg"'), 1);
  t.equal(value('hnvgw_store_revision'), status.revision);
  t.equal(value('hnvgw_store_applied_revision'), status.appliedRevision);
  t.equal(value('hnvgw_store_size_bytes'), status.storeBytes);
  t.equal(value('hnvgw_routing_domains', 'state="ready"'), status.routingDomains.ready);
  t.equal(value('hnvgw_sequencer_queue_length'), status.sequencer.queueLength);
  t.equal(value('hnvgw_sequencer_retries_total'), status.sequencer.retries);
  t.equal(value('hnvgw_unattributed_drops_total', 'reason="vsidUnknown"'), 2);
  const { decapsulated, fast, drops } = api.operations.domainCounters();
  for (const rdid of [contoso, fabrikam]) {
    const domain = `routing_domain="${rdid}"`;
    for (const direction of ['decapsulated', 'encapsulated', 'local']) {
      const labels = `${domain},direction="${direction}"`;
      t.equal(value('hnvgw_domain_packets_total', labels), decapsulated.packets);
      t.equal(value('hnvgw_domain_bytes_total', labels), decapsulated.bytes);
    }
    t.equal(value('hnvgw_domain_fast_packets_total', domain), fast.packets);
    t.equal(
      value('hnvgw_domain_drops_total', `${domain},reason="spoofedSource"`),
      Number(drops.spoofedSource),
    );
  }
  t.equal(metrics.get('hnvgw_domain_packets_total')?.samples.size, 6);
  const gateway = `routing_domain="${fabrikam}"`;
  t.equal(value('hnvgw_nat_sessions', gateway), 7);
  t.equal(value('hnvgw_nat_refused_sessions_total', `${gateway},reason="limit"`), 1);
  t.equal(value('hnvgw_nat_refused_sessions_total', `${gateway},reason="ports"`), 2);
  t.equal(value('hnvgw_nat_refused_sessions_total', `${gateway},reason="bindings"`), 3);
  t.ok((value('process_resident_memory_bytes') ?? 0) > 10e6);
  t.ok((value('process_open_fds') ?? 0) > 5);
  t.ok((value('process_max_fds') ?? 0) > 100);
  t.ok((value('process_cpu_seconds_total') ?? 0) > 0);
  const began = Date.now() / 1000 - (value('process_start_time_seconds') ?? 0);
  t.ok(began > 0 && began < 3600, `the process began ${began} s ago`);
  t.ok((value('nodejs_eventloop_lag_max_seconds') ?? -1) >= (value('nodejs_eventloop_lag_p99_seconds') ?? 0));
  api.operations.events.add({ type: 'drift', what: 'found' });
  t.equal((await scrape(api)).value('hnvgw_drift_found_total'), 1);
});

t.test('requests are counted by route and status, and measured', async (t) => {
  const api = await runApi(t);
  await putDomain(api, contoso);
  await putDomain(api, fabrikam);
  for (const rdid of [contoso, fabrikam, '99999999-0000-0000-0000-000000000000'])
    await api.request('GET', `/v1/routing-domains/${rdid}`);
  await fetch(`${api.base}/nowhere`);
  await fetch(`${api.base}/not/here`);
  const authorization = 'Bearer hnvgw_nobody_0000000000000000000000000000000000000000000';
  t.equal((await fetch(`${api.base}/v1/status`, { headers: { authorization } })).status, 401);
  const { value } = await scrape(api);
  const route = 'route="/v1/routing-domains/:rdid"';
  t.equal(value('hnvgw_api_requests_total', `method="GET",${route},status="2xx"`), 2);
  t.equal(value('hnvgw_api_requests_total', `method="GET",${route},status="4xx"`), 1);
  t.equal(value('hnvgw_api_requests_total', 'method="GET",route="none",status="4xx"'), 2);
  t.equal(value('hnvgw_api_refused_requests_total', 'status="401"'), 1);
  t.equal(value('hnvgw_api_request_duration_seconds_count', `method="GET",${route}`), 3);
  t.equal(value('hnvgw_api_request_duration_seconds_bucket', `method="GET",${route},le="+Inf"`), 3);
  t.ok((value('hnvgw_api_request_duration_seconds_sum', `method="GET",${route}`) ?? 0) > 0);
  const again = await scrape(api);
  t.equal(
    again.value('hnvgw_api_requests_total', 'method="GET",route="/metrics",status="2xx"'),
    1,
    'the scrape before is counted',
  );
});

t.test('what a routing context refuses is among the drops of its domain', async (t) => {
  const api = await runApi(t);
  await putDomain(api, contoso);
  const path = `/v1/routing-domains/${contoso}/counters`;
  api.operations.nat = undefined;
  const counters = api.operations.domainCounters();
  t.strictSame((await api.request('GET', path)).body, counters);
  api.operations.contextDrops = () => 7;
  const drops = { ...counters.drops, 'context-refused': 7 };
  t.strictSame((await api.request('GET', path)).body, { ...counters, drops });
});

t.test('others are served while many domains are read', async (t) => {
  const api = await runApi(t);
  const rdids = Array.from(
    { length: 60 },
    (_, n) => `11111111-0000-0000-0000-${String(n).padStart(12, '0')}`,
  );
  await Promise.all(rdids.map((rdid) => putDomain(api, rdid)));
  const counters = api.operations.domainCounters();
  let read = 0;
  api.operations.domainCounters = () => {
    read++;
    // A slow reading, so that all together take much longer than one request.
    const end = performance.now() + 4;
    while (performance.now() < end);
    return counters;
  };
  const scraped = scrape(api);
  const served: number[] = [];
  while (read < rdids.length) {
    await fetch(`${api.base}/healthz`);
    served.push(read);
  }
  t.ok(served.filter((at) => at > 0 && at < rdids.length).length > 1, served.join(' '));
  t.equal((await scraped).metrics.get('hnvgw_domain_packets_total')?.samples.size, 3 * rdids.length);
});

t.test('a domain that goes while others are read is left out', async (t) => {
  const api = await runApi(t);
  await putDomain(api, contoso);
  await putDomain(api, fabrikam);
  const counters = api.operations.domainCounters();
  api.operations.domainCounters = () => {
    // As the store does it when the removal is on disk.
    (api.store.state.domains as Map<string, unknown>).delete(fabrikam);
    return counters;
  };
  const { metrics } = await scrape(api);
  t.equal(metrics.get('hnvgw_domain_packets_total')?.samples.size, 3);
});

t.test('a failure is a problem, not half an answer', async (t) => {
  const api = await runApi(t);
  await putDomain(api, contoso);
  api.operations.domainCounters = () => {
    throw new Error('no map');
  };
  t.match(await api.request('GET', '/metrics'), { status: 500, body: { code: 'HNV_INTERNAL' } });
});

t.test('label values are escaped', async (t) => {
  t.equal(line('name', { label: 'a"b\\c\nd' }, 1.5), 'name{label="a\\"b\\\\c\\nd"} 1.5\n');
  t.equal(line('name', {}, 3), 'name 3\n');
  const text = family('name_total', 'counter', 'Help.', [[{ label: 'a"b\\c\nd,e="f"' }, 1]]);
  t.equal(parseExposition(text).get('name_total')?.samples.size, 1);
});
