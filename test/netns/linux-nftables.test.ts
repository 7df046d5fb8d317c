import { execFileSync } from 'node:child_process';
import t from 'tap';
import { ip } from '../../src/linux/iproute2.ts';
import { inNetns } from '../../src/linux/netns.ts';
import { nft, nftCheck, nftList, nftScript } from '../../src/linux/nftables.ts';

const netns = `lf${process.pid}`;
const table = { family: 'ip', table: 'test' };
const inside = <T>(fn: () => T): T => inNetns(netns, fn);

t.before(() => ip(['netns', 'add', netns]));
t.teardown(() => execFileSync('ip', ['netns', 'delete', netns]));
t.afterEach(() => {
  inside(() =>
    nft([
      { add: { table: { family: 'ip', name: 'test' } } },
      { delete: { table: { family: 'ip', name: 'test' } } },
    ]),
  );
});

const addTable = { add: { table: { family: 'ip', name: 'test' } } };
const addSet = { add: { set: { ...table, name: 'numbers', type: 'ipv4_addr' } } };

t.test('a transaction takes effect in the namespace and nowhere else, and is listed', async (t) => {
  inside(() =>
    nft([addTable, addSet, { add: { element: { ...table, name: 'numbers', elem: ['192.0.2.1'] } } }]),
  );
  t.match(
    inside(() => nftList(table)),
    [{ table: { family: 'ip', name: 'test' } }, { set: { name: 'numbers', elem: ['192.0.2.1'] } }],
  );
  t.equal(nftList(table), undefined);
});

t.test('a table that is not there is undefined', async (t) => {
  t.equal(
    inside(() => nftList(table)),
    undefined,
  );
});

t.test('a family that does not exist is an error', async (t) => {
  t.throws(() => inside(() => nftList({ family: 'nope', table: 'test' })), {
    code: 'HNV_NFTABLES',
    message: /nope/,
  });
});

t.test('a transaction of which one command fails changes nothing', async (t) => {
  t.throws(() => inside(() => nft([addTable, { delete: { chain: { ...table, name: 'nope' } } }])), {
    code: 'HNV_NFTABLES',
    message: /No such file or directory/,
  });
  t.equal(
    inside(() => nftList(table)),
    undefined,
  );
});

t.test('a command that libnftables does not know is refused with its reason', async (t) => {
  t.throws(() => inside(() => nft([{ add: { nonsense: {} } }])), {
    code: 'HNV_NFTABLES',
    message: /Unknown object passed to add command/,
  });
});

t.test('a check finds errors and changes nothing', async (t) => {
  inside(() => nftCheck([addTable, addSet]));
  t.equal(
    inside(() => nftList(table)),
    undefined,
  );
  t.throws(() => inside(() => nftCheck([{ delete: { table: { family: 'ip', name: 'test' } } }])), {
    code: 'HNV_NFTABLES',
  });
});

t.test('a script in nft’s own language is one transaction', async (t) => {
  inside(() => nftScript('table ip test {\n  set numbers { type ipv4_addr; elements = { 192.0.2.7 } }\n}\n'));
  t.match(
    inside(() => nftList(table)),
    [{}, { set: { elem: ['192.0.2.7'] } }],
  );
  t.throws(() => inside(() => nftScript('delete table ip test\nadd rule ip gone output accept\n')), {
    code: 'HNV_NFTABLES',
    message: /refused: Could not process rule: No such file or directory$/,
  });
  t.ok(
    inside(() => nftList(table)),
    'the whole script was taken back',
  );
});

t.test('no commands are no transaction', async (t) => {
  nft([]);
  nftCheck([]);
  t.equal(nftList(table), undefined);
});

t.test('thousands of map elements go in with one transaction', async (t) => {
  const elem = Array.from({ length: 5000 }, (_, i) => [
    `10.0.${i >> 8}.${i & 255}`,
    `198.18.${i >> 8}.${i & 255}`,
  ]);
  const map = { ...table, name: 'pairs', type: 'ipv4_addr', map: 'ipv4_addr' };
  inside(() => nft([addTable, { add: { map } }, { add: { element: { ...table, name: 'pairs', elem } } }]));
  const [, listed] = inside(() => nftList(table)) as [unknown, { map: { elem: unknown[] } }];
  t.equal(listed.map.elem.length, 5000);
});
