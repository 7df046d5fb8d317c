/** The lab's outside: reachable from the uplink, and a way back for public addresses of both kinds. */
import t from 'tap';
import { FAR_ADDRESS, INTERNET_ADDRESS, Internet } from '../lab/internet.ts';
import { Lab } from '../lab/lab.ts';
import { fetchFrom } from '../lab/vm.ts';
import { startWebSite } from '../lab/web-site.ts';

t.test('the internet serves the uplink and finds public addresses on the link and behind it', async (t) => {
  const lab = await Lab.create(`li${process.pid}`);
  t.teardown(() => lab.close());
  const gateway = await lab.namespace('gw');
  const internet = await Internet.create(lab, gateway, 'wan0');
  for (const server of [INTERNET_ADDRESS, FAR_ADDRESS]) {
    const answer = await fetchFrom(gateway, `http://${server}/`);
    t.equal(answer.status, 200);
    t.same(JSON.parse(answer.body), { server: 'internet', yourAddress: '198.51.100.2' });
  }
  const [shared, routed] = ['198.51.100.101', '203.0.113.5'];
  await gateway.ipBatch([`addr add ${shared}/32 dev lo`, `addr add ${routed}/32 dev lo`]);
  await startWebSite(gateway, 'tenant', [`${shared}:8080`, `${routed}:8080`]);
  for (const address of [shared, routed]) {
    const answer = await internet.fetch(`http://${address}:8080/`);
    t.same(JSON.parse(answer.body), { server: 'tenant', yourAddress: INTERNET_ADDRESS });
  }
});
