import t from 'tap';
import { Spread } from '../../src/encap/spread.ts';
import { parseCpuList } from '../../src/linux/cpus.ts';

t.test('the kernel’s list of CPUs', async (t) => {
  t.same(parseCpuList('0\n'), [0]);
  t.same(parseCpuList('0-3,8,10-11\n'), [0, 1, 2, 3, 8, 10, 11]);
});

t.test('a CPU that is not there is refused by its number', async (t) => {
  const never = () => {
    throw new Error('nothing is touched');
  };
  const core = { map: never, program: never, hasFastPath: true };
  t.throws(() => new Spread(core, [0, 8191]), {
    code: 'HNV_CONFIG',
    message: /^dataplane\.spreadOver: there is no CPU 8191 on this machine, which has 0/,
  });
});
