import t from 'tap';
import type { NatRefusals, NatUse } from '../../src/api/operations.ts';
import type { NewEvent } from '../../src/node/journal.ts';
import { NatRefusalWatch } from '../../src/node/nat-refusals.ts';

const rdid = '11111111-1111-1111-1111-111111111111';

function watched() {
  const told: NewEvent[] = [];
  const clock = { now: 1000 };
  const watch = new NatRefusalWatch({ add: (event) => told.push(event) }, () => clock.now);
  const use = (refused: Partial<NatRefusals>): NatUse => ({
    sessions: 1,
    refused: { limit: 0, ports: 0, bindings: 0, ...refused },
  });
  /** What is told of a look, seconds after the one before. */
  const look = (seconds: number, refused: Partial<NatRefusals>, of = rdid): string[] => {
    clock.now += seconds * 1000;
    watch.look(of, use(refused));
    return told.splice(0).map(({ what, reason }) => `${what}: ${reason}`);
  };
  return { told, watch, look };
}

const recovered = 'recovered: NAT has refused no session for 30 s.';

t.test(
  'refusals are told when they begin, every 30 s while they go on, and when they are over',
  async (t) => {
    const { look } = watched();
    t.strictSame(look(0, { limit: 500 }), [], 'what was before is nothing new');
    t.strictSame(look(5, { limit: 500 }), []);
    t.strictSame(look(5, { limit: 510 }), [
      'refusing: NAT has refused new sessions: 10 over the limit of sessions (maxSessions).',
    ]);
    t.strictSame(look(5, { limit: 510 }), []);
    t.strictSame(look(5, { limit: 520 }), []);
    t.strictSame(look(5, { limit: 521, ports: 3 }), []);
    t.strictSame(look(20, { limit: 521, ports: 3 }), [
      'refusing: NAT has refused new sessions: 11 over the limit of sessions (maxSessions), 3 for want of a free external port.',
    ]);
    t.strictSame(look(5, { limit: 521, ports: 3 }), []);
    t.strictSame(look(5, { limit: 521, ports: 3 }), [recovered]);
    t.strictSame(look(5, { limit: 521, ports: 3 }), []);
    t.strictSame(look(5, { limit: 521, ports: 3, bindings: 1 }), [
      'refusing: NAT has refused new sessions: 1 whose external port is bound to another inside host.',
    ]);
    t.strictSame(look(100, { limit: 521, ports: 3, bindings: 1 }), [recovered]);
  },
);

t.test('domains are told apart, and a context that is made anew begins anew', async (t) => {
  const { told, watch, look } = watched();
  const other = '22222222-2222-2222-2222-222222222222';
  const there = new Set([rdid, other]);
  look(0, { ports: 5 });
  look(0, {}, other);
  watch.endRound(there);
  const ports = (count: number) => [
    `refusing: NAT has refused new sessions: ${count} for want of a free external port.`,
  ];
  t.strictSame(look(5, { ports: 4 }), ports(4), 'counters of another context');
  t.strictSame(look(5, {}, other), []);
  watch.look(rdid, undefined);
  t.strictSame(look(5, { ports: 9 }), ports(9), 'one that was not there in between');
  watch.endRound(new Set([other]));
  t.strictSame(look(5, { ports: 12 }), ports(12), 'a domain that was deleted and made again');
  watch.look(other, { sessions: 0, refused: { limit: 1, ports: 0, bindings: 0 } });
  t.match(told, [
    { type: 'nat', routingDomainId: other, path: `/v1/routing-domains/${other}/nat`, what: 'refusing' },
  ]);
});

t.test('a new limit counts anew, and what else was refused is not told again', async (t) => {
  const { look } = watched();
  look(0, { limit: 500, ports: 5 });
  t.strictSame(look(5, { limit: 3, ports: 5 }), [
    'refusing: NAT has refused new sessions: 3 over the limit of sessions (maxSessions).',
  ]);
});
