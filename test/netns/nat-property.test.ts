/**
 * NAT of many domains that share few addresses and are all alike inside, whatever they are given and in whatever order: each
 * packet on the uplink is of the domain that owns its address and port, and every word arrives at who is meant and nowhere
 * else. Random NAT, changed over REST round by round, with talk by real stacks in every round, against a model of its own.
 *
 * The rounds follow from a seed, which is printed; it is a new one each time. Longer, or once more:
 *   TAP_TIMEOUT=900 NAT_PROPERTY_SECONDS=600 node test/netns/nat-property.test.ts
 *   NAT_PROPERTY_SEED=123 node test/netns/nat-property.test.ts
 */
import { setInterval } from 'node:timers';
import t from 'tap';
import { Capture } from '../lab/capture.ts';
import { Conversation } from '../lab/conversation.ts';
import { UPLINK_NIC } from '../lab/gateway-node.ts';
import { Internet, UPLINK_ADDRESS } from '../lab/internet.ts';
import { Lab } from '../lab/lab.ts';
import { buildManyDomains, type ManyDomains, SERVERS } from '../lab/many-domains.ts';
import { applyNat } from '../lab/nat-change.ts';
import { NatModel } from '../lab/nat-model.ts';
import { NatQuestions, OTHER_OUTSIDE_PORT, OUTSIDE_PORT } from '../lab/nat-questions.ts';
import { Talk } from '../lab/nat-talk.ts';
import { RandomNat, RandomNumbers } from '../lab/random-nat.ts';
import { type Period, strangers } from '../lab/uplink-owners.ts';

const SECONDS = Number(process.env.NAT_PROPERTY_SECONDS ?? 15);
const SEED = Number(process.env.NAT_PROPERTY_SEED ?? Math.floor(Math.random() * 0x7fffffff));
const DOMAINS = 8;
/** On the uplink's link and routed; each may be whole or shared. */
const EXTERNALS = [
  '198.51.100.110',
  '198.51.100.111',
  '198.51.100.112',
  '203.0.113.10',
  '203.0.113.11',
  '203.0.113.12',
];
/** Of which `auto` gives blocks: as many as there are domains, at most. */
const POOL = { prefixes: ['203.0.113.16/31'], portBlockSize: 16_000 };
const POOL_ADDRESSES = ['203.0.113.16', '203.0.113.17'];
const SERVED = [80, 8080];
/** VMs say something all the time, so that changes of NAT meet packets. */
const CHATTER_MS = 25;
const CHATTER_PORT = 4444;

t.test('many domains on few addresses', { timeout: (SECONDS + 60) * 1000 }, async (t) => {
  t.comment(`seed ${SEED}`);
  const lab = await Lab.create(`natp${process.pid}`);
  t.teardown(() => lab.close());
  const { gateway, internet, domains }: ManyDomains = await buildManyDomains(lab, DOMAINS);
  const conversation = new Conversation();
  const outside = conversation.peer('outside', internet.namespace, SERVERS, [
    OUTSIDE_PORT,
    OTHER_OUTSIDE_PORT,
  ]);
  const vms = domains.flatMap(({ vms }, domain) =>
    vms.map((vm) => {
      return { domain, address: vm.ip, peer: conversation.peer(vm.name, vm.namespace, [vm.ip], SERVED) };
    }),
  );
  // What nobody owns is sent to the gateway too, instead of waiting here for somebody who answers ARP for it.
  const [uplink] = JSON.parse(await gateway.namespace.ip('-json', 'link', 'show', 'dev', UPLINK_NIC)) as {
    address: string;
  }[];
  await internet.namespace.ipBatch(
    EXTERNALS.filter((address) => address.startsWith('198.51.100.')).map(
      (address) => `neigh add ${address} lladdr ${uplink?.address} dev ${Internet.nic} nud permanent`,
    ),
  );
  // The uplink's router, which hands back what is for an external address, without telling of a shorter way.
  const router = ['net.ipv4.ip_forward=1', 'net.ipv4.conf.all.send_redirects=0'];
  const onLink = ['send_redirects=0', 'proxy_arp_pvlan=1'].map(
    (set) => `net.ipv4.conf.${Internet.nic}.${set}`,
  );
  await internet.namespace.runChecked(['sysctl', '-qw', ...router, ...onLink]);
  await gateway.api.put('/v1/external-address-pools/few', POOL);
  const capture = await Capture.start(gateway.namespace, UPLINK_NIC, `ip`, 256);
  const numbers = new RandomNumbers(SEED);
  const hosts = domains[0]?.vms.map(({ ip }) => ip) ?? [];
  const remotes = ['198.51.100.0/24', '192.0.2.1/32', '203.0.113.0/24'];
  const random = new RandomNat(numbers, { addresses: EXTERNALS, hosts, served: SERVED, remotes });
  const talk = new Talk(conversation);
  const scene = {
    vms,
    outside,
    servers: SERVERS,
    externals: [...EXTERNALS, ...POOL_ADDRESSES],
    served: SERVED,
    nodeAddress: UPLINK_ADDRESS,
  };
  const questions = new NatQuestions(scene, numbers, talk);
  const chatter = setInterval(() => {
    for (const { peer } of vms)
      peer.sayUdp(`${peer.name}:chatter`, CHATTER_PORT, { address: SERVERS[0], port: OUTSIDE_PORT });
  }, CHATTER_MS);
  t.teardown(() => clearInterval(chatter));

  let model = new NatModel(domains.map(() => undefined));
  const periods: Period[] = [{ since: 0, models: [model] }];
  const end = performance.now() + SECONDS * 1000;
  let rounds = 0;
  for (; performance.now() < end; rounds++) {
    const next = random.next(model);
    periods.push({ since: Date.now() - 2, models: [model, next] });
    await applyNat(
      gateway.api,
      domains.map(({ tenant }) => tenant.rdid),
      model,
      next,
      numbers,
    );
    model = next;
    periods.push({ since: Date.now(), models: [model] });
    const problems = await questions.round(model);
    if (problems.length === 0) continue;
    t.comment(model.nats.map((nat, index) => `${index} ${JSON.stringify(nat)}`).join('\n'));
    t.fail(`seed ${SEED}, round ${rounds}:\n${problems.slice(0, 20).join('\n')}`);
    break;
  }
  clearInterval(chatter);
  await capture.stop();
  t.equal(capture.dropped, 0, 'the capture is complete');
  const packets = await strangers(capture, UPLINK_ADDRESS, periods);
  t.same(packets.wrong.slice(0, 20), [], `seed ${SEED}: each packet is of the domain that owns its source`);
  t.same(talk.misled().slice(0, 20), [], 'and nothing came late');
  t.comment(`${rounds} rounds, ${talk.words} words, ${packets.count} packets`);
  t.ok(rounds > SECONDS / 4, 'enough was done to mean something');
});
