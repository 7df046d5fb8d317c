/** What `hnvgw doctor` says of the machine-wide limits of the neighbour tables. */
import t from 'tap';
import { checkNeighbourLimits } from '../../src/cli/doctor/neighbour-limits.ts';

const V4 = 'net.ipv4.neigh.default.gc_thresh3';
const V6 = 'net.ipv6.neigh.default.gc_thresh3';

const found = (routingDomains: number, limits: Record<string, number>) =>
  checkNeighbourLimits(routingDomains, (sysctl) => limits[sysctl]);

t.test('tables that are larger than the number of domains are well', async (t) => {
  t.match(found(1024, { [V4]: 1025, [V6]: 4096 }), [{ level: 'ok', what: /room/, todo: undefined }]);
});

t.test('the kernel’s own limits are too small for the node’s own capacity, in both families', async (t) => {
  t.match(found(1024, { [V4]: 1024, [V6]: 1024 }), [
    {
      level: 'note',
      what: /end at 1024 entries, but capacity\.routingDomains is 1024/,
      todo: `sysctl -w ${V4}=2048 ${V6}=2048, and the same in /etc/sysctl.d for the next start.`,
    },
  ]);
});

t.test('only the table that is too small is told', async (t) => {
  t.match(found(3000, { [V4]: 8192, [V6]: 1024 }), [
    { level: 'note', what: /end at 1024 entries/, todo: new RegExp(`^sysctl -w ${V6}=6000,`) },
  ]);
});

t.test('nothing is said of what cannot be seen', async (t) => {
  t.same(found(1024, {}), []);
  t.same(found(1024, { [V4]: 4096 }), []);
});

t.test('they are read from the kernel of this machine', async (t) => {
  t.match(checkNeighbourLimits(2 ** 31), [{ level: 'note', todo: new RegExp(V4) }]);
});
