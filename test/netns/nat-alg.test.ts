/** ALGs: FTP and SIP through NAT, with real transfers and messages; without them, what they would let in stays out. */
import '../lab/own-namespace.ts';

import t from 'tap';
import type { PortMappingPlan } from '../../src/policy/plan.ts';
import { ContextLab, hosts } from '../lab/context-lab.ts';
import { startFtp } from '../lab/ftp.ts';
import { natPlan } from '../lab/nat-plan.ts';
import { UdpSocket } from '../lab/udp-socket.ts';
import { until } from '../lab/until.ts';

const { external, remotes, vms } = hosts.IPv4;
const mapping: PortMappingPlan = {
  ...{ protocol: 'tcp', externalAddress: external, externalPort: 21 },
  ...{ internalAddress: vms[0], internalPort: 21 },
};
const plan = (...algs: ('ftp' | 'sip')[]) =>
  natPlan({ externalAddresses: [{ address: external }], portMappings: [mapping], algs });

let context: ContextLab;
t.before(async () => {
  context = await ContextLab.create('na', plan());
  await startFtp(context.outside, remotes[0]);
  await startFtp(context.vm, vms[0]);
});
t.teardown(() => context?.lab.close());

/** Active: the server calls back (`PORT`). */
const active = () =>
  context.vm.run([
    ...['curl', '-sv', '-m', '3', '--interface', vms[0], '--ftp-port', vms[0], '--disable-eprt'],
    `ftp://${remotes[0]}/file`,
  ]);
/** Passive: the client calls where it is told (`PASV`). */
const passive = () =>
  context.outside.run([
    'curl',
    '-sv',
    '-m',
    '3',
    '--disable-epsv',
    '--no-ftp-skip-pasv-ip',
    `ftp://${external}/file`,
  ]);

t.test('FTP: the server outside calls back to the tenant', async (t) => {
  t.not((await active()).code, 0, 'not without the ALG');
  await context.become(plan('ftp'));
  const { stdout, stderr, code } = await active();
  t.match({ stdout, code }, { stdout: `file of ${remotes[0]}`, code: 0 }, stderr);
});

t.test('FTP: who comes by a port mapping is told an address that it can reach', async (t) => {
  await context.become(plan());
  t.not((await passive()).code, 0, 'not without the ALG');
  await context.become(plan('ftp'));
  const { stdout, stderr, code } = await passive();
  t.match({ stdout, code }, { stdout: `file of ${vms[0]}`, code: 0 }, stderr);
  t.match(stderr, /227 .*\(198,51,100,101,/);
});

const INVITE = (tag: string) => {
  const body = [
    ...[
      'v=0',
      `o=vm 1 1 IN IP4 ${vms[0]}`,
      's=call',
      `c=IN IP4 ${vms[0]}`,
      't=0 0',
      'm=audio 40000 RTP/AVP 0',
      '',
    ],
  ].join('\r\n');
  return [
    `INVITE sip:peer@${remotes[0]} SIP/2.0`,
    `Via: SIP/2.0/UDP ${vms[0]}:5060;branch=z9hG4bK${tag}`,
    ...[`From: <sip:vm@${vms[0]}>;tag=${tag}`, `To: <sip:peer@${remotes[0]}>`, `Call-ID: ${tag}@${vms[0]}`],
    ...['CSeq: 1 INVITE', `Contact: <sip:vm@${vms[0]}:5060>`, 'Max-Forwards: 70'],
    ...['Content-Type: application/sdp', `Content-Length: ${body.length}`, '', body],
  ].join('\r\n');
};

t.test('SIP: the tenant is called where it can be reached, and hears', async (t) => {
  const phone = new UdpSocket(context.vm, 'eth0', 4, 5060, [], vms[0]);
  const media = new UdpSocket(context.vm, 'eth0', 4, 40000, [], vms[0]);
  const peer = new UdpSocket(context.outside, 'eth0', 4, 5060, [], remotes[0]);
  const voice = new UdpSocket(context.outside, 'eth0', 4, 41000, [], remotes[0]);
  const invited = async (tag: string): Promise<string> => {
    phone.send(INVITE(tag), remotes[0], 5060);
    const [message = ''] = await until('the peer is invited', 2_000, () => {
      const taken = peer.take();
      return taken.length > 0 && taken;
    });
    return message;
  };
  t.match(await invited('one'), `Contact: <sip:vm@${vms[0]}:5060>`, 'not without the ALG');
  await context.become(plan('sip'));
  await context.inside(['conntrack', '-F']);
  const message = await invited('two');
  t.match(message, `Contact: <sip:vm@${external}:5060>`);
  t.match(message, `Via: SIP/2.0/UDP ${external}:5060`);
  t.match(message, `c=IN IP4 ${external}`);
  t.notMatch(message.replace(/Call-ID:.*/, ''), vms[0]);
  const [, port] = /m=audio (\d+) /.exec(message) ?? [];
  voice.send('voice', external, Number(port));
  t.same(
    await until('the voice is heard', 2_000, () => ((heard) => heard.length > 0 && heard)(media.take())),
    ['voice'],
  );
});
