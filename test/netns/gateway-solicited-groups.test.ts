/** The uplink's groups in a namespace of this test's: what the kernel has joined follows from what domains own. */
import '../lab/own-namespace.ts';

import t from 'tap';
import { SolicitedGroups } from '../../src/gateway/solicited-groups.ts';
import { ip, ipBatch, ipJson } from '../../src/linux/iproute2.ts';

const UPLINK = 'wan0';
const FIRST = '2001:db8:100::1:11';
const SECOND = '2001:db8:100::2:22';

/** Solicited-node groups that the uplink is in, beside that of its own link-local address. */
async function joined(): Promise<string[]> {
  const [link] = await ipJson<{ maddr: { address?: string }[] }>(['-6', 'maddr', 'show', 'dev', UPLINK]);
  return (link?.maddr ?? [])
    .flatMap(({ address }) => (address?.startsWith('ff02::1:ff') ? address : []))
    .sort();
}

const proxies = async (): Promise<string[]> =>
  (await ipJson<{ dst: string }>(['-6', 'neigh', 'show', 'proxy'])).map(({ dst }) => dst).sort();

t.beforeEach(async () => {
  await ipBatch([
    ['link', 'add', UPLINK, 'type', 'veth', 'peer', 'name', 'far0'],
    ['link', 'set', UPLINK, 'addrgenmode', 'none', 'up'],
  ]);
});
t.afterEach(() => ip(['link', 'delete', UPLINK]));

t.test('groups are joined as long as a domain owns an address in them', async (t) => {
  const groups = new SolicitedGroups(UPLINK);
  await groups.set('a', [FIRST]);
  t.same(await joined(), ['ff02::1:ff01:11']);
  await groups.set('b', [SECOND]);
  t.same(await joined(), ['ff02::1:ff01:11', 'ff02::1:ff02:22']);
  await groups.set('a', []);
  t.same(await joined(), ['ff02::1:ff02:22']);
  await groups.set('b', []);
  t.same(await joined(), []);
});

t.test('an address that goes to another domain stays, in whatever order the two are set', async (t) => {
  const groups = new SolicitedGroups(UPLINK);
  await groups.set('a', [FIRST]);
  await Promise.all([groups.set('b', [FIRST]), groups.set('a', [SECOND])]);
  t.same(await proxies(), [FIRST, SECOND]);
  await groups.set('b', [FIRST, SECOND]);
  await groups.set('a', []);
  t.same(await proxies(), [FIRST, SECOND]);
});

t.test('another process finds what is there, and ends what nobody owns any more', async (t) => {
  await new SolicitedGroups(UPLINK).set('a', [FIRST, SECOND]);
  await ip(['neigh', 'add', 'proxy', '2001:db8:100::9', 'dev', UPLINK]);
  const groups = new SolicitedGroups(UPLINK);
  await groups.keepOnly(new Set([FIRST]));
  t.same(await proxies(), [FIRST, '2001:db8:100::9'], 'and leaves what is not its own');
  await groups.set('a', [FIRST]);
  await groups.set('a', []);
  t.same(await proxies(), ['2001:db8:100::9']);
});

t.test('an uplink that was down is in the groups again', async (t) => {
  const groups = new SolicitedGroups(UPLINK);
  await groups.set('a', [FIRST]);
  for (const state of ['down', 'up']) await ip(['link', 'set', UPLINK, state]);
  t.same(await joined(), [], 'the kernel has forgotten them');
  groups.forget();
  await groups.set('a', [FIRST]);
  t.same(await joined(), ['ff02::1:ff01:11']);
});

t.test('a failure is told, and the next try finds its way', async (t) => {
  const groups = new SolicitedGroups(UPLINK);
  await ip(['link', 'set', UPLINK, 'name', 'gone0']);
  await t.rejects(groups.set('a', [FIRST]), { code: 'HNV_IPROUTE2' });
  await ip(['link', 'set', 'gone0', 'name', UPLINK]);
  await groups.set('a', [FIRST]);
  t.same(await joined(), ['ff02::1:ff01:11']);
});
