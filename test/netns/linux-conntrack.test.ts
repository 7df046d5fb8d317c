import { execFileSync } from 'node:child_process';
import t from 'tap';
import { forgetConversations } from '../../src/linux/conntrack.ts';
import { ip } from '../../src/linux/iproute2.ts';
import { inNetns } from '../../src/linux/netns.ts';
import { nftScript } from '../../src/linux/nftables.ts';

const netns = `ct${process.pid}`;
const other = `co${process.pid}`;

function conntrack(namespace: string, ...args: string[]): string {
  const command = [`--net=/run/netns/${namespace}`, 'conntrack', ...args];
  return execFileSync('nsenter', command, { encoding: 'utf8', stdio: 'pipe' });
}
/** Source ports of the conversations that are tracked. */
const tracked = (namespace = netns): string[] =>
  [...conntrack(namespace, '-L').matchAll(/src=10\.0\.0\.1 .*? sport=(\d+)/g)]
    .map(([, port = '']) => port)
    .sort();

t.beforeEach(async () => {
  for (const name of [netns, other]) {
    await ip(['netns', 'add', name]);
    // Conversations are tracked where a rule asks for it.
    inNetns(name, () =>
      nftScript(
        'table inet t { chain c { type filter hook input priority 0; ct state established accept; }; }',
      ),
    );
    for (const [port, mark] of [
      [1, 0],
      [2, 0xc6336465],
      [3, 0xc6336465],
      [4, 5],
    ])
      conntrack(
        name,
        ...['-I', '-p', 'udp', '-s', '10.0.0.1', '-d', '10.0.0.2', '--sport', `${port}`, '--dport', '53'],
        ...['-t', '100', '-m', `${mark}`],
      );
  }
});
t.afterEach(() => {
  for (const name of [netns, other]) execFileSync('ip', ['netns', 'delete', name]);
});

t.test('the conversations that carry the mark are forgotten, in this namespace alone', async (t) => {
  inNetns(netns, () => forgetConversations(0xc6336465));
  t.same(tracked(), ['1', '4']);
  t.same(tracked(other), ['1', '2', '3', '4']);
});

t.test('a mark that nobody carries is no error', async (t) => {
  inNetns(netns, () => forgetConversations(77));
  t.same(tracked(), ['1', '2', '3', '4']);
});

t.test('without a mark all are forgotten', async (t) => {
  inNetns(netns, () => forgetConversations(undefined));
  t.same(tracked(), []);
  t.same(tracked(other), ['1', '2', '3', '4']);
});

t.test('conversations of IPv6 are forgotten as those of IPv4 are', async (t) => {
  for (const [port, mark] of [
    [1, 0],
    [2, 0xc6336465],
    [3, 5],
  ])
    conntrack(
      netns,
      ...['-I', '-p', 'udp', '-s', 'fd00::1', '-d', 'fd00::2', '--sport', `${port}`, '--dport', '53'],
      ...['-t', '100', '-m', `${mark}`],
    );
  const tracked6 = (): string[] =>
    [...conntrack(netns, '-L', '-f', 'ipv6').matchAll(/src=fd00::1 .*? sport=(\d+)/g)]
      .map(([, port = '']) => port)
      .sort();
  t.same(tracked6(), ['1', '2', '3']);
  inNetns(netns, () => forgetConversations(0xc6336465));
  t.same(tracked6(), ['1', '3']);
  inNetns(netns, () => forgetConversations(undefined));
  t.same(tracked6(), []);
});
