/** Forged frames: sent as they are, received as they are. */
import t from 'tap';
import { Fabric } from '../lab/fabric.ts';
import { Lab } from '../lab/lab.ts';
import { OvsHost } from '../lab/ovs-host.ts';
import { RawLink } from '../lab/raw-link.ts';
import { until } from '../lab/until.ts';

/** An Ethernet frame of an experimental type (IEEE 802, 0x88b5) with a recognizable payload. */
function experimentalFrame(destination: string, payload: string): Buffer {
  return Buffer.concat([
    Buffer.from(`${destination}0200000000fe88b5`, 'hex'),
    Buffer.from(payload.padEnd(46, '.')),
  ]);
}

t.test('a frame arrives at the other end byte for byte', async (t) => {
  const lab = await Lab.create(`lr${process.pid}`);
  t.teardown(() => lab.close());
  const [a, b] = [await lab.namespace('a'), await lab.namespace('b')];
  await lab.veth(a, 'one', b, 'two');
  const [sender, receiver] = [await RawLink.open(a, 'one'), await RawLink.open(b, 'two')];
  const frames = [experimentalFrame('ffffffffffff', 'first'), experimentalFrame('020000000001', 'second')];
  for (const frame of frames) await sender.send(frame);
  await until('both frames arrived', 5_000, () =>
    frames.every((frame) => receiver.received.some((got) => got.equals(frame))),
  );
  t.notOk(
    sender.received.some((got) => frames.some((frame) => got.equals(frame))),
    'the sender does not hear itself',
  );
  await t.rejects(sender.send(Buffer.alloc(4)), 'the kernel refuses a frame without a whole Ethernet header');
  await receiver.close();
});

t.test('a host sends a forged frame onto the provider network', async (t) => {
  const lab = await Lab.create(`lr${process.pid}`);
  t.teardown(() => lab.close());
  const fabric = await Fabric.create(lab);
  const host = await OvsHost.create(fabric, 'host', '192.168.1.10/24');
  const peer = await lab.namespace('peer');
  await fabric.attach(peer, 'pa', { wireFrames: true });
  const link = await RawLink.open(peer, 'pa');
  const frame = experimentalFrame('ffffffffffff', 'forged');
  await host.sendRaw(frame);
  await until('the frame arrived', 5_000, () => link.received.some((got) => got.equals(frame)));
  t.pass();
});
