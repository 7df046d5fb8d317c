/** Which groups of the provider network a node is in. */
import t from 'tap';
import type { DomainAttachments, PortAttachment } from '../../src/encap/entries.ts';
import { type GroupMembership, groupsOf, ProviderGroups } from '../../src/node/provider-groups.ts';
import type { DomainPlan, PortPlan, SubnetPlan } from '../../src/policy/plan.ts';

const GROUP = '239.1.1.1';
const GROUP6 = 'ff08::1';
const OWN = '192.0.2.1';
const OWN6 = '2001:db8::1';

const subnet = (vsid: number, providerMulticastAddress?: string): SubnetPlan => ({
  ...{ vsid, routerAddresses: [], remotes: [] },
  ...(providerMulticastAddress === undefined ? {} : { providerMulticastAddress }),
});
const port = (name: string, vsid: number, providerAddress: string): PortPlan => ({
  ...{ interface: name, vsid, mac: '02:00:00:00:00:01', addresses: [], learns: false, isGateway: false },
  ...{ learnedMacs: [], providerAddress },
});
const plan = (subnets: SubnetPlan[], ports: PortPlan[]): DomainPlan => ({
  ...{ rdid: 'r', handle: 1, subnets, ports },
  ...{ sources: [], records: [], wildcards: [], routes: [], siteConnections: [], pending: [] },
});
const attached = (...names: string[]): DomainAttachments => {
  const place: PortAttachment = {
    ifindex: 3,
    isPeer: false,
    mtu: 1500,
    tunnel: { ifindex: 2, mtu: 1600, mac: '02:00:00:00:00:01' },
  };
  return { ports: new Map(names.map((name) => [name, place])) };
};

t.test(
  'a domain needs the groups of subnets that have a port here, on the provider addresses of these',
  async (t) => {
    const of = plan(
      [subnet(5001, GROUP), subnet(5002), subnet(5003, '239.3.3.3'), subnet(5004, GROUP6)],
      [
        port('tap0', 5001, OWN),
        port('tap1', 5001, OWN),
        port('tap2', 5002, OWN),
        port('tap3', 5004, OWN6),
        port('gone', 5003, OWN),
      ],
    );
    t.same(groupsOf(of, attached('tap0', 'tap1', 'tap2', 'tap3')), [
      { group: GROUP, providerAddress: OWN },
      { group: GROUP6, providerAddress: OWN6 },
    ]);
  },
);

t.test(
  'the node is in the groups of all its domains, and leaves a group with the last that needs it',
  async (t) => {
    const applied: (readonly GroupMembership[])[] = [];
    const groups = new ProviderGroups(async (all) => {
      applied.push(all);
    });
    const membership = { group: GROUP, providerAddress: OWN };
    const other = { group: GROUP6, providerAddress: OWN6 };
    await groups.set('a', [membership]);
    await groups.set('b', [membership, other]);
    await groups.set('c', []);
    await groups.set('a', []);
    await groups.set('b', []);
    t.same(applied, [[membership], [membership, other], [membership, other], []]);
  },
);

t.test('a failure is told to the domain whose turn it was, and the next turn has all again', async (t) => {
  const applied: (readonly GroupMembership[])[] = [];
  const groups = new ProviderGroups(async (all) => {
    applied.push(all);
    if (applied.length === 1) throw new Error('no such interface');
  });
  const [first, second] = [
    { group: GROUP, providerAddress: OWN },
    { group: GROUP6, providerAddress: OWN6 },
  ];
  const failing = groups.set('a', [first]);
  const next = groups.set('b', [second]);
  await t.rejects(failing, { message: 'no such interface' });
  await next;
  t.same(applied, [[first], [first, second]]);
});
