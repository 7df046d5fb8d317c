/** The order within a domain, and between domains that one handle was given to, on real maps. */
import t from 'tap';
import type { DomainAttachments } from '../../src/encap/entries.ts';
import { type FastDomain, FastPath } from '../../src/encap/fast-path.ts';
import { decodeFastDomain } from '../../src/encap/layout.generated.ts';
import { ProviderGroups } from '../../src/node/provider-groups.ts';
import { type DomainRole, Reconciler } from '../../src/node/reconciler.ts';
import type { DomainPlan } from '../../src/policy/plan.ts';
import type { DesiredState, DomainState } from '../../src/policy/state.ts';
import { CONTOSO, FABRIKAM, stateOf } from '../unit/policy-state.ts';
import { DataPlane } from './data-plane.ts';
import { contoso, fabrikam } from './two-domains.ts';

/** Joins domains to the links of a data plane, when it is let. */
class TestRole implements DomainRole {
  readonly #dataPlane: DataPlane;
  /** Plans by RDID, all of one handle. */
  readonly plans = new Map<string, DomainPlan>();
  readonly gates = new Map<string, Promise<void>>();
  readonly removed: string[] = [];
  readonly #joined = new Set<string>();

  constructor(dataPlane: DataPlane) {
    this.#dataPlane = dataPlane;
  }

  compile({ rdid }: DomainState): DomainPlan {
    const plan = this.plans.get(rdid);
    if (plan === undefined) throw new Error(`no plan of ${rdid}`);
    return plan;
  }

  async attach({ rdid }: DomainPlan): Promise<DomainAttachments> {
    this.#joined.delete(rdid);
    await this.gates.get(rdid);
    this.#joined.add(rdid);
    return this.#dataPlane.attachments(rdid === CONTOSO ? contoso.handle : fabrikam.handle);
  }

  async settle(): Promise<void> {}

  fastDomain({ rdid }: DomainPlan): FastDomain | undefined {
    if (!this.#joined.has(rdid)) return undefined;
    return { netnsId: 1, tcpSeconds: 7440, udpSeconds: 300, revisitSeconds: 10, hasEcho: true };
  }

  async remove(rdid: string): Promise<void> {
    this.removed.push(rdid);
    this.#joined.delete(rdid);
  }

  async removeOrphans(): Promise<void> {}
}

/** Both domains would have Contoso's handle; `state` has the one that is asked for. */
function setUp(t: Parameters<typeof DataPlane.open>[0]) {
  const dataPlane = DataPlane.open(t);
  dataPlane.tables.remove(fabrikam.handle);
  dataPlane.tables.remove(contoso.handle);
  const role = new TestRole(dataPlane);
  for (const plan of dataPlane.plans) role.plans.set(plan.rdid, { ...plan, handle: contoso.handle });
  /** What fast flows were told, and whose tables there were at that moment. */
  const fast: string[] = [];
  const path = new FastPath({ map: (name) => dataPlane.map(name), hasFastPath: true }, true);
  const groups = new ProviderGroups(async () => undefined);
  const reconciler = new Reconciler(dataPlane.tables, role, groups, {
    set: (handle, domain) => {
      fast.push([domain === undefined ? 'off' : 'on', ...owners()].join(' '));
      path.set(handle, domain);
    },
  });
  const state = (...rdids: string[]): DesiredState => {
    const empty = stateOf([]);
    return {
      ...empty,
      domains: new Map(
        rdids.map((rdid) => [rdid, { rdid, handle: contoso.handle, virtualSubnets: new Map() } as never]),
      ),
    };
  };
  const counts = () => ['traffic', 'drops'].map((name) => dataPlane.map(name));
  const key = Buffer.alloc(4);
  key.writeUInt32LE(contoso.handle);
  /** Which of the domains the maps have, by what only one of them has. */
  const owners = (): string[] => {
    const macs = dataPlane
      .map('sources')
      .entries()
      .map(([source]) => Buffer.from(source).toString('hex'));
    return [CONTOSO, FABRIKAM].filter((rdid) =>
      (role.plans.get(rdid)?.sources ?? []).some((address) => {
        const others = role.plans.get(rdid === CONTOSO ? FABRIKAM : CONTOSO)?.sources ?? [];
        if (others.includes(address) || address.includes(':')) return false;
        const hex = Buffer.from(address.split('.').map(Number)).toString('hex');
        return macs.some((mac) => mac.includes(`ffff${hex}`));
      }),
    );
  };
  return {
    ...{ dataPlane, role, reconciler, state, owners },
    told: () => fast.splice(0),
    generation: () =>
      decodeFastDomain(dataPlane.map('fast_domains').lookup(key) ?? new Uint8Array()).generation,
    counted: () => counts().some((map) => map.lookup(key)?.some((byte) => byte !== 0)),
    count: () => {
      for (const map of counts()) map.update(key, new Uint8Array(map.lookup(key)?.length ?? 0).fill(1));
    },
  };
}

t.test('a domain that goes leaves no entry and no count', async (t) => {
  const { reconciler, state, owners, count, counted, role } = setUp(t);
  await reconciler.apply(CONTOSO, state(CONTOSO));
  t.same(owners(), [CONTOSO]);
  count();
  await reconciler.apply(CONTOSO, state());
  t.same(owners(), []);
  t.equal(counted(), false);
  t.same(role.removed, [CONTOSO]);
});

t.test('the new owner of a handle comes before the old one is removed, and stays', async (t) => {
  const { reconciler, state, owners, count, counted, role } = setUp(t);
  await reconciler.apply(CONTOSO, state(CONTOSO));
  count();
  await reconciler.apply(FABRIKAM, state(FABRIKAM));
  t.same(owners(), [FABRIKAM], 'nothing of the old one is left');
  t.equal(counted(), false, 'its counters neither');
  count();
  await reconciler.apply(CONTOSO, state(FABRIKAM));
  t.same(owners(), [FABRIKAM]);
  t.equal(counted(), true, 'what the new one has counted since is its own');
  t.same(role.removed, [CONTOSO]);
  await reconciler.apply(FABRIKAM, state());
  t.same(owners(), []);
});

t.test('the old owner is still being set up when the new one comes', async (t) => {
  const { reconciler, state, owners, role } = setUp(t);
  const { promise, resolve } = Promise.withResolvers<void>();
  role.gates.set(CONTOSO, promise);
  const late = reconciler.apply(CONTOSO, state(CONTOSO));
  await reconciler.apply(FABRIKAM, state(FABRIKAM));
  resolve();
  await late;
  t.same(owners(), [FABRIKAM], 'what comes late is not written');
  await reconciler.apply(CONTOSO, state(FABRIKAM));
  t.same(owners(), [FABRIKAM]);
});

t.test('what fails of the core is the trouble of whose it is', async (t) => {
  const { reconciler, state, role } = setUp(t);
  const plan = role.plans.get(CONTOSO);
  const [record] = plan?.records ?? [];
  if (plan === undefined || record === undefined) throw new Error('no record');
  const records = Array.from({ length: 20_000 }, (_, i) => ({
    ...record,
    address: `10.100.${i >> 8}.${i & 255}`,
  }));
  role.plans.set(CONTOSO, { ...plan, records });
  const domains = state(CONTOSO);
  const domain = {
    ...domains.domains.get(CONTOSO),
    recordByAddress: new Map(records.map(({ address }) => [address, `r ${address}`])),
  } as never;
  const { troubles } = await reconciler.apply(CONTOSO, { ...domains, domains: new Map([[CONTOSO, domain]]) });
  t.ok(troubles.length > 0);
  t.ok(troubles.every(({ kind, id }) => kind === 'lookupRecord' && id?.startsWith('r 10.100.')));
});

t.test('flows are over behind what is new, and before anything is taken away', async (t) => {
  const { reconciler, state, role, told, generation } = setUp(t);
  await reconciler.apply(CONTOSO, state(CONTOSO));
  t.same(told(), ['off', `on ${CONTOSO}`]);
  const first = generation();
  await reconciler.apply(CONTOSO, state(CONTOSO));
  t.same(told(), [`on ${CONTOSO}`]);
  t.equal(generation(), first + 1);
  role.gates.set(CONTOSO, Promise.reject(new Error('no context')));
  await t.rejects(reconciler.apply(CONTOSO, state(CONTOSO)), /no context/);
  t.same(told(), [`off ${CONTOSO}`], 'what could not be made has none');
  role.gates.delete(CONTOSO);
  await reconciler.apply(CONTOSO, state(CONTOSO));
  t.same(told(), [`off ${CONTOSO}`, `on ${CONTOSO}`]);
  await reconciler.apply(FABRIKAM, state(FABRIKAM));
  t.same(told(), [`off ${CONTOSO}`, 'off', `on ${FABRIKAM}`], 'the new owner of the handle');
  const last = generation();
  t.ok(last > first + 2);
  await reconciler.apply(CONTOSO, state(FABRIKAM));
  t.same(told(), [], 'it is nothing to the old one any more');
  await reconciler.apply(FABRIKAM, state());
  t.same(told(), [`off ${FABRIKAM}`]);
  t.equal(generation(), last + 1);
});
