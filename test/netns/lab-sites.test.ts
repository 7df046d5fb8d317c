/** The lab's on-premises sites against each other: a tunnel carries real traffic, and nothing of it is to be seen outside. */
import t from 'tap';
import { Capture } from '../lab/capture.ts';
import { ask, startEcho } from '../lab/echo.ts';
import { Lab } from '../lab/lab.ts';
import { Site } from '../lab/site.ts';
import type { SiteTunnel } from '../lab/site-config.ts';
import { ping } from '../lab/vm.ts';

const WEST = ['192.168.50.0/24', 'fd00:50::/64'];
const EAST = ['10.1.1.0/24', 'fd00:1:1::/64'];
const [WEST_ADDRESS, EAST_ADDRESS] = ['192.0.2.10', '192.0.2.20'];

t.test('a tunnel between two sites, one of them behind a NAT', { timeout: 60_000 }, async (t) => {
  const lab = await Lab.create(`sites${process.pid}`);
  t.teardown(() => lab.close());
  const outside = await lab.namespace('inet');
  const [west, east] = [
    await Site.create(lab, outside, {
      ...{ name: 'west', addresses: [WEST_ADDRESS], subnets: WEST, remotePrefixes: EAST },
      isBehindNat: true,
    }),
    await Site.create(lab, outside, {
      ...{ name: 'east', addresses: [EAST_ADDRESS], subnets: EAST, remotePrefixes: WEST },
    }),
  ];
  const psk = { name: 'net', key: 'a key of "both"', localId: 'west', remoteId: 'east' };
  const ofWest: SiteTunnel = { ...psk, remoteAddress: EAST_ADDRESS, local: WEST, remote: EAST };
  const ofEast: SiteTunnel = {
    ...{ ...psk, localId: 'east', remoteId: 'west' },
    ...{ remoteAddress: '%any', local: EAST, remote: WEST },
  };
  await east.setTunnels([ofEast]);
  await west.setTunnels([ofWest]);
  await startEcho(east.host, 'east', ['tcp:0.0.0.0:7', 'udp:0.0.0.0:7', 'tcp:[::]:8']);

  await t.test('without it, nothing passes', async (t) => {
    t.match(await ping(west.host, east.hostAddress(), 1), { received: 0 });
  });

  await t.test('with it, everything does, and nothing of it is in the clear', async (t) => {
    const capture = await Capture.start(outside, 'east');
    await west.initiate('net');
    t.ok(await east.hasChild('net'));
    for (const protocol of ['tcp', 'udp'])
      t.match(await ask(west.host, `${protocol}:${east.hostAddress()}:7`), [
        { server: 'east', address: west.hostAddress() },
      ]);
    t.match(await ask(west.host, `tcp:[${east.hostAddress(EAST[1])}]:8`), [{ server: 'east' }]);
    for (const prefix of EAST)
      t.match(await ping(west.host, east.hostAddress(prefix), 2), { received: 2 }, prefix);
    t.match(await ping(east.host, west.hostAddress(), 1), { received: 1 });
    await capture.stop();
    const seen = await capture.decode('!arp && !(icmpv6.type in {133..143})', [
      'ip.src',
      'ip.dst',
      'frame.protocols',
    ]);
    t.ok(seen.length > 20, `${seen.length} packets`);
    t.same(
      seen.filter(([, , protocols]) => !/:(isakmp|udpencap:esp|udpencap)$/.test(protocols ?? '')),
      [],
      'IKE and ESP alone',
    );
    t.same([...new Set(seen.flatMap((packet) => packet.slice(0, 2)))].sort(), [WEST_ADDRESS, EAST_ADDRESS]);
  });

  await t.test('a site that was killed begins again', async (t) => {
    await west.setTunnels([{ ...ofWest, begins: true }]);
    await west.kill();
    t.match(await ping(west.host, east.hostAddress(), 1), { received: 0 });
    await west.start();
    t.match(await ping(west.host, east.hostAddress(), 5), { received: 5 });
  });
});
