/**
 * Each rule of the resources broken in turn against a gateway that forwards: the data plane is afterwards what it was, to the
 * last map entry and rule. What a refusal says is tested in unit/rules-*.
 */
import t from 'tap';
import { mapEntries } from '../lab/data-plane-maps.ts';
import type { GatewayNode } from '../lab/gateway-node.ts';
import { INTERNET_ADDRESS } from '../lab/internet.ts';
import { kernelObjects } from '../lab/kernel-objects.ts';
import { Lab } from '../lab/lab.ts';
import { provisionNeighbours, ruleBreakers } from '../lab/rule-breakers.ts';
import { buildTopology, CONTOSO, provisionTenants } from '../lab/topology.ts';
import { expectStatus } from '../lab/typed-api.ts';
import { until } from '../lab/until.ts';

/** All that packets depend on. */
const dataPlane = async (node: GatewayNode): Promise<{ maps: unknown; objects: unknown }> => ({
  maps: mapEntries(node.instance),
  objects: await kernelObjects(node),
});

t.test(
  'every rule of the resources broken against a gateway that forwards',
  { timeout: 120_000 },
  async (t) => {
    const lab = await Lab.create(`rule${process.pid}`);
    t.teardown(() => lab.close());
    const { gateway: node, contoso, fabrikam } = await buildTopology(lab);
    await node.start();
    await provisionTenants(node.api);
    await provisionNeighbours(node.api);
    for (const vm of [contoso[0], fabrikam[0]])
      await until('the way is warm', 10_000, async () => (await vm.ping(INTERNET_ADDRESS, 1)).received === 1);
    const before = await dataPlane(node);
    t.match(
      before,
      {
        maps: { records: { length: 262 }, externals: { length: 2 } },
        objects: { providerRoutes: [{ dst: '192.168.77.0/24' }] },
      },
      'the snapshot sees the tables',
    );
    const revision = async () => (await expectStatus(200, node.api.typed.getStatus())).data.revision;
    const revisionBefore = await revision();

    for (const [kind, breakers] of Object.entries(ruleBreakers)) {
      await t.test(`after all that ${kind} refuses the data plane is as before`, async (t) => {
        for (const { what, method = 'PUT', path, body, status = 400, rule, tenant } of breakers) {
          if (tenant !== undefined) continue; // root, whose socket this is, may do that
          const answer = await node.api.request(method, path, body);
          t.match(answer, { status, body: { rule } }, what);
        }
        t.strictSame(await dataPlane(node), before);
        for (const vm of [contoso[0], fabrikam[0]])
          t.match(await vm.ping(INTERNET_ADDRESS, 1), { received: 1 });
        t.equal(await revision(), revisionBefore, 'nothing was stored');
      });
    }

    await t.test('the snapshot tells a change of one field', async (t) => {
      const { rdid, vms } = CONTOSO;
      const body = { macAddress: '02:00:00:00:00:98' };
      const id = vms[0]?.ip ?? '';
      await expectStatus(200, node.api.typed.patchLookupRecord({ rdid, id, wait: '5s', body }));
      t.notSame(await dataPlane(node), before);
    });
  },
);
