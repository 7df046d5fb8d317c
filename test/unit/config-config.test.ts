import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import {
  loadGatewayConfig,
  loadHostConfig,
  parseGatewayConfig,
  parseHostConfig,
} from '../../src/config/config.ts';
import { ConfigSchema } from '../../src/config/config-schema.ts';

t.test('a file with only the required key has every default', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'hnvgw-config-'));
  t.teardown(() => rmSync(folder, { recursive: true }));
  const file = join(folder, 'gateway.yaml');
  writeFileSync(file, 'uplink:\n  interface: eth1\n');
  t.strictSame(loadGatewayConfig(file), {
    instance: 'hg',
    uplink: { interface: 'eth1' },
    api: {
      requestsPerSecond: 10_000,
      failedLoginsPerMinute: 30,
      listen: [{ path: '/run/hnvgw/hg.sock' }, { host: '127.0.0.1', port: 8080 }],
    },
    audit: { days: 90, records: 1_000_000 },
    store: { path: '/var/lib/hnvgw/hg/store.db' },
    capacity: {
      routingDomains: 1024,
      lookupRecords: 131_072,
      customerRoutes: 16_384,
      externalAddresses: 16_384,
      siteConnections: 1024,
      ports: 4096,
      fastFlows: 131_072,
    },
    ipsec: { allowWeakAlgorithms: false },
    dataplane: { xdp: 'auto', spreadOver: [] },
    forwarding: { interfaces: [] },
    log: { level: 'info' },
  });
});

t.test('every key can be set', async (t) => {
  const text = `
instance: gw2
uplink:
  interface: bond0.12
  bgp:
    asn: 4200000001
    routerId: 192.0.2.2
    peers:
      - { address: 192.0.2.1, asn: 65001 }
      - address: 2001:DB8::1
        asn: 65002
        passwordFile: /etc/hnvgw/bgp
        holdTimeSeconds: 9
        multihop: 2
api:
  listen: ['unix:/run/hnvgw/api.sock', '192.0.2.1:8443', '[::]:8443']
  tls: { certificateFile: /etc/hnvgw/api.crt, keyFile: /etc/hnvgw/api.key }
  requestsPerSecond: 100
  failedLoginsPerMinute: 5
audit: { days: 365, records: 1000 }
store: { path: /srv/hnvgw.db }
capacity:
  routingDomains: 65536
  lookupRecords: 1
  customerRoutes: 2
  externalAddresses: 3
  siteConnections: 5
  ports: 4
  fastFlows: 6
ipsec: { allowWeakAlgorithms: true }
dataplane: { xdp: native, spreadOver: [2, 0] }
forwarding: { interfaces: [eth2, eth3] }
log: { level: debug }
`;
  t.strictSame(parseGatewayConfig(text, 'f'), {
    instance: 'gw2',
    uplink: {
      interface: 'bond0.12',
      bgp: {
        ...{ asn: 4_200_000_001, routerId: '192.0.2.2' },
        peers: [
          { address: '192.0.2.1', asn: 65_001, holdTimeSeconds: 90 },
          {
            ...{ address: '2001:db8::1', asn: 65_002, passwordFile: '/etc/hnvgw/bgp', holdTimeSeconds: 9 },
            multihop: 2,
          },
        ],
      },
    },
    api: {
      requestsPerSecond: 100,
      failedLoginsPerMinute: 5,
      listen: [
        { path: '/run/hnvgw/api.sock' },
        { host: '192.0.2.1', port: 8443 },
        { host: '::', port: 8443 },
      ],
      tls: { certificateFile: '/etc/hnvgw/api.crt', keyFile: '/etc/hnvgw/api.key' },
    },
    audit: { days: 365, records: 1000 },
    store: { path: '/srv/hnvgw.db' },
    capacity: {
      ...{ routingDomains: 65_536, lookupRecords: 1, customerRoutes: 2, externalAddresses: 3 },
      ...{ siteConnections: 5, ports: 4, fastFlows: 6 },
    },
    ipsec: { allowWeakAlgorithms: true },
    dataplane: { xdp: 'native', spreadOver: [2, 0] },
    forwarding: { interfaces: ['eth2', 'eth3'] },
    log: { level: 'debug' },
  });
});

t.test('a host needs no key at all', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'hnvgw-config-'));
  t.teardown(() => rmSync(folder, { recursive: true }));
  const file = join(folder, 'host.yaml');
  writeFileSync(file, '{}\n');
  t.match(loadHostConfig(file), {
    instance: 'hh',
    store: { path: '/var/lib/hnvgw/hh/store.db' },
    learning: { addressesPerPort: 16, ageSeconds: 300, publish: [] },
  });
});

t.test('every key of learning can be set', async (t) => {
  const text = `
learning:
  addressesPerPort: 4
  ageSeconds: 60
  publish:
    - unix:/run/hnvgw/b.sock
    - http://127.0.0.1:8081
    - http://[::1]:8082/
    - https://gw2.example.net:8443
    - https://192.0.2.1:443/
    - https://[2001:db8::1]:443
  tokenFile: /etc/hnvgw/token
  caFile: /etc/hnvgw/ca.pem
`;
  t.strictSame(parseHostConfig(text, 'f').learning, {
    addressesPerPort: 4,
    ageSeconds: 60,
    publish: [
      { path: '/run/hnvgw/b.sock' },
      { host: '127.0.0.1', port: 8081, tls: false },
      { host: '::1', port: 8082, tls: false },
      { host: 'gw2.example.net', port: 8443, tls: true },
      { host: '192.0.2.1', port: 443, tls: true },
      { host: '2001:db8::1', port: 443, tls: true },
    ],
    tokenFile: '/etc/hnvgw/token',
    caFile: '/etc/hnvgw/ca.pem',
  });
});

t.test(
  'what is learned leaves the machine over TLS only, and a wrong address is refused with its line',
  async (t) => {
    const addresses = [
      'http://192.0.2.1:80',
      'https://127.0.0.1',
      'https://127.0.0.1:0',
      'https://[gw2]:443',
      'https://gw2:443/v1',
      'https://me@gw2:443',
      '127.0.0.1:80',
      'http://127.0.0.1',
      'unix:x',
      '',
    ];
    for (const address of addresses) {
      const text = `learning:\n  publish:\n    - 'unix:/a'\n    - '${address}'`;
      t.throws(
        () => parseHostConfig(text, 'f'),
        {
          code: 'HNV_CONFIG',
          message: /^f:4: learning\.publish\.1 is ".*", but (must be https:\/\/HOST:PORT|the path of a unix)/,
        },
        address,
      );
    }
  },
);

t.test('a key of the other role is refused with its line', async (t) => {
  t.throws(() => parseHostConfig('instance: h1\nuplink: { interface: e }', 'f'), {
    code: 'HNV_CONFIG',
    message: 'f:2: uplink is for a gateway only, and this node is a host.',
  });
  t.throws(() => parseGatewayConfig('uplink: { interface: e }\nlearning: {}', 'f'), {
    code: 'HNV_CONFIG',
    message: 'f:2: learning is for a host only, and this node is a gateway.',
  });
  t.throws(() => parseHostConfig('forwarding: { interfaces: [eth2] }', 'f'), {
    code: 'HNV_CONFIG',
    message: 'f:1: forwarding is for a gateway only, and this node is a host.',
  });
  t.throws(() => parseHostConfig('ipsec: { allowWeakAlgorithms: true }', 'f'), {
    code: 'HNV_CONFIG',
    message: 'f:1: ipsec is for a gateway only, and this node is a host.',
  });
  t.throws(() => parseHostConfig('dataplane: { xdp: off }', 'f'), {
    code: 'HNV_CONFIG',
    message: 'f:1: dataplane is for a gateway only, and this node is a host.',
  });
});

t.test('the default path of the store has the instance in it', async (t) => {
  const config = parseGatewayConfig('instance: gw2\nuplink: { interface: eth1 }', 'f');
  t.equal(config.store.path, '/var/lib/hnvgw/gw2/store.db');
});

t.test('the default socket has the instance in its name', async (t) => {
  const config = parseHostConfig('instance: h7', 'f');
  t.match(config.api.listen[0], { path: '/run/hnvgw/h7.sock' });
});

const tls = 'tls: { certificateFile: /c, keyFile: /k }';

t.test('the API listens on loopback and on unix sockets, and with TLS everywhere', async (t) => {
  const listen = (address: string, more = '') =>
    parseGatewayConfig(`uplink: { interface: e }\napi:\n  listen:\n    - '${address}'\n  ${more}`, 'f').api
      .listen[0];
  t.strictSame(listen('127.0.0.1:80'), { host: '127.0.0.1', port: 80 });
  t.strictSame(listen('127.8.8.8:65535'), { host: '127.8.8.8', port: 65_535 });
  t.strictSame(listen('[::1]:8080'), { host: '::1', port: 8080 });
  t.strictSame(listen('unix:/a'), { path: '/a' });
  for (const address of ['0.0.0.0:8080', '192.0.2.1:80', '[::]:80', '[2001:db8::1]:80']) {
    const refusal = { rule: 'listen-tls', message: /^f:4: api\.listen\.0 .* requires api\.tls\.$/ };
    t.throws(() => listen(address), refusal, address);
    t.doesNotThrow(() => listen(address, tls), address);
  }
  const malformed = ['127.0.0.1', '127.0.0.1:0', '127.0.0.1:65536', '::1:80', '', '127.0.0.1:8x'];
  for (const address of [...malformed, 'localhost:80', ':80', '127.1:80', '[127.0.0.1]:80', '[::1%lo]:80x']) {
    const refusal = {
      rule: 'listen-address',
      message: /^f:4: api\.listen\.0 .* must be unix:\/PATH, ADDRESS:PORT/,
    };
    t.throws(() => listen(address, tls), refusal, address);
  }
  t.throws(() => listen('unix:run/x'), { message: /must begin with \// });
  t.throws(() => listen(`unix:/${'x'.repeat(107)}`), { message: /at most 107 bytes/ });
});

const refusals: [what: string, text: string, message: RegExp][] = [
  [
    'an unknown key',
    'uplink:\n  interface: e\ncapasity: {}',
    /^f:3: capasity is no known field; known are instance/,
  ],
  [
    'an unknown key in a section',
    'uplink:\n  # eth\n  interfac: e',
    /^f:3: uplink\.interfac is no known field/,
  ],
  ['a missing section', 'instance: gw', /^f:1: uplink is missing, and a gateway requires it/],
  ['a missing key', 'instance: gw\nuplink: {}', /^f:2: uplink\.interface is missing/],
  ['a wrong type', 'uplink:\n  interface: 7', /^f:2: uplink\.interface is 7, but must be of type string/],
  [
    'too long an instance',
    'uplink: { interface: e }\ninstance: gatew',
    /^f:2: instance is "gatew", but must match/,
  ],
  [
    'an unknown way of the fast path',
    'uplink: { interface: e }\ndataplane: { xdp: yes }',
    /^f:2: dataplane\.xdp is "yes", but must be one of auto, native, generic, off/,
  ],
  [
    'spreading without native XDP',
    'uplink: { interface: e }\ndataplane:\n  xdp: generic\n  spreadOver: [0, 1]',
    /^f:4: dataplane\.spreadOver is for native XDP, and dataplane\.xdp is generic/,
  ],
  ['a bad interface', 'uplink: { interface: a/b }', /^f:1: uplink\.interface is "a\/b"/],
  ['too small a number', 'uplink: { interface: e }\ncapacity:\n  routingDomains: 0', /^f:3: .* at least 1/],
  [
    'too large a number',
    'uplink: { interface: e }\ncapacity:\n  routingDomains: 65537',
    /^f:3: .* at most 65536/,
  ],
  ['a fraction', 'uplink: { interface: e }\ncapacity:\n  lookupRecords: 1.5', /^f:3: .* of type integer/],
  [
    'an unknown level',
    'uplink: { interface: e }\nlog:\n  level: loud',
    /^f:3: log\.level .* one of fatal, error/,
  ],
  [
    'a relative store path',
    'uplink: { interface: e }\nstore: { path: a.db }',
    /^f:2: store\.path is "a\.db"/,
  ],
  ['an empty section', 'uplink: { interface: e }\n\napi:', /^f:3: api is null, but must be of type object/],
  ['a key twice', 'instance: a\nuplink: { interface: e }\ninstance: b', /^f:3: Map keys must be unique/],
  ['broken YAML', 'uplink: { interface: e }\napi: [', /^f:2: /],
  ['an empty file', '', /^f:1: The configuration is null/],
  [
    'a listener twice',
    'uplink: { interface: e }\napi:\n  listen:\n    - unix:/a\n    - unix:/a',
    /^f:5: api\.listen\.1 is "unix:\/a" once more/,
  ],
  [
    'one listener without list',
    'uplink: { interface: e }\napi: { listen: unix:/a }',
    /^f:2: .* of type array/,
  ],
  ['no listener', 'uplink: { interface: e }\napi: { listen: [] }', /^f:2: .* at least 1 items/],
  [
    'a certificate without key',
    'uplink: { interface: e }\napi:\n  tls: { certificateFile: /c }',
    /^f:3: api\.tls\.keyFile is missing/,
  ],
  [
    'a relative certificate',
    'uplink: { interface: e }\napi: { tls: { certificateFile: c, keyFile: /k } }',
    /^f:2: api\.tls\.certificateFile is "c"/,
  ],
  [
    'the uplink among the further interfaces',
    'uplink: { interface: e }\nforwarding:\n  interfaces:\n    - f\n    - e',
    /^f:5: forwarding\.interfaces\.1 is "e", which is uplink\.interface/,
  ],
  [
    'a further interface twice',
    'uplink: { interface: e }\nforwarding: { interfaces: [f, g, f] }',
    /^f:2: forwarding\.interfaces\.2 is "f" once more/,
  ],
  [
    'a bad further interface',
    'uplink: { interface: e }\nforwarding: { interfaces: [a/b] }',
    /^f:2: .*"a\/b"/,
  ],
  ...(
    [
      [
        'BGP without peers',
        'asn: 1, routerId: 192.0.2.2, peers: []',
        /^f:3: uplink\.bgp\.peers .* at least 1 items/,
      ],
      [
        'BGP without ASN',
        'routerId: 192.0.2.2, peers: [{ address: 192.0.2.1, asn: 1 }]',
        /^f:3: uplink\.bgp\.asn is missing/,
      ],
      [
        'a router id that is none',
        "asn: 1, routerId: '2001:db8::1', peers: [{ address: 192.0.2.1, asn: 1 }]",
        /^f:3: uplink\.bgp\.routerId is "2001:db8::1", but must be an IPv4 address/,
      ],
      [
        'a reserved ASN',
        'asn: 23456, routerId: 192.0.2.2, peers: [{ address: 192.0.2.1, asn: 1 }]',
        /^f:3: uplink\.bgp\.asn is 23456, which/,
      ],
      [
        'a router without address',
        'asn: 1, routerId: 192.0.2.2, peers: [{ address: router1, asn: 1 }]',
        /^f:3: uplink\.bgp\.peers\.0\.address is "router1", which is not an IP address/,
      ],
      [
        'a router twice',
        "asn: 1, routerId: 192.0.2.2, peers: [{ address: '2001:db8::1', asn: 2 }, { address: '2001:DB8::1', asn: 2 }]",
        /^f:3: uplink\.bgp\.peers\.1\.address is "2001:DB8::1" once more/,
      ],
      [
        'hops to a router of the own AS',
        'asn: 1, routerId: 192.0.2.2, peers: [{ address: 192.0.2.1, asn: 1, multihop: 2 }]',
        /^f:3: uplink\.bgp\.peers\.0\.multihop is for routers of another AS/,
      ],
      [
        'a password in the configuration',
        'asn: 1, routerId: 192.0.2.2, peers: [{ address: 192.0.2.1, asn: 2, password: secret }]',
        /^f:3: uplink\.bgp\.peers\.0\.password is no known field/,
      ],
    ] as const
  ).map(([what, bgp, message]): [string, string, RegExp] => [
    what,
    `uplink:\n  interface: e\n  bgp: { ${bgp} }`,
    message,
  ]),
  ['no audit log', 'uplink: { interface: e }\naudit: { days: 0 }', /^f:2: audit\.days is 0/],
  ['a list', '- 1', /^f:1: The configuration is \[1\]/],
];
for (const [what, text, message] of refusals) {
  t.test(`${what} is refused with its line`, async (t) => {
    t.throws(() => parseGatewayConfig(text, 'f'), { code: 'HNV_CONFIG', message });
  });
}

t.test(
  'a file that cannot be read is named, and one that is missing with what shows how to write it',
  async (t) => {
    t.throws(() => loadGatewayConfig('/nonexistent/hnvgw.yaml'), {
      code: 'HNV_CONFIG',
      message:
        'There is no configuration file /nonexistent/hnvgw.yaml; hnvgw help gateway shows what it needs at least.',
    });
    t.throws(() => loadGatewayConfig('/etc'), { code: 'HNV_CONFIG', message: /EISDIR/ });
  },
);

t.test('every key is described', async (t) => {
  const undescribed: string[] = [];
  const visit = (schema: object, path: string) => {
    if (path !== '' && !('description' in schema)) undescribed.push(path);
    if (!('properties' in schema)) return;
    for (const [name, child] of Object.entries(schema.properties as Record<string, object>)) {
      visit(child, `${path}/${name}`);
    }
  };
  visit(ConfigSchema, '');
  t.strictSame(undescribed, []);
});
