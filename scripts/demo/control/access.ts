/** Who may do what: the first token, a tenant's token, and its end. */
import { HOST_ADDRESSES } from '../../../test/lab/topology.ts';
import { until } from '../../../test/lab/until.ts';
import type { Row } from '../table.ts';
import { Client, reasonOf } from './client.ts';
import { recordOf } from './document.ts';
import { Follower } from './follower.ts';
import type { ControlStage } from './stage.ts';

/** An RDID that nobody has. */
const NOBODY = '99999999-9999-9999-9999-999999999999';

type Attempt = [method: string, path: string, body?: object];

/** There is no default password: root makes the first token, over the unix socket. */
export async function makeFirstToken(stage: ControlStage): Promise<Row[]> {
  const { gateway, root } = stage;
  const without = await new Client(gateway).curl('GET', '/v1/status');
  const token = (await root.done('token', 'create', 'portal', '--role', 'admin')).trim();
  const again = await root.hnvgw('token', 'create', 'portal', '--role', 'admin');
  const list = await root.done('token', 'list', '-o', 'json');
  stage.portal = new Client(gateway, token);
  const withToken = await stage.portal.curl('GET', '/v1/status');
  const isShownOnce = again.code === 1 && list.includes('portal') && !list.includes(token);
  return [
    {
      what: 'Root makes the first token, over the unix socket',
      seen: `${isShownOnce ? 'shown once' : 'shown again'}; by TCP ${without.status} without it, ${withToken.status} with it`,
      ok:
        /^hnvgw_portal_\S{20,}$/.test(token) &&
        isShownOnce &&
        without.status === 401 &&
        withToken.status === 200,
    },
  ];
}

/** What a tenant is not to have answers as what is not there; what is its own it may change. */
export async function tryTenantToken(stage: ControlStage): Promise<Row[]> {
  const { gateway, portal, tenants } = stage;
  const [own, other] = tenants;
  const token = await portal.done('token', 'create', own.name, '--role', 'tenant', '-d', own.name);
  const tenant = new Client(gateway, token.trim());
  const follower = await Follower.start(tenant);

  const list = await tenant.curl('GET', '/v1/routing-domains');
  const { items } = JSON.parse(list.body) as { items: { rdid: string }[] };
  const domains = items.map(({ rdid }) => rdid);
  const { id, ...record } = recordOf('10.1.1.77', '02:00:00:50:01:77', own.vsid, HOST_ADDRESSES[0]);
  const at = (rdid: string) => `/v1/routing-domains/${rdid}/lookup-records/${id}`;
  const ownWrites = [
    await tenant.curl('PUT', at(own.rdid), record),
    await tenant.curl('DELETE', at(own.rdid)),
  ];
  await follower.told(new RegExp(`deleted .*${id}$`));

  const path = `/v1/routing-domains/${other.rdid}`;
  const refused: Attempt[] = [
    ['GET', `${path}/nat`],
    ['PUT', at(other.rdid), record],
    ['DELETE', path],
  ];
  const isAlike: boolean[] = [];
  for (const [method, path, body] of refused) {
    const foreign = await tenant.curl(method, path, body);
    const missing = await tenant.curl(method, path.replace(other.rdid, NOBODY), body);
    isAlike.push(
      foreign.status === 404 &&
        missing.status === 404 &&
        foreign.body.replaceAll(other.rdid, NOBODY) === missing.body,
    );
  }
  const alike = isAlike.filter((each) => each).length;
  const events = follower.events.filter(({ words }) => words.includes(other.rdid)).length;
  const statuses = ownWrites.map(({ status }) => status).join(', ');
  return [
    {
      what: `${own.title}'s token has ${own.title} alone: no ${other.title} exists`,
      seen: `lists ${domains.length} of 2, writes ${statuses}; ${alike} of ${refused.length} tries at ${other.title} 404; ${events} of its events`,
      ok: `${domains}` === own.rdid && statuses === '201, 204' && alike === refused.length && events === 0,
    },
    await revoke(stage, tenant, follower),
  ];
}

async function revoke(
  { portal, tenants: [own] }: ControlStage,
  tenant: Client,
  follower: Follower,
): Promise<Row> {
  const before = await tenant.curl('GET', '/v1/routing-domains');
  await portal.done('token', 'revoke', own.name);
  const after = await tenant.curl('GET', '/v1/routing-domains');
  await until('the event stream of a revoked token ends', 10_000, () => !follower.process.running);
  const { code } = await follower.process.exited;
  const reason = reasonOf(follower.process.lines.at(-1) ?? '');
  return {
    what: 'A revoked token is refused from the next request on',
    seen: `${before.status}, then ${after.status}; its event stream ends: ${reason.split(':')[0]}`,
    ok:
      before.status === 200 && after.status === 401 && code === 1 && reason.startsWith('HNV_UNAUTHENTICATED'),
  };
}
