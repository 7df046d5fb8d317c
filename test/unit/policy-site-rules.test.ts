/** What site connections need of NAT, of each other, of other domains and of the virtual subnets, and what these keep for them. */
import t from 'tap';
import { checkDelete, checkPut } from '../../src/policy/rules.ts';
import { tunnelAddresses } from '../../src/policy/tunnel-addresses.ts';
import { type NatInput, natPolicy } from '../lab/nat-policy.ts';
import {
  anyPeer,
  branch,
  certificates,
  hq,
  psk,
  type SiteInput,
  site,
  siteInput,
} from '../lab/site-policy.ts';
import { CONTOSO, FABRIKAM, type Put, put, refusalOf, stateOf } from './policy-state.ts';

const ipAddress = '203.0.113.10';
const subnet = (vsid: number, addressPrefixes: string[], rdid = CONTOSO) =>
  put('virtualSubnet', rdid, String(vsid), { addressPrefixes });
const natOf = (policy: NatInput, rdid = CONTOSO) => put('nat', rdid, undefined, natPolicy(policy));
const siteOf = (name: string, more: SiteInput = {}, rdid = CONTOSO) =>
  put('siteConnection', rdid, name, siteInput(more));
const key = (id: string, rdid = CONTOSO) => ({ kind: 'siteConnection', rdid, id }) as const;
const natKey = { kind: 'nat', rdid: CONTOSO } as const;
const whole = { externalAddresses: [{ ipAddress }] };
const block = (portStart: number) => ({ ipAddress, portStart, portEnd: portStart + 1023 });
const refusedPut = (puts: readonly Put[], more: SiteInput, name = 'new') =>
  refusalOf(() => checkPut(stateOf(puts), key(name), site(more)));

const mapped = (protocol: 'tcp' | 'udp', externalPort: number, external = ipAddress) => ({
  ...{ protocol, externalIpAddress: external, externalPort, internalIpAddress: '10.1.1.4', internalPort: 9 },
});
const pair = { externalIpAddress: ipAddress, internalIpAddress: '10.1.1.4' };
const second = '203.0.113.11';
const both = { externalAddresses: [{ ipAddress: second, portStart: 1, portEnd: 2047 }, { ipAddress }] };

const subnets = subnet(5001, ['10.1.1.0/24', 'fd00:1::/64']);
/** A policy that every connection below fits into, to be changed into the one of the case. */
const roomy = { externalAddresses: [{ ipAddress }, { ipAddress: second }, { ipAddress: '2001:db8:f::1' }] };
const natOfHq = (more: SiteInput, nat: NatInput) => () =>
  checkPut(stateOf([subnets, natOf(roomy), siteOf('hq', more)]), natKey, natPolicy(nat));

const accepted: [what: string, nat: NatInput, more: SiteInput, local: string][] = [
  ['the whole address before the block', both, {}, ipAddress],
  ['the block that is named', both, { localAddress: second }, second],
  ['the block when there is nothing else', { externalAddresses: [block(1024)] }, {}, ipAddress],
  ['the first of several', roomy, {}, ipAddress],
  ['the address of the destination’s family', roomy, { destination: '2001:db8::1' }, '2001:db8:f::1'],
  [
    'an address of any family for any peer',
    { externalAddresses: [{ ipAddress: '2001:db8:f::1' }] },
    ...([anyPeer(), '2001:db8:f::1'] as const),
  ],
  [
    'an address with other mappings',
    { ...whole, staticMappings: [mapped('tcp', 500), mapped('udp', 501)] },
    ...([{}, ipAddress] as const),
  ],
  ['the block beside an address in oneToOne', { ...both, oneToOne: [pair] }, {}, second],
];
for (const [what, nat, more, local] of accepted) {
  t.test(`a connection ends at ${what}`, async (t) => {
    checkPut(stateOf([subnets, natOf(nat)]), key('new'), site(more));
    natOfHq(more, nat)();
    t.equal(tunnelAddresses(natPolicy(nat)).of(site(more))?.address, local);
  });
}

/** `field`: of NAT, which is to blame. */
const refused: [what: string, nat: NatInput, more: SiteInput, rule: string, field: string][] = [
  [
    'an address that NAT has not',
    ...([whole, { localAddress: second }] as const),
    ...(['site-local-address', 'externalAddresses'] as const),
  ],
  [
    'no address of the family',
    ...([whole, { destination: '2001:db8::1' }] as const),
    ...(['site-local-address', 'externalAddresses'] as const),
  ],
  [
    'an address in oneToOne',
    { ...both, oneToOne: [pair] },
    { localAddress: ipAddress },
    ...(['site-local-address', 'oneToOne'] as const),
  ],
  [
    'UDP port 500 that is mapped',
    { ...whole, staticMappings: [mapped('udp', 500)] },
    { localAddress: ipAddress },
    ...(['site-local-address', 'staticMappings'] as const),
  ],
  [
    'UDP port 4500 that is mapped',
    { ...whole, staticMappings: [mapped('udp', 4500)] },
    {},
    ...(['site-local-address', 'externalAddresses'] as const),
  ],
  [
    'a block with any peer',
    { externalAddresses: [block(1024)] },
    anyPeer(),
    ...(['site-whole-address', 'externalAddresses'] as const),
  ],
  [
    'a block with MOBIKE',
    both,
    { localAddress: second, mobike: true },
    ...(['site-whole-address', 'externalAddresses'] as const),
  ],
];
for (const [what, nat, more, rule, field] of refused) {
  t.test(`a connection at ${what} is refused by ${rule}, and NAT that would leave it there`, async (t) => {
    const puts = [subnets, natOf(nat)];
    t.match(refusedPut(puts, more), { code: 'HNV_INVALID_FIELD', rule, pointer: '/localAddress' });
    const refusal = refusalOf(natOfHq(more, nat));
    t.match(refusal, { code: 'HNV_IN_USE', rule: 'nat-in-use', pointer: `/${field}` });
    t.match(refusal.message, /is in use: .* of site connection hq /);
  });
}

t.test('a site connection needs NAT, which stays as long as it is there', async (t) => {
  t.match(refusedPut([subnet(5001, ['10.1.1.0/24'])], {}), {
    rule: 'site-needs-nat',
    pointer: '/localAddress',
  });
  const state = stateOf([natOf(whole), siteOf('hq')]);
  t.match(
    refusalOf(() => checkDelete(state, natKey)),
    { code: 'HNV_IN_USE', rule: 'nat-in-use' },
  );
  checkDelete(state, key('hq'));
  t.match(
    refusalOf(() => checkDelete(state, key('other'))),
    { code: 'HNV_NOT_FOUND' },
  );
  checkDelete(stateOf([natOf(whole)]), natKey);
});

t.test('two connections with the same peer have different identities', async (t) => {
  const puts = [natOf(both), siteOf('first', { destination: [branch, hq] })];
  const withId = (remoteId: string) => ({ authentication: psk({ remoteId }) });
  const named = [natOf(both), siteOf('first', withId('a.example'))];
  const same: [Put[], SiteInput][] = [
    [puts, {}],
    [puts, withId('a.example')],
    [named, withId('A.EXAMPLE')],
    [named, { destination: [hq, branch] }],
    [named, { authentication: certificates() }],
    [[natOf(both), siteOf('first', anyPeer())], anyPeer()],
  ];
  for (const [before, more] of same) {
    const refusal = refusedPut(before, more);
    t.match(refusal, { code: 'HNV_CONFLICT', rule: 'site-connection-unique', pointer: '/destination' });
    t.match(refusal.message, /site connection first/);
    checkPut(stateOf(before), key('first'), site(more));
    if (more.destination !== 'any')
      checkPut(stateOf(before), key('new'), site({ ...more, localAddress: second }));
  }
  checkPut(stateOf(named), key('new'), site(withId('b.example')));
  // The identity of this one is its address.
  checkPut(stateOf(named), key('new'), site());
  checkPut(stateOf([natOf(both), siteOf('first', anyPeer())]), key('new'), site({ authentication: psk() }));
  checkPut(stateOf([natOf(both), siteOf('first', anyPeer())]), key('new'), site(anyPeer('other.example')));
});

t.test('a NAT policy keeps connections with the same peer at different addresses', async (t) => {
  const state = stateOf([natOf(both), siteOf('first'), siteOf('second', { localAddress: second })]);
  checkPut(state, natKey, natPolicy({ externalAddresses: [{ ipAddress }, { ipAddress: second }] }));
  const refusal = refusalOf(() =>
    checkPut(state, natKey, natPolicy({ externalAddresses: [{ ipAddress: second }, { ipAddress }] })),
  );
  t.match(refusal, { code: 'HNV_IN_USE', rule: 'nat-in-use', pointer: '/externalAddresses' });
  t.match(refusal.message, /site connections first and second would both end at 203\.0\.113\.11/);
});

t.test('at an address that is shared, a peer is of one domain only', async (t) => {
  const theirs = (more: SiteInput = {}): Put[] => [
    natOf({ externalAddresses: [block(1024)] }, FABRIKAM),
    siteOf('theirs', more, FABRIKAM),
  ];
  const ours = natOf({ externalAddresses: [block(2048), { ipAddress: second }] });
  const local = { localAddress: ipAddress };
  const refusal = refusedPut([...theirs(), ours], { ...local, destination: [branch, hq] });
  t.match(refusal, {
    ...{ code: 'HNV_CONFLICT', rule: 'site-peer-unique', pointer: '/destination/1' },
    forOperators: `It is the peer of site connection theirs of routing domain ${FABRIKAM}.`,
  });
  for (const hidden of [FABRIKAM, 'theirs']) t.notMatch(refusal.message, hidden);
  t.match(refusedPut([...theirs(), ours], local), { pointer: '/destination' });

  const accept = (puts: Put[], more: SiteInput) => checkPut(stateOf(puts), key('new'), site(more));
  accept([...theirs(), ours], { ...local, destination: branch });
  accept([...theirs(), ours], { localAddress: second });
  accept([...theirs({ destination: branch }), ours], local);
  accept([...theirs().slice(0, 1), ours], local);
  const elsewhere = { externalAddresses: [block(1024), { ipAddress: '203.0.113.12' }] };
  accept([natOf(elsewhere, FABRIKAM), siteOf('theirs', {}, FABRIKAM), ours], local);
  checkPut(stateOf([...theirs(), ours, siteOf('ours', { localAddress: second })]), key('ours'), site());

  const state = stateOf([...theirs(), natOf({ externalAddresses: [{ ipAddress: second }] }), siteOf('ours')]);
  const ofNat = refusalOf(() => checkPut(state, natKey, natPolicy({ externalAddresses: [block(2048)] })));
  t.match(ofNat, { code: 'HNV_CONFLICT', rule: 'site-peer-unique', pointer: '/externalAddresses' });
  t.match(ofNat.forOperators, FABRIKAM);
  t.notMatch(ofNat.message, FABRIKAM);
  checkPut(state, natKey, natPolicy({ externalAddresses: [{ ipAddress: second }, block(2048)] }));
});

t.test('a domain has a limited number of prefixes behind tunnels', async (t) => {
  const many = (nth: number, length = 64): SiteInput => ({
    destination: `198.51.100.${nth}`,
    subnets: Array.from({ length }, (_, n) => ({ prefix: `172.${nth}.${n}.0/24` })),
  });
  const full = [natOf(whole), ...Array.from({ length: 16 }, (_, n) => siteOf(`s${n}`, many(16 + n)))];
  checkPut(stateOf(full), key('s0'), site(many(40)));
  t.match(refusedPut(full, many(40, 1)), {
    ...{ code: 'HNV_CONFLICT', rule: 'site-prefix-count', pointer: '/subnets' },
    message: /would make 1025 prefixes/,
  });
});

t.test('what is in a virtual subnet is not behind a tunnel, whichever comes first', async (t) => {
  const at = (prefix: string): SiteInput => ({ subnets: [{ prefix: '172.16.0.0/12' }, { prefix }] });
  const puts = [natOf(whole), subnet(5001, ['10.9.0.0/16', '10.1.1.0/24']), subnet(5002, ['fd00:1::/64'])];
  const refuse = { code: 'HNV_CONFLICT', rule: 'site-prefix-subnet' };
  for (const prefix of ['10.1.1.0/24', '10.1.1.128/25', '10.1.1.4/32', 'fd00:1::/64', 'fd00:1::/80']) {
    t.match(refusedPut(puts, at(prefix)), { ...refuse, pointer: '/subnets/1/prefix' });
    const state = stateOf([natOf(whole), siteOf('hq', at(prefix))]);
    for (const [id, pointer] of [
      ['5001', '/addressPrefixes/1'],
      ['5002', '/addressPrefixes/0'],
    ] as const) {
      const write = () =>
        checkPut(state, { kind: 'virtualSubnet', rdid: CONTOSO, id }, { addressPrefixes: valuesOf(id) });
      if (prefix.includes(':') === (id === '5001')) write();
      else t.match(refusalOf(write), { ...refuse, pointer, message: /of site connection hq/ });
    }
  }
  for (const prefix of ['10.0.0.0/8', '10.1.0.0/16', '10.1.2.0/24', 'fd00:1::/63', 'fd00:2::/64']) {
    checkPut(
      stateOf([...puts, siteOf('other', at(prefix))]),
      key('new'),
      site({ ...at(prefix), destination: branch }),
    );
    const state = stateOf([natOf(whole), siteOf('hq', at(prefix))]);
    for (const id of ['5001', '5002'])
      checkPut(state, { kind: 'virtualSubnet', rdid: CONTOSO, id }, { addressPrefixes: valuesOf(id) });
  }
});

const valuesOf = (vsid: string) => (vsid === '5001' ? ['10.9.0.0/16', '10.1.1.0/24'] : ['fd00:1::/64']);
