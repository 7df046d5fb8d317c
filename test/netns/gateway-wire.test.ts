/**
 * What the gateway puts on the provider network, frame by frame as Wireshark decodes it, and that packets of every size
 * find their way through it.
 */
import { createHash, randomBytes } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import t, { type Test } from 'tap';
import { contextNames } from '../../src/gateway/names.ts';
import { Capture, keyParts } from '../lab/capture.ts';
import { ask, startEcho } from '../lab/echo.ts';
import { sendWireFrames } from '../lab/fabric.ts';
import { PROVIDER_NIC, UPLINK_NIC } from '../lab/gateway-node.ts';
import { ROUTER_MAC } from '../lab/hnv-flows.ts';
import { FAR_ADDRESS, INTERNET_ADDRESS, Internet } from '../lab/internet.ts';
import { Lab } from '../lab/lab.ts';
import { Namespace } from '../lab/namespace.ts';
import { echoRequest, nvgreFrame } from '../lab/nvgre-frame.ts';
import { PROVIDER_NIC as HOST_NIC } from '../lab/ovs-host.ts';
import { RawLink } from '../lab/raw-link.ts';
import {
  buildTopology,
  CONTOSO,
  FABRIKAM,
  GATEWAY_ADDRESS,
  HOST_ADDRESSES,
  provisionTenants,
} from '../lab/topology.ts';
import { VM_MTU, VM_NIC } from '../lab/vm.ts';

const [HOST] = HOST_ADDRESSES;
const FLOWS = 32;
const TRANSFER_BYTES = 3_000_000;
/** IP and TCP, IP and UDP, without options. */
const TCP_HEADERS = 40;
const UDP_HEADERS = 28;
const TRANSFER_PROGRAM = fileURLToPath(new URL('../lab/transfer-server.ts', import.meta.url));

async function macOf(namespace: Namespace, nic: string): Promise<string> {
  const [link] = JSON.parse(await namespace.ip('-json', 'link', 'show', 'dev', nic)) as { address: string }[];
  return link?.address ?? '';
}

/** Expects one value in all rows of a column. */
function always(t: Test, rows: string[][], column: number, value: string, what: string): void {
  t.strictSame(new Set(rows.map((row) => row[column])), new Set([value]), what);
}

t.test('NVGRE on the wire', { timeout: 120_000 }, async (t) => {
  const lab = await Lab.create(`wire${process.pid}`);
  t.teardown(() => lab.close());
  const { gateway, contoso, fabrikam, fabric, hosts, internet } = await buildTopology(lab);
  await gateway.start();
  await provisionTenants(gateway.api);
  const [host] = hosts;
  const [vm] = contoso;
  const vmMac = vm.spec.mac;
  const gatewayMac = await macOf(gateway.namespace, PROVIDER_NIC);
  await startEcho(internet.namespace, 'outside', [
    `udp:${INTERNET_ADDRESS}:7000`,
    `tcp:${INTERNET_ADDRESS}:7000`,
  ]);
  t.match(await vm.ping(INTERNET_ADDRESS, 1), { sent: 1 }, 'neighbours are found');

  /** Frames that the gateway sends to host 1 while `work` goes on. */
  const sentDuring = async (work: () => Promise<unknown>): Promise<Capture> => {
    const capture = await Capture.start(
      host.namespace,
      HOST_NIC,
      `ip proto 47 and src host ${GATEWAY_ADDRESS}`,
    );
    await work();
    await capture.stop();
    return capture;
  };

  await t.test('every field of the outer and inner headers is as RFC 7637 has it', async (t) => {
    const capture = await sentDuring(async () => {
      t.match(
        await ask(vm.namespace, `tcp:${INTERNET_ADDRESS}:7000`, { count: 3 }),
        Array(3).fill({ server: 'outside' }),
      );
      t.match(await ask(vm.namespace, `udp:${INTERNET_ADDRESS}:7000`), [{ server: 'outside' }]);
      t.match(await vm.ping(INTERNET_ADDRESS, 2), { received: 2, ttls: [62, 62] });
    });
    const fields = [
      ...['eth.src', 'eth.dst', 'ip.src', 'ip.dst', 'ip.proto', 'ip.ttl', 'ip.flags.df', 'ip.frag_offset'],
      ...['gre.flags_and_version', 'gre.proto', 'gre.key', 'ip.checksum.status', 'ip.hdr_len', 'ip.version'],
      ...['ip.len', 'frame.len', 'tcp.checksum.status', 'udp.checksum.status', 'icmp.checksum.status'],
    ];
    const checks = ['ip', 'tcp', 'udp'].flatMap((protocol) => ['-o', `${protocol}.check_checksum:TRUE`]);
    const columns = fields.flatMap((field) => ['-e', field]);
    const decoded = await lab.runChecked('tshark', [
      '-n',
      '-r',
      capture.file,
      ...checks,
      '-T',
      'fields',
      ...columns,
    ]);
    const rows = decoded.stdout
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => line.split('\t'));
    t.ok(rows.length >= 3 * 3 + 1 + 2, `${rows.length} frames`);
    const column = (name: string): number => fields.indexOf(name);
    const is = (name: string, value: string) => always(t, rows, column(name), value, name);
    is('eth.src', `${gatewayMac},${ROUTER_MAC}`);
    is('eth.dst', `${host.mac},${vmMac}`);
    is('ip.src', `${GATEWAY_ADDRESS},${INTERNET_ADDRESS}`);
    is('ip.dst', `${HOST},${vm.ip}`);
    // 64 from the web server, one less by the context, one less by the distributed router.
    is('ip.ttl', '64,62');
    is('ip.hdr_len', '20,20');
    is('ip.version', '4,4');
    is('ip.checksum.status', '1,1');
    is('ip.frag_offset', '0,0');
    is('gre.flags_and_version', '0x2000');
    is('gre.proto', '0x6558');
    for (const row of rows) {
      const [outerProtocol, innerProtocol] = (row[column('ip.proto')] ?? '').split(',');
      t.equal(outerProtocol, '47');
      t.ok(['1', '6', '17'].includes(innerProtocol ?? ''), `inner protocol ${innerProtocol}`);
      t.equal(row[column('ip.flags.df')]?.split(',')[0], '1', 'the outer packet is not to be fragmented');
      t.equal(
        keyParts(row[column('gre.key')] ?? '').vsid,
        CONTOSO.vsid,
        'the VSID is that of the VM’s subnet',
      );
      const [outerLength, innerLength] = (row[column('ip.len')] ?? '').split(',').map(Number);
      t.equal(outerLength, (innerLength ?? 0) + 42);
      t.equal(Number(row[column('frame.len')]), (outerLength ?? 0) + 14);
      const status = ['tcp', 'udp', 'icmp']
        .map((protocol) => row[column(`${protocol}.checksum.status`)])
        .join('');
      t.equal(status, '1', 'the inner checksum is right');
    }
  });

  await t.test('the FlowID is the same in all of a flow, and flows differ in it', async (t) => {
    const capture = await sentDuring(() =>
      ask(vm.namespace, `tcp:${INTERNET_ADDRESS}:7000`, { count: FLOWS }),
    );
    const flows = new Map<string, Set<number>>();
    let frames = 0;
    for (const [port = '', key = ''] of await capture.decode('tcp', ['tcp.dstport', 'gre.key'])) {
      frames++;
      flows.set(port, (flows.get(port) ?? new Set()).add(keyParts(key).flowId));
    }
    t.equal(flows.size, FLOWS);
    t.ok(frames > 2 * FLOWS, `${frames} frames`);
    for (const [port, ids] of flows) t.equal(ids.size, 1, `port ${port}: FlowID ${[...ids].join()}`);
    const distinct = new Set([...flows.values()].flatMap((ids) => [...ids])).size;
    t.ok(distinct > FLOWS / 2, `${distinct} FlowIDs of ${FLOWS} flows`);
  });

  await t.test('the VSID tells the tenants apart', async (t) => {
    const capture = await sentDuring(() =>
      Promise.all([vm.ping(INTERNET_ADDRESS, 1), fabrikam[0].ping(INTERNET_ADDRESS, 1)]),
    );
    const rows = await capture.decode('icmp', ['gre.key', 'eth.dst', 'ip.dst']);
    const seen = rows.map(([key = '', mac, ip]) => `${keyParts(key).vsid} ${mac} ${ip}`);
    const expected = (vsid: number, mac = '') => `${vsid} ${host.mac},${mac} ${HOST},${vm.ip}`;
    t.strictSame(
      new Set(seen),
      new Set([expected(CONTOSO.vsid, vmMac), expected(FABRIKAM.vsid, FABRIKAM.vms[0]?.mac)]),
    );
  });

  await t.test('DSCP and ECN of the inner packet are on the outer one', async (t) => {
    for (const tos of [0xb8, 0x28, 0x02, 0x00]) {
      const capture = await sentDuring(() =>
        vm.namespace.runChecked(['ping', '-n', '-c', '1', '-W', '1', '-Q', `${tos}`, INTERNET_ADDRESS]),
      );
      const hex = `0x${tos.toString(16).padStart(2, '0')}`;
      t.same(await capture.decode('icmp', ['ip.dsfield']), [[`${hex},${hex}`]]);
    }
  });

  await t.test('the gateway shows in a tenant’s traceroute', async (t) => {
    // The host's distributed router takes one; the context finds the next to be the last.
    for (const address of [INTERNET_ADDRESS, FAR_ADDRESS]) {
      const { stdout } = await vm.namespace.run(['ping', '-n', '-c', '1', '-W', '1', '-t', '2', address]);
      t.match(stdout, /^From 10\.254\.254\.2 icmp_seq=1 Time to live exceeded/m);
    }
    t.match(await vm.namespace.run(['ping', '-n', '-c', '1', '-W', '1', '-t', '3', INTERNET_ADDRESS]), {
      code: 0,
    });
  });

  /** What passes the uplink while `work` goes on, of conversations with the outside's address. */
  const uplinkDuring = async (outside: string, work: () => Promise<unknown>): Promise<Capture> => {
    const capture = await Capture.start(gateway.namespace, UPLINK_NIC, `host ${outside}`);
    await work();
    await capture.stop();
    return capture;
  };
  const fragmentationNeeded = 'icmp.type == 3 && icmp.code == 4';

  await t.test(
    'TCP sides are told the segments that fit, whatever they claim, and need no ICMP',
    async (t) => {
      const served = await internet.namespace.spawn([
        process.execPath,
        TRANSFER_PROGRAM,
        FAR_ADDRESS,
        '8000',
        `${TRANSFER_BYTES}`,
      ]);
      await served.waitFor(/^listening$/);
      // The VM claims the usual segment size, as one does whose MTU nobody has told it.
      await vm.namespace.ip('route', 'replace', 'default', 'via', vm.spec.gateway, 'advmss', '1460');
      await sendWireFrames(internet.namespace, Internet.nic);
      const file = join(lab.dir, 'transfer');
      const sha256 = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex');
      const curl = (...args: string[]) =>
        vm.namespace.runChecked([
          'curl',
          '-sS',
          '--noproxy',
          '*',
          '--max-time',
          '20',
          ...args,
          `http://${FAR_ADDRESS}:8000/`,
        ]);
      /** Segment sizes that the two sides of each conversation offer, as a link shows them. */
      const offered = async (capture: Capture) =>
        new Set((await capture.decode('tcp.flags.syn == 1', ['tcp.options.mss_val'])).flat());

      const inside = await Capture.start(vm.namespace, VM_NIC, 'tcp');
      const capture = await uplinkDuring(FAR_ADDRESS, async () => {
        await t.test('a download', async (t) => {
          const { stdout } = await curl('-D', '-', '-o', file);
          const bytes = await readFile(file);
          t.equal(bytes.length, TRANSFER_BYTES);
          t.equal(sha256(bytes), /x-sha256: (\w+)/.exec(stdout)?.[1]);
        });
        await t.test('and an upload', async (t) => {
          const bytes = randomBytes(TRANSFER_BYTES);
          await writeFile(file, bytes);
          t.equal((await curl('-T', file)).stdout, sha256(bytes));
        });
      });
      await inside.stop();
      const fitting = `${VM_MTU - TCP_HEADERS}`;
      t.strictSame(
        await offered(inside),
        new Set(['1460', fitting]),
        'the VM claims 1460 and hears what fits',
      );
      t.strictSame(await offered(capture), new Set([fitting, '1460']), 'and so does the server');
      t.same(
        await capture.decode('tcp.flags.syn == 1 && tcp.flags.ack == 0 && tcp.options.mss_val == 1460', [
          'frame.number',
        ]),
        [],
        'which was told what fits',
      );
      const sizes = (await capture.decode(`tcp && ip.src == ${FAR_ADDRESS}`, ['ip.len'])).flat().map(Number);
      t.equal(Math.max(...sizes), VM_MTU, 'nothing that the server sends is too large');
      t.ok(sizes.filter((size) => size === VM_MTU).length > 2000, 'and most of it just fits');
      t.same(await capture.decode(fragmentationNeeded, ['icmp.mtu']), [], 'so nobody has to say so');
    },
  );

  await t.test('UDP from outside that is too large for the tunnel', async (t) => {
    const { externalAddress } = CONTOSO;
    const [externalPort, internalPort] = [7001, 7002];
    await gateway.api.put(`/v1/routing-domains/${CONTOSO.rdid}/nat?wait=10s`, {
      externalAddresses: [{ ipAddress: externalAddress }],
      staticMappings: [
        {
          ...{ protocol: 'udp', externalIpAddress: externalAddress, externalPort },
          ...{ internalIpAddress: vm.ip, internalPort },
        },
      ],
    });
    await startEcho(vm.namespace, 'vm', [`udp:0.0.0.0:${internalPort}`]);
    const outside = internet.namespace;
    const send = (bytes: number, timeoutMs = 2_000) =>
      ask(outside, `udp:${externalAddress}:${externalPort}`, { word: 'x'.repeat(bytes), timeoutMs });
    const whole = 1500 - UDP_HEADERS;

    await t.test('with DF, the external address says by ICMP what fits', async (t) => {
      const capture = await uplinkDuring(externalAddress, async () => {
        t.same(await send(whole, 500), [null], 'the first one is lost');
        t.match(await send(whole), [{ server: 'vm', said: 'x'.repeat(whole) }], 'the sender heeds it');
      });
      t.same(
        await capture.decode(fragmentationNeeded, ['icmp.mtu', 'ip.src', 'ip.dst', 'ip.len', 'udp.dstport']),
        [
          [
            `${VM_MTU}`,
            // The quoted packet is the sender's own: neither the tenant's address nor its port is in it.
            `${externalAddress},${INTERNET_ADDRESS}`,
            `${INTERNET_ADDRESS},${externalAddress}`,
            '576,1500',
            `${externalPort}`,
          ],
        ],
      );
    });

    await t.test('without DF, it is fragmented on its way and arrives whole', async (t) => {
      // A locked MTU: the sender does not try to find the way's.
      await outside.ip(
        'route',
        'replace',
        `${externalAddress}/32`,
        'dev',
        Internet.nic,
        'mtu',
        'lock',
        '1500',
      );
      const capture = await uplinkDuring(externalAddress, async () => {
        for (const bytes of [whole, 4_000])
          t.match(await send(bytes), [{ said: 'x'.repeat(bytes) }], `${bytes}`);
      });
      const sent = await capture.decode(`ip.src == ${INTERNET_ADDRESS}`, ['ip.len', 'ip.flags.df']);
      t.same(sent[0], ['1500', '0'], 'it was too large, and could be cut');
      t.same(await capture.decode(fragmentationNeeded, ['icmp.mtu']), []);
      await outside.ip('route', 'del', `${externalAddress}/32`);
    });
  });

  await t.test('the context’s MTU is the provider interface’s less 42, larger or smaller', async (t) => {
    const context = new Namespace(lab, contextNames(gateway.instance, CONTOSO.rdid).netns);
    const mtuOf = async (namespace: Namespace, nic: string) =>
      (JSON.parse(await namespace.ip('-json', 'link', 'show', 'dev', nic)) as { mtu: number }[])[0]?.mtu;
    const attacker = await lab.namespace('raw');
    await fabric.attach(attacker, 'pa', { wireFrames: false });
    const raw = await RawLink.open(attacker, 'pa');
    const setMtu = async (mtu: number) => {
      const allPorts = JSON.parse(await fabric.namespace.ip('-json', 'link', 'show')) as { ifname: string }[];
      await fabric.namespace.ipBatch(
        allPorts.filter(({ ifname }) => ifname !== 'lo').map(({ ifname }) => `link set ${ifname} mtu ${mtu}`),
      );
      await attacker.ip('link', 'set', 'pa', 'mtu', `${mtu}`);
      await host.namespace.ip('link', 'set', HOST_NIC, 'mtu', `${mtu}`);
      await internet.namespace.ip('link', 'set', Internet.nic, 'mtu', `${mtu}`);
      await gateway.namespace.ipBatch([
        `link set ${PROVIDER_NIC} mtu ${mtu}`,
        `link set ${UPLINK_NIC} mtu ${mtu}`,
      ]);
      await gateway.restart();
    };
    t.equal(await mtuOf(context, 'hnv'), VM_MTU);
    for (const mtu of [1400, 1600, 1500]) {
      await setMtu(mtu);
      t.equal(await mtuOf(context, 'hnv'), mtu - 42);
      t.equal(await mtuOf(context, 'ext'), mtu);
      // The largest inner packet there and back: 28 bytes of it are IP and ICMP headers.
      const inner = echoRequest(vm.ip, INTERNET_ADDRESS, mtu, 1, 'x'.repeat(mtu - 42 - 28));
      const capture = await sentDuring(async () => {
        await raw.send(
          nvgreFrame({
            ...{
              destinationMac: gatewayMac,
              sourceMac: await macOf(attacker, 'pa'),
              from: HOST,
              to: GATEWAY_ADDRESS,
            },
            ...{
              vsid: CONTOSO.gatewayVsid,
              innerDestinationMac: CONTOSO.gatewayMac,
              innerSourceMac: vmMac,
              inner,
            },
          }),
        );
        await vm.ping(INTERNET_ADDRESS, 1);
      });
      t.same(await capture.decode(`icmp.ident == ${mtu}`, ['ip.len']), [[`${mtu},${mtu - 42}`]]);
    }
  });
});
