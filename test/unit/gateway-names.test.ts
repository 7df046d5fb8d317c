import t from 'tap';
import {
  contextNames,
  domainDigest,
  isContextNetns,
  isProviderLink,
  providerLink,
} from '../../src/gateway/names.ts';

const rdid = (number: number): string => `00000000-0000-4000-8000-${number.toString(16).padStart(12, '0')}`;

t.test(
  'every name has at most the 15 characters that Linux allows, with an instance of any length',
  async (t) => {
    for (const instance of ['a', 'gw', 'gw1', 'gw12'])
      for (const name of Object.values(contextNames(instance, rdid(1)))) {
        t.ok(name.length <= 15, name);
        t.ok(name.startsWith(instance), name);
      }
  },
);

t.test('the names of a domain are distinct, and the same every time', async (t) => {
  const names = contextNames('gw', rdid(1));
  t.equal(new Set(Object.values(names)).size, 4);
  t.same(contextNames('gw', rdid(1)), names);
  // Pinned: another digest would leave the contexts of a running node behind.
  t.same(names, {
    ...{ netns: 'gw-rfuubvmqdb', tenantPort: 'gwhrfuubvmqdb', externalPort: 'gwxrfuubvmqdb' },
    segmentPort: 'gwfrfuubvmqdb',
  });
});

t.test(
  'ten thousand domains have as many digests, of letters and digits that an interface may have',
  async (t) => {
    const digests = Array.from({ length: 10_000 }, (_, i) => domainDigest(rdid(i)));
    t.equal(new Set(digests).size, digests.length);
    t.same(
      digests.filter((digest) => !/^[a-z2-7]{10}$/.test(digest)),
      [],
    );
  },
);

t.test('a node knows its own namespaces, and takes nobody else’s for its own', async (t) => {
  const { netns, tenantPort } = contextNames('gw', rdid(1));
  t.ok(isContextNetns('gw', netns));
  for (const other of [
    tenantPort,
    'gw',
    'gw-',
    'gw-short',
    `${netns}x`,
    `x${netns}`,
    netns.toUpperCase(),
    'gw-abcdefghi1',
  ])
    t.notOk(isContextNetns('gw', other), other);
  t.notOk(isContextNetns('g', netns), 'of an instance whose name goes on');
  t.notOk(isContextNetns('gw2', netns));
});

t.test('a provider address’s own link is named after it, and known again', async (t) => {
  for (const address of ['192.168.1.20', 'fd00:a::20'])
    for (const instance of ['a', 'gw12']) {
      const name = providerLink(instance, address);
      t.ok(name.length <= 15, name);
      t.ok(isProviderLink(instance, name), name);
    }
  // Pinned: another digest would leave the links of a running node behind.
  t.equal(providerLink('gw', '192.168.1.20'), 'gwpvduzibxgxp');
  t.not(providerLink('gw', '192.168.1.20'), providerLink('gw', '192.168.1.21'));
  const { tenantPort, externalPort } = contextNames('gw', rdid(1));
  for (const other of [tenantPort, externalPort, 'gwp', 'gwpshort', providerLink('gwp', '192.168.1.20')])
    t.notOk(isProviderLink('gw', other), other);
});
