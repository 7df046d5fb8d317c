/** Which of the kernel's messages about a neighbour are changes of where its frames go. */
import t from 'tap';
import { NeighbourMemory } from '../../src/linux/neighbour-memory.ts';
import { attribute } from '../../src/linux/netlink.ts';

const STATES = { incomplete: 1, reachable: 2, stale: 4, delay: 8, probe: 16, failed: 32, permanent: 128 };
type State = keyof typeof STATES;
const IPV4 = 2;
const BRIDGE = 7;
const LINK = 3;
const OTHER = 6;

/** A message without its header (struct ndmsg, NDA_DST, NDA_LLADDR). */
function message(state: State, mac: number | undefined, family = IPV4): Buffer {
  const body = Buffer.alloc(12);
  body[0] = family;
  body.writeUInt32LE(LINK, 4);
  body.writeUInt16LE(STATES[state], 8);
  const parts = [attribute(1, Uint8Array.of(10, 0, 0, 2))];
  if (mac !== undefined) parts.push(attribute(2, Uint8Array.of(2, 0, 0, 0, 0, mac)));
  return Buffer.concat([body, ...parts]);
}

function remembering(...own: number[]) {
  const memory = new NeighbourMemory(2);
  memory.begin(
    own.map((mac) => ({ ifindex: LINK, address: '10.0.0.2', mac: `02:00:00:00:00:0${mac}`, protocol: 0 })),
  );
  const tell = (nsid: number | undefined, isEnd: boolean, bytes: Buffer): boolean =>
    memory.hasChanged(nsid, isEnd, bytes, 0, bytes.length);
  return {
    memory,
    isChange: (state: State, mac?: number, nsid?: number) => tell(nsid, false, message(state, mac)),
    isEnd: (state: State, mac?: number, nsid?: number) => tell(nsid, true, message(state, mac)),
    tell,
  };
}

t.test('the states of reachability are no changes, another MAC is one', async (t) => {
  const { isChange } = remembering(1);
  for (const state of ['stale', 'delay', 'probe', 'reachable', 'permanent'] as const)
    t.equal(isChange(state, 1), false, state);
  t.equal(isChange('incomplete'), false);
  t.equal(isChange('reachable', 2), true);
  t.equal(isChange('stale', 2), false);
});

t.test('a neighbour that is not found, or is taken away, is a change once', async (t) => {
  const { isChange, isEnd } = remembering(1);
  t.equal(isChange('failed'), true);
  t.equal(isChange('failed'), false, 'it is asked for again and again');
  t.equal(isEnd('failed'), false);
  t.equal(isChange('reachable', 1), false, 'nothing could be sent to it meanwhile');
  t.equal(isEnd('reachable', 1), true);
});

t.test('one that the kernel tidies up is as it was when it comes again', async (t) => {
  const { isChange, isEnd } = remembering(1);
  t.equal(isEnd('stale', 1), false);
  t.equal(isChange('reachable', 1), false);
  t.equal(isEnd('stale', 1), false);
  t.equal(isChange('reachable', 2), true, 'but not with another MAC');
});

t.test('one that was not heard of is new at home, and may be changed elsewhere', async (t) => {
  const { isChange } = remembering();
  t.equal(isChange('reachable', 1), false);
  t.equal(isChange('reachable', 1, OTHER), true);
  t.equal(isChange('stale', 1, OTHER), false);
  t.equal(isChange('failed', undefined, OTHER + 1), false);
});

t.test('stations of a bridge are no neighbours', async (t) => {
  const { tell } = remembering(1);
  t.equal(tell(undefined, false, message('reachable', 2, BRIDGE)), false);
});

t.test('it is full when there are too many beside those of the beginning', async (t) => {
  const { memory, isChange } = remembering(1);
  isChange('reachable', 1, OTHER);
  t.equal(memory.isFull, false);
  isChange('reachable', 1, OTHER + 1);
  t.equal(memory.isFull, true);
  memory.begin([]);
  t.equal(memory.isFull, false);
});
