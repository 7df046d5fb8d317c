/**
 * One-to-one NAT, and tenants that ask for external addresses of their own domain: handed over by the node itself, or sent
 * back by the router on the uplink, whom the stack outside plays.
 */
import '../lab/own-namespace.ts';

import t, { type Test } from 'tap';
import type { NatPlan, PortMappingPlan } from '../../src/policy/plan.ts';
import { Capture } from '../lab/capture.ts';
import { at, ContextLab, families, type Host, hosts, REMOTE_PORT, VM_PORT } from '../lab/context-lab.ts';
import { natPlan } from '../lab/nat-plan.ts';
import { RawIp } from '../lab/raw-ip.ts';

const [START, END] = [2000, 2999];
const [MAPPED, OWN_ONLY, OTHERS_ONLY] = [2080, 2081, 2082];
/** A protocol for experiments (RFC 3692). */
const EXPERIMENT = 253;

/** `external` is shared, and has a port mapping to the first host; `other` is the second host's, one-to-one. */
const base = natPlan({
  externalAddresses: families.flatMap(([, { external, other }]) => [
    { address: external },
    { address: other },
  ]),
  oneToOne: families.map(([, { other, vms }]) => ({ external: other, internal: vms[1] })),
  portMappings: families.flatMap(([, { external, vms, remotes, length }]): PortMappingPlan[] => {
    const mapping = { externalAddress: external, internalAddress: vms[0], internalPort: VM_PORT };
    return [
      { ...mapping, protocol: 'tcp', externalPort: MAPPED },
      { ...mapping, protocol: 'udp', externalPort: MAPPED },
      { ...mapping, protocol: 'udp', externalPort: OWN_ONLY, remotePrefix: `${external}/${length}` },
      { ...mapping, protocol: 'udp', externalPort: OTHERS_ONLY, remotePrefix: `${remotes[0]}/${length}` },
    ];
  }),
});

let context: ContextLab;
t.before(async () => {
  context = await ContextLab.create('nh', base);
  const forwarding = ['net.ipv4.ip_forward=1', 'net.ipv4.conf.all.send_redirects=0'];
  const perLink = ['net.ipv4.conf.eth0.send_redirects=0', 'net.ipv6.conf.all.forwarding=1'];
  await context.outside.runChecked(['sysctl', '-qw', ...forwarding, ...perLink]);
});
t.teardown(() => context?.lab.close());

/** What each host gets by asking for external addresses, and under which address it is seen. */
async function checkHandedOver(t: Test, { external, other, vms }: Host): Promise<void> {
  for (const protocol of ['tcp', 'udp']) {
    const mapped = `${protocol}:${at(external, MAPPED)}`;
    t.match(await context.ask('vm', mapped), { server: 'vm0', address: external }, `${protocol} to itself`);
    const neighbour = await context.ask('vm', mapped, { from: vms[1] });
    t.match(
      neighbour,
      { server: 'vm0', address: other },
      `${protocol} of a neighbour that has its own address`,
    );
    const own = await context.ask('vm', `${protocol}:${at(other, VM_PORT)}`);
    t.match(own, { server: 'vm1', address: external }, `${protocol} to a neighbour's own address`);
  }
}

for (const hairpinning of ['local', 'external'] as const)
  for (const [family, host] of families)
    t.test(`${family}: a domain's own addresses, handed over ${hairpinning}ly`, async (t) => {
      await context.become({ ...base, hairpinning });
      const capture = await Capture.start(context.outside, 'eth0');
      await checkHandedOver(t, host);
      await capture.stop();
      const passed = await capture.decode(
        `${host.ip}.src == ${host.external} && ${host.ip}.dst == ${host.external}`,
        ['frame.number'],
      );
      t.equal(passed.length > 0, hairpinning === 'external', `${passed.length} packets passed the uplink`);
      t.match(
        await context.ask('vm', `udp:${at(host.remotes[0], REMOTE_PORT)}`),
        { server: 'outside', address: host.external },
        'and the world is there as ever',
      );
    });

for (const [family, host] of families)
  t.test(`${family}: the prefix of remotes is held against the address that is asked for`, async (t) => {
    await context.become(base);
    const to = (port: number) => context.ask('vm', `udp:${at(host.external, port)}`, { timeoutMs: 300 });
    t.match(await to(OWN_ONLY), { server: 'vm0', address: host.external });
    t.equal(await to(OTHERS_ONLY), null);
    await context.become({ ...base, maxSessions: 1000 });
    const words = [
      'conntrack',
      '-L',
      '-f',
      family.toLowerCase(),
      '-p',
      'udp',
      '--orig-port-dst',
      `${OWN_ONLY}`,
    ];
    t.match((await context.inside(words)).stdout, host.vms[0], 'and so it is when sessions are looked at');
  });

for (const [family, host] of families)
  t.test(`${family}: one-to-one NAT keeps ports, both ways, in every protocol`, async (t) => {
    await context.become(base);
    const [remote] = host.remotes;
    for (const protocol of ['tcp', 'udp']) {
      const asked = `${protocol}:${at(remote, REMOTE_PORT)}`;
      const answer = await context.ask('vm', asked, { from: host.vms[1], fromPort: 777 });
      t.match(answer, { server: 'outside', address: host.other, port: 777 }, protocol);
      const back = await context.ask('outside', `${protocol}:${at(host.other, VM_PORT)}`, { from: remote });
      t.match(back, { server: 'vm1', address: remote }, `${protocol} from outside`);
    }
    const capture = await Capture.start(context.vm, 'eth0', `dst host ${host.vms[1]}`);
    t.equal(
      (await context.outside.run(['ping', '-n', '-c', '1', '-W', '2', '-I', remote, host.other])).code,
      0,
    );
    await capture.stop();
    t.equal((await capture.decode(host.ping, ['frame.number'])).length, 1, 'the host answers pings itself');
  });

t.test('one-to-one NAT has protocols without ports, and changes by elements', async (t) => {
  const { vms, remotes, other } = hosts.IPv4;
  const beyond = new RawIp(context.outside, 'eth0', EXPERIMENT, remotes[0]);
  const inside = vms.map((vm) => new RawIp(context.vm, 'eth0', EXPERIMENT, vm));
  for (const [index, vm] of vms.entries()) {
    const before = await rules();
    await context.become({ ...base, oneToOne: [{ external: other, internal: vm }] });
    if (index > 0) t.equal(await rules(), before, 'another host leaves every rule where it is');
    beyond.send('hello', other);
    t.same(inside[index]?.take(), [{ from: remotes[0], text: 'hello' }]);
    t.same(inside[1 - index]?.take(), []);
    inside[index]?.send('yes', remotes[0]);
    t.same(beyond.take(), [{ from: other, text: 'yes' }]);
  }
});

/** All rules with their handles. */
async function rules(): Promise<string> {
  const { stdout } = await context.inside(['nft', '-a', '-s', 'list', 'table', 'inet', 'hnvgw']);
  return stdout.replace(/elements = \{[^}]*\}/g, '');
}

t.test('of an address that is shared, other ports are asked for outside', async (t) => {
  const shared: NatPlan = natPlan({
    externalAddresses: families.map(([, { external: address }]) => ({
      address,
      portStart: START,
      portEnd: END,
    })),
    portMappings: base.portMappings,
  });
  await context.become(shared);
  // Another domain has a block too, with a mapping that leads to the server outside.
  const rule = (host: Host, ip: string, protocol: string): string =>
    `add rule inet others d ${ip} daddr ${host.external} ${protocol} dport 5000 dnat ${ip} to ${at(host.remotes[0], REMOTE_PORT)}`;
  await context.outside.runChecked(['nft', '-f', '-'], {
    input: [
      'add table inet others',
      'add chain inet others d { type nat hook prerouting priority dstnat; }',
      ...['tcp', 'udp'].flatMap((protocol) => [
        rule(hosts.IPv4, 'ip', protocol),
        rule(hosts.IPv6, 'ip6', protocol),
      ]),
    ].join('\n'),
  });
  for (const [family, { external }] of families)
    for (const protocol of ['tcp', 'udp']) {
      const theirs = await context.ask('vm', `${protocol}:${at(external, 5000)}`);
      t.match(theirs, { server: 'outside', address: external }, `${family}, ${protocol}: another domain's`);
      t.ok(theirs && theirs.port >= START && theirs.port <= END);
      const own = await context.ask('vm', `${protocol}:${at(external, MAPPED)}`);
      t.match(own, { server: 'vm0', address: external }, `${family}, ${protocol}: the domain's own`);
    }
});
