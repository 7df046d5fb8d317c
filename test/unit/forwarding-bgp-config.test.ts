/** What bgpd is told: its configuration out of a plan, and the way from one configuration to another. */
import t from 'tap';
import { bfdCommands, bgpConfig } from '../../src/forwarding/bgp-config.ts';
import { configChanges } from '../../src/forwarding/config-changes.ts';
import { numberPattern } from '../../src/forwarding/number-pattern.ts';
import type { BgpPolicy } from '../../src/policy/bgp-resources.ts';
import type { BgpPeerPlan, BgpPlan } from '../../src/policy/plan.ts';

const PEER: BgpPeerPlan = {
  ...{ name: 'office', address: '192.0.2.2', asn: 65_002, localAddress: '192.0.2.1' },
  ...{
    holdTimeSeconds: 90,
    maximumPrefixes: 1000,
    ingressPolicies: [],
    egressPolicies: [],
    by: 'forwarding',
  },
};
const PEER6: BgpPeerPlan = { ...PEER, name: 'office6', address: '2001:db8::2', localAddress: '2001:db8::1' };
const PLAN: BgpPlan = {
  ...{ asn: 4_200_000_001, routerId: '192.0.2.1', peers: [PEER], networks: ['10.0.0.0/24'], policies: [] },
  ...{ maximumPaths: 8, gracefulRestartSeconds: 120, own: ['10.0.0.0/24'], taken: ['0.0.0.0/0'] },
};

const withPolicies = (policies: BgpPolicy[], peer: Partial<BgpPeerPlan> = {}): string[] => {
  const names = policies.map(({ name }) => name);
  return bgpConfig({
    ...PLAN,
    policies,
    peers: [{ ...PEER, ingressPolicies: names, egressPolicies: names, ...peer }],
  });
};

/** The lines of the block with that header. */
function block(lines: readonly string[], header: string): string[] {
  const begin = lines.indexOf(header) + 1;
  const end = lines.findIndex((line, index) => index >= begin && !line.startsWith(' '));
  return lines.slice(begin, end < 0 ? undefined : end).map((line) => line.trim());
}

t.test('a pattern for numbers matches those of its range and no others', async (t) => {
  const highest = 4_294_967_294;
  const ends = [1, 9, 10, 11, 99, 100, 64_511, 64_512, 65_535, 65_536, 4_199_999_999, highest];
  for (const from of ends)
    for (const to of ends.filter((end) => end >= from)) {
      const pattern = new RegExp(`^${numberPattern(from, to)}$`);
      const random = (least: number, most: number): number =>
        least + Math.floor(Math.random() * (most - least + 1));
      const numbers = [1, from - 1, from, from + 1, to - 1, to, to + 1, highest];
      for (let i = 0; i < 40; i++) numbers.push(random(from, to), random(1, highest), random(1, to));
      const wrong = numbers.filter((n) => n > 0 && pattern.test(String(n)) !== (from <= n && n <= to));
      if (wrong.length > 0) t.fail(`${from} to ${to}: ${wrong.join(' ')}`);
      if (pattern.test(`${from}0`) !== from * 10 <= to) t.fail(`${from}0 by ${pattern}`);
    }
});

t.test('the configuration of a plan', async (t) => {
  t.test('closes what no peer may give a route to, before any policy', async (t) => {
    const lines = bgpConfig(PLAN);
    t.strictSame(block(lines, 'route-map in4 deny 1'), ['match ip address prefix-list closed4']);
    for (const entry of ['10.0.0.0/24 le 32', '0.0.0.0/0', '127.0.0.0/8 le 32', '224.0.0.0/4 le 32'])
      t.ok(lines.includes(`ip prefix-list closed4 permit ${entry}`), entry);
    t.notOk(
      lines.some((line) => line.includes('closed6')),
      'a family without peers has no list',
    );
  });

  t.test('tells own networks alone', async (t) => {
    const lines = bgpConfig(PLAN);
    t.strictSame(block(lines, 'route-map out4 permit 1'), [
      'on-match goto 10',
      'match ip address prefix-list networks4',
    ]);
    t.strictSame(block(lines, 'route-map out4 deny 2'), []);
    t.ok(lines.includes('ip prefix-list networks4 permit 10.0.0.0/24'));
    t.ok(lines.includes('  network 10.0.0.0/24'));
  });

  t.test('has of a session the family of its addresses', async (t) => {
    const lines = bgpConfig({ ...PLAN, peers: [PEER, PEER6], networks: ['10.0.0.0/24', 'fd00::/64'] });
    const ipv6 = lines.slice(lines.indexOf(' address-family ipv6 unicast')).map((line) => line.trim());
    t.ok(ipv6.includes('neighbor 2001:db8::2 activate'));
    t.notOk(ipv6.includes('neighbor 192.0.2.2 activate'));
    t.ok(ipv6.includes('network fd00::/64'));
    t.strictSame(block(lines, 'route-map in6 deny 1'), ['match ipv6 address prefix-list closed6']);
  });

  t.test('has what a peer asks for', async (t) => {
    const bfd = { intervalMilliseconds: 50, multiplier: 9 };
    const peer = { ...PEER, multihop: 4, holdTimeSeconds: 10, password: 'a!b?"', bfd };
    const lines = bgpConfig({ ...PLAN, peers: [peer] }).map((line) => line.trim());
    for (const line of [
      ...['remote-as 65002', 'update-source 192.0.2.1', 'timers 3 10', 'password a!b?"', 'ebgp-multihop 4'],
      ...['bfd', 'bfd profile every-50-9', 'maximum-prefix 1000 restart 1', 'route-map in4 in'],
    ])
      t.ok(lines.includes(`neighbor 192.0.2.2 ${line}`), line);
    t.strictSame(bfdCommands([peer, { ...peer, name: 'other' }]), [
      ...['bfd', 'profile every-50-9', 'detect-multiplier 9'],
      ...['receive-interval 50', 'transmit-interval 50', 'exit', 'exit'],
    ]);
  });

  t.test('has policies in the order of the peer', async (t) => {
    const lines = withPolicies([
      { name: 'no', type: 'Deny', matchPrefixes: ['10.7.0.0/16', '10.8.0.1/32', 'fd00:7::/48'] },
      { name: 'only6', type: 'Deny', matchPrefixes: ['fd00:8::/48'] },
      {
        ...{ name: 'change', type: 'ModifyAttribute', matchAsnRanges: [{ from: 64_512, to: 65_534 }] },
        ...{ matchCommunities: ['65535:65281', '65000:7'], newLocalPreference: 300, newMed: 0 },
        ...{ addCommunities: ['no-export', '065000:09', '65000:9'], prependAsn: 2 },
      },
      { name: 'bare', type: 'ModifyAttribute', removeAllCommunities: true },
    ]);
    t.strictSame(block(lines, 'route-map in4+no+only6+change+bare deny 10'), [
      'match ip address prefix-list policy-no-4',
    ]);
    t.ok(lines.includes('ip prefix-list policy-no-4 permit 10.7.0.0/16 le 32'));
    t.ok(lines.includes('ip prefix-list policy-no-4 permit 10.8.0.1/32'));
    t.notOk(lines.some((line) => line.startsWith('route-map in4+no+') && line.endsWith(' 20')));
    t.strictSame(block(lines, 'route-map in4+no+only6+change+bare permit 30'), [
      ...['match as-path policy-change', 'match community policy-change', 'set local-preference 300'],
      ...['set metric 0', 'set community 65000:9 no-export additive'],
      'set as-path prepend 4200000001 4200000001',
    ]);
    t.strictSame(
      lines.filter((line) => line.startsWith('bgp community-list')).map((line) => line.split(' ').at(-1)),
      ['65000:7', 'no-export'],
    );
    t.strictSame(block(lines, 'route-map in4+no+only6+change+bare permit 40'), ['set community none']);
    t.strictSame(block(lines, 'route-map in4+no+only6+change+bare permit 65535'), []);
  });
});

t.test('changes', async (t) => {
  const change = (have: BgpPlan, want: BgpPlan): string[] => configChanges(bgpConfig(have), bgpConfig(want));
  const shown = [
    ...[
      'frr version 8.4.4',
      'frr defaults traditional',
      '!',
      'hostname vm',
      'service integrated-vtysh-config',
      '!',
    ],
    ...bgpConfig(PLAN).map((line, index) => line.replace(/^(ip prefix-list \S+) /, `$1 seq ${5 * index} `)),
    ...[' exit-address-family', 'exit', '!', 'line vty', '!', 'end'],
  ];

  t.test('are none where it is as wanted, whatever the order and numbers of lists', async (t) => {
    t.strictSame(configChanges(shown, bgpConfig(PLAN)), []);
    t.strictSame(
      change(
        { ...PLAN, own: ['10.1.0.0/24', '10.0.0.0/24'] },
        { ...PLAN, own: ['10.0.0.0/24', '10.1.0.0/24'] },
      ),
      [],
    );
  });

  t.test('touch nothing else', async (t) => {
    t.strictSame(change(PLAN, { ...PLAN, networks: ['10.0.0.0/24', '10.1.0.0/24'] }), [
      'ip prefix-list networks4 permit 10.1.0.0/24',
      ...['router bgp 4200000001', 'address-family ipv4 unicast', 'network 10.1.0.0/24'],
    ]);
    t.strictSame(change(PLAN, { ...PLAN, peers: [{ ...PEER, password: 'new' }] }), [
      ...['router bgp 4200000001', 'neighbor 192.0.2.2 password new'],
    ]);
  });

  t.test('say no secret to take it away', async (t) => {
    const have = { ...PLAN, peers: [{ ...PEER, password: 'secret' }] };
    t.strictSame(change(have, PLAN), ['router bgp 4200000001', 'no neighbor 192.0.2.2 password']);
  });

  t.test('replace what there is one of', async (t) => {
    const have = {
      ...PLAN,
      peers: [{ ...PEER, password: 'old', bfd: { intervalMilliseconds: 300, multiplier: 3 } }],
    };
    const want = {
      ...PLAN,
      peers: [{ ...PEER, ingressPolicies: ['p'], asn: 7, holdTimeSeconds: 30 }],
      maximumPaths: 2,
    };
    const commands = change(have, want);
    for (const command of ['remote-as 7', 'timers 10 30', 'route-map in4+p in'])
      t.ok(commands.includes(`neighbor 192.0.2.2 ${command}`), command);
    t.ok(commands.includes('maximum-paths 2'));
    t.strictSame(
      commands.filter((command) => command.startsWith('no neighbor')),
      ['no neighbor 192.0.2.2 bfd', 'no neighbor 192.0.2.2 password'],
    );
  });

  t.test('take a peer away with one command, and its filters behind it', async (t) => {
    const commands = change({ ...PLAN, peers: [PEER, PEER6] }, PLAN);
    t.strictSame(
      commands.filter((command) => command.startsWith('no neighbor')),
      ['no neighbor 2001:db8::2'],
    );
    t.ok(
      commands.indexOf('no neighbor 2001:db8::2') <
        commands.findIndex((one) => one.startsWith('no ipv6 prefix-list')),
    );
  });

  t.test('try a new peer before others change', async (t) => {
    const want = {
      ...PLAN,
      peers: [
        { ...PEER, holdTimeSeconds: 3 },
        { ...PEER, name: 'new', address: '192.0.2.9' },
      ],
    };
    const commands = change(PLAN, want);
    t.ok(
      commands.indexOf('neighbor 192.0.2.9 remote-as 65002') <
        commands.indexOf('neighbor 192.0.2.2 timers 1 3'),
    );
  });

  t.test('begin anew with another own AS', async (t) => {
    const commands = change(PLAN, { ...PLAN, asn: 65_001 });
    t.equal(commands[0], 'no router bgp 4200000001');
    t.ok(
      commands.indexOf('no bgp default ipv4-unicast') <
        commands.indexOf('neighbor 192.0.2.2 remote-as 65002'),
    );
  });

  t.test('make lists before what uses them, and take them away behind it', async (t) => {
    const policy: BgpPolicy = { name: 'p', type: 'Deny', matchPrefixes: ['10.7.0.0/16'] };
    const filtered = { ...PLAN, policies: [policy], peers: [{ ...PEER, ingressPolicies: ['p'] }] };
    const [entry, header] = ['ip prefix-list policy-p-4 permit 10.7.0.0/16 le 32', 'route-map in4+p deny 10'];
    const [there, back] = [change(PLAN, filtered), change(filtered, PLAN)];
    t.equal(there[0], entry);
    t.ok(there.indexOf(header) < there.indexOf('neighbor 192.0.2.2 route-map in4+p in'));
    t.ok(back.indexOf('neighbor 192.0.2.2 route-map in4 in') < back.indexOf(`no ${header}`));
    t.equal(back.at(-1), `no ${entry}`);
  });
});
