/** Which sessions a NAT plan would make: those that it would not are ended when it changes. */
import t from 'tap';
import { IPS, PROTOCOL, type Session } from '../../src/linux/conntrack-messages.ts';
import { Coverage } from '../../src/nat/covered.ts';
import type { NatPlan } from '../../src/policy/plan.ts';
import { forwardingPlan } from '../lab/forwarding-plan.ts';

const { icmp, icmpv6, tcp, udp } = PROTOCOL;
const gre = 47;
const esp = 50;
const strict = { tcp: 'addressAndPortDependent', udp: 'addressAndPortDependent' } as const;

const plan: NatPlan = {
  externalAddresses: [
    { address: '198.51.100.1' },
    { address: '198.51.100.2', portStart: 2000, portEnd: 2999 },
    { address: '198.51.100.3' },
    { address: '2001:db8:e::1' },
  ],
  prefixes: [{ external: '2001:db8:f::/64', internal: 'fd00:1::/64' }],
  portMappings: [
    {
      ...{ protocol: 'tcp', externalAddress: '198.51.100.1', externalPort: 80 },
      ...{ internalAddress: '10.0.0.8', internalPort: 8080 },
    },
    {
      ...{
        protocol: 'udp',
        externalAddress: '198.51.100.1',
        externalPort: 53,
        remotePrefix: '203.0.113.0/24',
      },
      ...{ internalAddress: '10.0.0.8', internalPort: 53 },
    },
    {
      ...{ protocol: 'tcp', externalAddress: '198.51.100.3', externalPort: 25 },
      ...{ internalAddress: '10.0.0.9', internalPort: 25 },
    },
  ],
  oneToOne: [{ external: '198.51.100.3', internal: '10.0.0.7' }],
  timeouts: { icmp: 60, tcpEstablished: 7440, tcpTransient: 240, udp: 300 },
  filtering: strict,
  hairpinning: 'local',
  algs: [],
  peers: [
    { localAddress: '198.51.100.1' },
    { localAddress: '198.51.100.2', remoteAddress: '192.0.2.9' },
    { localAddress: '2001:db8:e::1', remoteAddress: '2001:db8:9::9' },
  ],
  sitePrefixes: ['192.168.50.0/24', 'fd00:50::/64'],
};
const own = new Set(['10.254.0.2', 'fd00:254::2']);
const nowhere = (): boolean => false;

/** `address:port>address:port` of the first packet, and where its answer came from and went to. */
function session(protocol: number, sent: string, answered: string, status = 0): Session {
  const [original, reply] = [sent, answered].map((text) => {
    const [, source = '', sourcePort, destination = '', destinationPort] =
      /^(\S+)\/(\d+) > (\S+)\/(\d+)$/.exec(text) ?? [];
    return { source, sourcePort: Number(sourcePort), destination, destinationPort: Number(destinationPort) };
  });
  if (original === undefined || reply === undefined) throw new Error(sent);
  return { protocol, original, reply, status, id: 1, timeout: 1, key: () => Buffer.alloc(0) };
}

/** Untranslated. */
const local = (protocol: number, sent: string, to: string): Session =>
  session(protocol, `${sent} > ${to}`, `${to} > ${sent}`);

type Case = [what: string, session: Session, isCovered: boolean, plan?: Partial<NatPlan>];

const out = (protocol: number, internal: string, external: string): Session =>
  session(protocol, `${internal} > 203.0.113.5/443`, `203.0.113.5/443 > ${external}`);
/** Of ICMP, both sides of a packet have the same identifier. */
const ping = (internal: string, external: string): Session =>
  session(
    icmp,
    `${internal} > 203.0.113.5/${internal.split('/')[1]}`,
    `203.0.113.5/${external.split('/')[1]} > ${external}`,
  );
const into = (
  protocol: number,
  external: string,
  internal: string,
  remote = '203.0.113.5/4000',
  status = 0,
) => session(protocol, `${remote} > ${external}`, `${internal} > ${remote}`, status);
const loose = { filtering: { tcp: 'addressAndPortDependent', udp: 'endpointIndependent' } } as const;

const cases: Case[] = [
  ['out under a whole address', out(tcp, '10.0.0.1/1024', '198.51.100.1/60000'), true],
  ['any protocol under a whole address', out(gre, '10.0.0.1/0', '198.51.100.1/0'), true],
  ['out under an address that is not the domain’s', out(tcp, '10.0.0.1/1024', '198.51.100.9/1024'), false],
  ['first port of the block', out(tcp, '10.0.0.1/1024', '198.51.100.2/2000'), true],
  ['last port of the block', out(udp, '10.0.0.1/1024', '198.51.100.2/2999'), true],
  ['a port before the block', out(tcp, '10.0.0.1/1024', '198.51.100.2/1999'), false],
  ['a port behind the block', out(udp, '10.0.0.1/1024', '198.51.100.2/3000'), false],
  ['an ICMP identifier of the block', ping('10.0.0.1/7', '198.51.100.2/2500'), true],
  ['an ICMP identifier of another’s block', ping('10.0.0.1/7', '198.51.100.2/3500'), false],
  ['a protocol without ports under a shared address', out(gre, '10.0.0.1/0', '198.51.100.2/0'), false],
  [
    'IPv6 under a whole address',
    session(icmpv6, 'fd00::1/7 > 2001:db8:9::5/7', '2001:db8:9::5/7 > 2001:db8:e::1/7'),
    true,
  ],
  ['one-to-one, out', out(tcp, '10.0.0.7/1024', '198.51.100.3/1024'), true],
  ['one-to-one, a protocol without ports', out(gre, '10.0.0.7/0', '198.51.100.3/0'), true],
  ['a one-to-one host under another address', out(tcp, '10.0.0.7/1024', '198.51.100.1/1024'), false],
  ['another host under a one-to-one address', out(tcp, '10.0.0.1/1024', '198.51.100.3/1024'), false],
  ['one-to-one, in', into(udp, '198.51.100.3/9', '10.0.0.7/9'), true],
  ['one-to-one, in to another host', into(udp, '198.51.100.3/9', '10.0.0.6/9'), false],
  ['a mapping of a one-to-one address', into(tcp, '198.51.100.3/25', '10.0.0.9/25'), true],
  ['by a mapping', into(tcp, '198.51.100.1/80', '10.0.0.8/8080'), true],
  ['by a mapping of the other protocol', into(udp, '198.51.100.1/80', '10.0.0.8/8080'), false],
  ['by a mapping to another host', into(tcp, '198.51.100.1/80', '10.0.0.9/8080'), false],
  ['by a mapping to another port', into(tcp, '198.51.100.1/80', '10.0.0.8/80'), false],
  ['by a mapping that is gone', into(tcp, '198.51.100.1/81', '10.0.0.8/8080'), false],
  ['from a remote prefix', into(udp, '198.51.100.1/53', '10.0.0.8/53'), true],
  ['from outside of the remote prefix', into(udp, '198.51.100.1/53', '10.0.0.8/53', '192.0.2.5/53'), false],
  [
    'a mapped session whose remote port was changed to tell it apart',
    session(tcp, '203.0.113.5/4000 > 198.51.100.1/80', '10.0.0.8/8080 > 203.0.113.5/4001'),
    true,
  ],
  ['in without mapping', into(udp, '198.51.100.1/6000', '10.0.0.1/5000'), false],
  ['in by a binding', into(udp, '198.51.100.1/6000', '10.0.0.1/5000'), true, loose],
  [
    'in to a port of IPv6, which has no bindings',
    into(udp, '2001:db8:e::1/6000', 'fd00::1/5000', '2001:db8:9::5/4000'),
    false,
    loose,
  ],
  ['in by a binding of the other protocol', into(tcp, '198.51.100.1/6000', '10.0.0.1/5000'), false, loose],
  ['in by a binding of another’s port', into(udp, '198.51.100.2/6000', '10.0.0.1/5000'), false, loose],
  ['in by a binding, where there is a mapping', into(udp, '198.51.100.1/53', '10.0.0.1/5000'), false, loose],
  [
    'expected by an ALG',
    into(tcp, '198.51.100.1/6000', '10.0.0.1/5000', '203.0.113.5/20', IPS.expected),
    true,
    { algs: ['ftp'] },
  ],
  [
    'expected by an ALG that is gone',
    into(tcp, '198.51.100.1/6000', '10.0.0.1/5000', '203.0.113.5/20', IPS.expected),
    false,
  ],
  [
    'expected at another’s port',
    into(tcp, '198.51.100.2/6000', '10.0.0.1/5000', '203.0.113.5/20', IPS.expected),
    false,
    { algs: ['ftp'] },
  ],
  ['hairpin', session(tcp, '10.0.0.1/1024 > 198.51.100.1/80', '10.0.0.8/8080 > 198.51.100.1/1024'), true],
  [
    'hairpin with a foreign source',
    session(tcp, '10.0.0.1/1024 > 198.51.100.1/80', '10.0.0.8/8080 > 198.51.100.2/1024'),
    false,
  ],
  [
    'hairpin without mapping',
    session(tcp, '10.0.0.1/1024 > 198.51.100.1/81', '10.0.0.8/8080 > 198.51.100.1/1024'),
    false,
  ],
  ['out untranslated', session(tcp, '10.0.0.1/1 > 203.0.113.5/2', '203.0.113.5/2 > 10.0.0.1/1'), false],
  [
    'out untranslated within a prefix',
    session(tcp, 'fd00:1::1/1 > 2001:db8:9::5/2', '2001:db8:9::5/2 > fd00:1::1/1'),
    true,
  ],
  [
    'in untranslated within a prefix',
    session(tcp, '2001:db8:9::5/2 > fd00:1::1/1', 'fd00:1::1/1 > 2001:db8:9::5/2'),
    true,
  ],
  [
    'out untranslated outside of the prefixes',
    session(tcp, 'fd00:2::1/1 > 2001:db8:9::5/2', '2001:db8:9::5/2 > fd00:2::1/1'),
    false,
  ],
  [
    'ping of an external address',
    session(icmp, '203.0.113.5/7 > 198.51.100.1/7', '198.51.100.1/7 > 203.0.113.5/7'),
    true,
  ],
  [
    'ping of an external address that is gone',
    session(icmp, '203.0.113.5/7 > 198.51.100.9/7', '198.51.100.9/7 > 203.0.113.5/7'),
    false,
  ],
  [
    'ping of a one-to-one address that the context answered',
    session(icmp, '203.0.113.5/7 > 198.51.100.3/7', '198.51.100.3/7 > 203.0.113.5/7'),
    false,
  ],
  ['to a site', local(tcp, '10.0.0.1/1024', '192.168.50.9/443'), true],
  ['from a site', local(tcp, '192.168.50.9/1024', '10.0.0.1/443'), true],
  ['to a site, IPv6', local(tcp, 'fd00:2::1/1024', 'fd00:50::9/443'), true],
  ['to a site that is gone', local(tcp, '10.0.0.1/1024', '192.168.50.9/443'), false, { sitePrefixes: [] }],
  [
    'to a site, from before the tunnel',
    session(tcp, '10.0.0.1/1024 > 192.168.50.9/443', '192.168.50.9/443 > 198.51.100.1/1024'),
    false,
  ],
  [
    'from a site to the outside',
    session(tcp, '192.168.50.9/1024 > 203.0.113.5/443', '203.0.113.5/443 > 198.51.100.1/1024'),
    true,
  ],
  ['from a site by a mapping', into(tcp, '198.51.100.1/80', '10.0.0.8/8080', '192.168.50.9/4000'), true],
  ['IKE under a whole address, with anybody', local(udp, '198.51.100.1/500', '192.0.2.9/500'), true],
  ['ESP under a whole address', local(esp, '198.51.100.1/0', '192.0.2.9/0'), true],
  [
    'IKE under a whole address that has no peers',
    local(udp, '198.51.100.1/500', '192.0.2.9/500'),
    false,
    { peers: [] },
  ],
  ['other UDP of the context', local(udp, '198.51.100.1/501', '192.0.2.9/500'), true, { peers: [] }],
  ['IKE under a shared address', local(udp, '198.51.100.2/500', '192.0.2.9/500'), true],
  ['IKE that the peer began, behind a NAT', local(udp, '192.0.2.9/61000', '198.51.100.2/4500'), true],
  ['ESP under a shared address', local(esp, '198.51.100.2/0', '192.0.2.9/0'), true],
  ['ESP that the peer began', local(esp, '192.0.2.9/0', '198.51.100.2/0'), true],
  ['IKE under a shared address with another peer', local(udp, '198.51.100.2/500', '192.0.2.8/500'), false],
  ['ESP under a shared address from another peer', local(esp, '192.0.2.8/0', '198.51.100.2/0'), false],
  ['other UDP with a peer', local(udp, '198.51.100.2/501', '192.0.2.9/500'), false],
  ['IKE of IPv6', local(udp, '2001:db8:e::1/500', '2001:db8:9::9/500'), true],
  ['IKE of IPv6 with another peer', local(udp, '2001:db8:e::1/500', '2001:db8:9::8/500'), false],
  [
    'ping of the context from inside',
    session(icmp, '10.0.0.1/7 > 10.254.0.2/7', '10.254.0.2/7 > 10.0.0.1/7'),
    true,
  ],
];

t.test('a session is covered when the plan would make it so', async (t) => {
  for (const [what, found, isCovered, changes] of cases)
    t.equal(new Coverage({ nat: { ...plan, ...changes } }, own).covers(found, nowhere), isCovered, what);
});

t.test('without a plan nothing is covered but what the context says itself', async (t) => {
  const none = new Coverage({ nat: undefined }, own);
  const local = cases.filter(([, { original }]) => own.has(original.destination));
  t.equal(local.length, 1);
  for (const [what, found] of cases)
    t.equal(none.covers(found, nowhere), own.has(found.original.destination), what);
});

/** Behind `fwd`: everything of 10.0.0.0/8 but what is the tenant's, and of 2001:db8:c::/48. */
const isByNetwork = (address: string): boolean => /^(10\.9\.|2001:db8:c:)/.test(address);
const forwarding = forwardingPlan({ advertise: ['10.0.0.0/24', 'fd00:1::/64'] });
const [corporate, corporate6] = ['10.9.0.5/443', '2001:db8:c::5/443'];

const forwardedCases: Case[] = [
  ['to the network as it is', local(tcp, '10.0.0.1/1024', corporate), true],
  ['from the network as it is', local(udp, '10.9.0.5/53', '10.0.0.1/1024'), true],
  ['of IPv6', local(tcp, 'fd00:1::1/1024', corporate6), true],
  ['a ping', local(icmp, '10.0.0.1/7', '10.9.0.5/7'), true],
  ['from a prefix that is not forwarded', local(tcp, '10.0.1.1/1024', corporate), false],
  ['to a prefix that is not forwarded', local(tcp, '10.9.0.5/53', '10.0.1.1/1024'), false],
  ['with a remote that is behind the uplink now', local(tcp, '10.0.0.1/1024', '203.0.113.5/443'), false],
  [
    'translated, with a remote that is behind fwd now',
    session(tcp, `10.0.0.1/1024 > ${corporate}`, `${corporate} > 198.51.100.1/1024`),
    false,
  ],
  [
    'by a port mapping, from a remote that is behind fwd now',
    into(tcp, '198.51.100.1/80', '10.0.0.8/8080', '10.9.0.5/4000'),
    false,
  ],
  ['translated, with a remote behind the uplink', out(tcp, '10.0.0.1/1024', '198.51.100.1/60000'), true],
  ['within a routed prefix, behind the uplink', local(tcp, 'fd00:1::1/1', '2001:db8:9::5/2'), true],
  ['BGP of the context itself', local(tcp, '10.254.0.2/40000', '192.0.2.1/179'), true],
];

t.test('what goes by fwd is as it is, and nothing else is there', async (t) => {
  const coverage = new Coverage({ nat: plan, forwarding }, own);
  for (const [what, found, isCovered] of forwardedCases)
    t.equal(coverage.covers(found, isByNetwork), isCovered, what);
  // Of routed prefixes, only those that are forwarded, too.
  const narrow = new Coverage({ nat: plan, forwarding: { ...forwarding, advertise: ['10.0.0.0/24'] } }, own);
  t.equal(narrow.covers(local(tcp, 'fd00:1::1/1024', corporate6), isByNetwork), false);
  const without = new Coverage({ nat: plan }, own);
  t.equal(without.covers(local(tcp, '10.0.0.1/1024', corporate), nowhere), false, 'forwarding has gone');
  const alone = new Coverage({ nat: undefined, forwarding }, own);
  t.equal(alone.covers(local(tcp, '10.0.0.1/1024', corporate), isByNetwork), true, 'without NAT');
});
