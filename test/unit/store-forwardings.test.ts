/** The index of forwarding policies: nobody's VLAN, address or prefix is another's, whichever way it was written. */
import t, { type Test } from 'tap';
import { overlapping } from '../../src/policy/address-ranges.ts';
import { normalize } from '../../src/policy/normalize.ts';
import type { Forwarding } from '../../src/policy/resources.ts';
import { openStore } from '../../src/store/sqlite.ts';
import type { DocumentEntry, Entry, Store } from '../../src/store/store.ts';
import { capacity, contoso, fabrikam, putDomain, storePath } from './store-folder.ts';

const settings = { uplinks: ['eth0', 'eth1'], allowsWeakAlgorithms: false };
const forwarding = (more: Partial<Forwarding>): Forwarding =>
  normalize('forwarding', {
    ...{ addresses: ['100.64.40.2/24'], nextHops: ['100.64.40.1'] },
    destinationPrefixes: ['172.16.0.0/12'],
    ...more,
  });
const shared = forwarding({ advertise: ['10.1.0.0/16'] });
const key = (rdid: string) => ({ kind: 'forwarding', rdid }) as const;

function held({ state }: Store) {
  const { vlans, addresses, prefixes, ranges } = state.forwardings;
  return {
    vlans: [...vlans],
    addresses: [...addresses],
    prefixes: [...prefixes],
    ranges: [...overlapping(ranges, '0.0.0.0/0')].length,
  };
}
const nothing = { vlans: [], addresses: [], prefixes: [], ranges: 0 };

async function start(t: Test) {
  const path = storePath(t);
  const opened: Store[] = [];
  t.teardown(() => Promise.all(opened.map((each) => each.close())));
  const open = async (): Promise<Store> => {
    const store = await openStore({ path, capacity, settings });
    opened.push(store);
    return store;
  };
  const store = await open();
  await putDomain(store, contoso, 5001);
  await putDomain(store, fabrikam, 6001);
  return { store, open };
}

t.test('it follows writes, deletions and restarts', async (t) => {
  const { store, open } = await start(t);
  t.strictSame(held(store), nothing);
  await store.put(key(contoso), forwarding({ vlanId: 7 }));
  t.strictSame(held(store), { ...nothing, vlans: [['eth0 7', contoso]] });
  await store.put(key(contoso), forwarding({ vlanId: 7, uplink: 'eth1' }));
  t.strictSame(held(store), { ...nothing, vlans: [['eth1 7', contoso]] });
  await store.put(key(contoso), shared);
  const asShared = {
    ...{ vlans: [], addresses: [['100.64.40.2', contoso]], prefixes: [['10.1.0.0/16', contoso]] },
    ranges: 2,
  };
  t.strictSame(held(store), asShared);
  await store.close();
  const again = await open();
  t.strictSame(held(again), asShared);
  await again.delete(key(contoso));
  t.strictSame(held(again), nothing);
  await again.put(key(contoso), shared);
  await again.delete({ kind: 'routingDomain', rdid: contoso });
  t.strictSame(held(again), nothing);
});

t.test('what is refused, in whatever company, leaves it as it was', async (t) => {
  const { store } = await start(t);
  await store.put(key(contoso), forwarding({ vlanId: 7 }));
  const before = held(store);
  const taken = { code: 'HNV_CONFLICT', rule: 'forwarding-vlan-unique' };
  await t.rejects(store.put(key(fabrikam), forwarding({ vlanId: 7 })), taken);
  await t.rejects(store.put(key(fabrikam), forwarding({ vlanId: 7, uplink: 'eth0' })), taken);
  const results = await Promise.allSettled([
    store.put(key(contoso), shared),
    store.put(key(fabrikam), shared),
    store.put(key(contoso), forwarding({ vlanId: 7 })),
  ]);
  t.strictSame(
    results.map(({ status }) => status),
    ['fulfilled', 'rejected', 'fulfilled'],
  );
  t.strictSame(held(store), before);
});

/** All that the store has, with other forwardings; the domains in the order of the pairs. */
function document(store: Store, forwardings: readonly (readonly [string, Forwarding])[]): DocumentEntry[] {
  const entries = forwardings.flatMap(([rdid, value]): Entry[] => {
    const domain = store.state.domains.get(rdid);
    if (domain === undefined) throw new Error(`no domain ${rdid}`);
    return [
      { kind: 'routingDomain', rdid, id: '', value: domain.domain },
      ...[...domain.virtualSubnets].map(
        ([vsid, subnet]): Entry => ({ kind: 'virtualSubnet', rdid, id: String(vsid), value: subnet }),
      ),
      { ...key(rdid), id: '', value },
    ];
  });
  return entries.map((entry, index) => ({ entry, pointer: `/items/${index}` }));
}

t.test('a whole policy may swap what two domains have, and not give it to both', async (t) => {
  const { store } = await start(t);
  const [seven, eight] = [forwarding({ vlanId: 7 }), forwarding({ vlanId: 8 })];
  await store.put(key(contoso), seven);
  await store.put(key(fabrikam), eight);
  t.match(
    await store.replace(
      document(store, [
        [contoso, eight],
        [fabrikam, seven],
      ]),
    ),
    { changed: 2 },
  );
  t.strictSame(held(store).vlans.sort(), [
    ['eth0 7', fabrikam],
    ['eth0 8', contoso],
  ]);
  const before = held(store);
  for (const [first, second] of [
    [eight, eight],
    [seven, seven],
  ] as const)
    await t.rejects(
      store.replace(
        document(store, [
          [contoso, first],
          [fabrikam, second],
        ]),
      ),
      { code: 'HNV_CONFLICT', rule: 'forwarding-vlan-unique' },
    );
  t.strictSame(held(store), before);
  t.match(
    await store.replace(
      document(store, [
        [fabrikam, seven],
        [contoso, eight],
      ]),
    ),
    { changed: 0, unchanged: 8 },
  );
});

t.test('on the shared network, domains that stay are still held against those that change', async (t) => {
  const { store } = await start(t);
  await store.put(key(contoso), shared);
  await store.put(key(fabrikam), forwarding({ vlanId: 8 }));
  const clash = (value: Forwarding) =>
    store.replace(
      document(store, [
        [fabrikam, value],
        [contoso, shared],
      ]),
    );
  await t.rejects(clash(shared), { code: 'HNV_CONFLICT', rule: 'forwarding-address-available' });
  const other = { addresses: ['100.64.40.3/24'] };
  await t.rejects(clash(forwarding({ ...other, advertise: ['10.0.0.0/12'] })), {
    ...{ code: 'HNV_CONFLICT', rule: 'forwarding-advertise-available' },
  });
  t.match(await clash(forwarding({ ...other, advertise: ['10.200.0.0/16'] })), { changed: 1 });
});
