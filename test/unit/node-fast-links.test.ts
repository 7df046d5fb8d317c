import t from 'tap';
import { reasonForGeneric } from '../../src/node/fast-links.ts';

t.test(
  'native XDP is for NICs that are no virtual links, unless the configuration says otherwise',
  async (t) => {
    const hardware = undefined;
    const decisions: [
      setting: Parameters<typeof reasonForGeneric>[0],
      kind: string | undefined,
      reason?: string,
    ][] = [
      ['auto', hardware],
      ['auto', 'veth', 'a veth is a virtual link'],
      ['auto', 'bond', 'a bond is a virtual link'],
      ['native', hardware],
      ['native', 'veth'],
      ['generic', hardware, 'dataplane.xdp is generic'],
      ['generic', 'veth', 'dataplane.xdp is generic'],
    ];
    for (const [setting, kind, reason] of decisions)
      t.equal(reasonForGeneric(setting, kind), reason, `${setting} ${kind ?? 'hardware'}`);
  },
);
