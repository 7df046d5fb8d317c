import fc from 'fast-check';
import t from 'tap';
import { HnvError } from '../../src/errors.ts';
import { documentEntries } from '../../src/policy/document.ts';
import { parseOutline } from '../../src/policy/document-outline.ts';
import { parseDocument } from '../../src/policy/document-text.ts';
import { DocumentThread } from '../../src/policy/document-thread.ts';
import { contoso, fabrikam } from './store-folder.ts';

const record = {
  customerAddress: '10.1.1.11',
  virtualSubnetId: 5001,
  macAddress: '02-00-00-AA-BB-CC',
  providerAddress: '192.0.2.11',
};
const subnet = { vsid: 5001, addressPrefixes: ['10.1.1.0/24'] };

/** One resource of every kind, the naming fields in forms that are not canonical. */
const whole = {
  ports: [{ interface: 'tap0', virtualSubnetId: 5001, macAddress: '02-00-00-00-00-01' }],
  routingDomains: [
    {
      rdid: contoso.toUpperCase(),
      name: 'Contoso',
      nat: { externalAddresses: [{ ipAddress: '203.0.113.1' }] },
      customerRoutes: [
        { id: 'default', virtualSubnetId: 5002, destinationPrefix: '0.0.0.0/0', nextHop: '10.254.254.2' },
      ],
      gateway: { virtualSubnetId: 5002, customerAddresses: ['10.254.254.2'] },
      lookupRecords: [{ id: 'web1', ...record }],
      virtualSubnets: [subnet, { vsid: 5002, addressPrefixes: ['10.254.254.0/29'], isGatewaySubnet: true }],
    },
  ],
  providerRoutes: [
    { id: 'fabric', interface: 'eth0', destinationPrefix: '198.51.100.0/24', nextHop: '192.0.2.254' },
  ],
  providerAddresses: [{ address: '2001:DB8:0::1', interface: 'eth0', prefixLength: 64 }],
};

/** What is thrown, with what a caller sees of it. */
function refusalOf(work: () => unknown): {
  code?: string;
  pointer?: string;
  rule?: string;
  message?: string;
} {
  try {
    work();
  } catch (error) {
    if (!(error instanceof HnvError)) throw error;
    const { code, pointer, rule, message } = error;
    return {
      code,
      ...(pointer === undefined ? {} : { pointer }),
      ...(rule === undefined ? {} : { rule }),
      message,
    };
  }
  return {};
}

const entriesOf = (document: unknown) => [...documentEntries(parseOutline(bytesOf(document)))];
const bytesOf = (document: unknown) => Uint8Array.from(Buffer.from(JSON.stringify(document)));
const domain = (rest: object, rdid = contoso) => ({ rdid, name: 'tenant', ...rest });

t.test('entries come in the order of writing, normalized, with the pointers of the document', async (t) => {
  t.strictSame(
    entriesOf(whole).map(({ entry: { kind, rdid, id }, pointer }) => `${kind} ${rdid} ${id} ${pointer}`),
    [
      'providerAddress  2001:db8::1 /providerAddresses/0',
      'providerRoute  fabric /providerRoutes/0',
      `routingDomain ${contoso}  /routingDomains/0`,
      `virtualSubnet ${contoso} 5001 /routingDomains/0/virtualSubnets/0`,
      `virtualSubnet ${contoso} 5002 /routingDomains/0/virtualSubnets/1`,
      `lookupRecord ${contoso} web1 /routingDomains/0/lookupRecords/0`,
      `gateway ${contoso}  /routingDomains/0/gateway`,
      `customerRoute ${contoso} default /routingDomains/0/customerRoutes/0`,
      `nat ${contoso}  /routingDomains/0/nat`,
      'port  tap0 /ports/0',
    ],
  );
  const byKind = new Map(entriesOf(whole).map(({ entry }) => [entry.kind, entry.value]));
  t.strictSame(byKind.get('lookupRecord'), { ...record, macAddress: '02:00:00:aa:bb:cc', type: 'static' });
  t.strictSame(byKind.get('routingDomain'), { name: 'Contoso' });
  t.match(byKind.get('nat'), { staticMappings: [] });
  t.match(byKind.get('port'), { learn: false, customerAddresses: [] });
});

t.test('an empty document has no entries', async (t) => t.strictSame(entriesOf({}), []));

const wrong: [what: string, document: unknown, pointer: string, rule: string][] = [
  ['a document that is no object', [], '', 'type'],
  ['an unknown list', { routingDomain: [] }, '/routingDomain', 'unknown-field'],
  ['a list that is none', { ports: {} }, '/ports', 'type'],
  ['a domain without RDID', { routingDomains: [{ name: 'x' }] }, '/routingDomains/0/rdid', 'required'],
  ['a wrong RDID', { routingDomains: [{ rdid: 'x', name: 'x' }] }, '/routingDomains/0/rdid', 'pattern'],
  [
    'an unknown field of a domain',
    { routingDomains: [domain({ status: {} })] },
    '/routingDomains/0/status',
    'unknown-field',
  ],
  [
    'a VSID that is reserved',
    { routingDomains: [domain({ virtualSubnets: [{ ...subnet, vsid: 7 }] })] },
    '/routingDomains/0/virtualSubnets/0/vsid',
    'minimum',
  ],
  [
    'a record in the second domain with a group MAC address',
    {
      routingDomains: [
        domain({}),
        domain({ lookupRecords: [{ id: 'a', ...record, macAddress: '01:00:00:00:00:01' }] }, fabrikam),
      ],
    },
    '/routingDomains/1/lookupRecords/0/macAddress',
    'mac-unicast',
  ],
  [
    'a gateway without addresses',
    { routingDomains: [domain({ gateway: { virtualSubnetId: 5002, customerAddresses: [] } })] },
    '/routingDomains/0/gateway/customerAddresses',
    'min-items',
  ],
  [
    'a NAT with an address twice',
    {
      routingDomains: [
        domain({ nat: { externalAddresses: [{ ipAddress: '203.0.113.1' }, { ipAddress: '203.0.113.1' }] } }),
      ],
    },
    '/routingDomains/0/nat/externalAddresses/1/ipAddress',
    'external-address-once',
  ],
  [
    'a provider address that is none',
    { providerAddresses: [{ address: '1.2.3', interface: 'eth0', prefixLength: 24 }] },
    '/providerAddresses/0/address',
    'ip-address',
  ],
  [
    'a dynamic record',
    { routingDomains: [domain({ lookupRecords: [{ id: 'a', ...record, type: 'dynamic' }] })] },
    '/routingDomains/0/lookupRecords/0/type',
    'dynamic-learned',
  ],
  ['an RDID twice', { routingDomains: [domain({}), domain({})] }, '/routingDomains/1/rdid', 'named-once'],
  [
    'a VSID in two domains',
    {
      routingDomains: [domain({ virtualSubnets: [subnet] }), domain({ virtualSubnets: [subnet] }, fabrikam)],
    },
    '/routingDomains/1/virtualSubnets/0/vsid',
    'named-once',
  ],
  [
    'a record id twice',
    {
      routingDomains: [
        domain({
          lookupRecords: [
            { id: 'a', ...record },
            { id: 'a', ...record },
          ],
        }),
      ],
    },
    '/routingDomains/0/lookupRecords/1/id',
    'named-once',
  ],
  [
    'a provider address twice, in two forms',
    {
      providerAddresses: ['2001:db8::1', '2001:DB8:0:0::1'].map((address) => ({
        ...{ address, interface: 'eth0', prefixLength: 64 },
      })),
    },
    '/providerAddresses/1/address',
    'named-once',
  ],
  [
    'an interface twice',
    { ports: [{ interface: 'a' }, { interface: 'a' }] },
    '/ports/1/interface',
    'named-once',
  ],
];

t.test('what is wrong is refused with its place in the document', async (t) => {
  for (const [what, document, pointer, rule] of wrong)
    t.match(
      refusalOf(() => entriesOf(document)),
      { code: 'HNV_INVALID_FIELD', pointer, rule },
      what,
    );
});

t.test('record ids may be the same in different domains', async (t) => {
  const lookupRecords = [{ id: 'a', ...record }];
  const document = { routingDomains: [domain({ lookupRecords }), domain({ lookupRecords }, fabrikam)] };
  t.equal(entriesOf(document).length, 4);
});

t.test('a refusal names the resource, the value and the rule', async (t) => {
  const lookupRecords = [{ id: 'web1', ...record, providerAddress: '127.0.0.1' }];
  const { message } = refusalOf(() => entriesOf({ routingDomains: [domain({ lookupRecords })] }));
  t.match(
    message,
    /^The lookup record web1 of routing domain 1.*: providerAddress: 127\.0\.0\.1 is not a unicast/,
  );
});

const malformed: [what: string, text: string | Uint8Array, code: string, message: RegExp][] = [
  ['nothing', '', 'HNV_BAD_REQUEST', /not valid JSON/],
  ['broken JSON', '{"ports":[}', 'HNV_BAD_REQUEST', /not valid JSON/],
  ['invalid UTF-8', Uint8Array.of(0x22, 0xff, 0x22), 'HNV_BAD_REQUEST', /not valid UTF-8/],
  ['UTF-16', Buffer.from('\ufeff{}', 'utf16le'), 'HNV_BAD_REQUEST', /not valid UTF-8/],
  ['deep nesting', '['.repeat(1e5) + ']'.repeat(1e5), 'HNV_BAD_REQUEST', /nested more than 32 deep/],
  ['__proto__', '{"routingDomains":[{"labels":{"__proto__":"x"}}]}', 'HNV_BAD_REQUEST', /__proto__/],
  ['escaped', '{"\\u005f_proto__":{}}', 'HNV_BAD_REQUEST', /__proto__/],
  ['constructor', '{"constructor":{"prototype":{}}}', 'HNV_BAD_REQUEST', /constructor\.prototype/],
  ['nothing but brackets', `[${'[],'.repeat(2e6)}[]]`, 'HNV_TOO_LARGE', /commas and brackets/],
];

t.test('a text that is not safe to walk through is refused', async (t) => {
  for (const [what, text, code, message] of malformed) {
    const bytes = typeof text === 'string' ? Buffer.from(text) : text;
    for (const read of [parseDocument, throughOutline])
      t.match(
        refusalOf(() => read(bytes)),
        { code, message },
        what,
      );
  }
  t.strictSame(
    parseDocument(Buffer.from('\ufeff{"ports":[]}')),
    { ports: [] },
    'a byte order mark is no harm',
  );
});

/** The outline with every element put back in its place. */
function throughOutline(bytes: Uint8Array): unknown {
  const { document, expand } = parseOutline(bytes);
  if (typeof document !== 'object' || document === null) return document;
  if (Array.isArray(document))
    return document.map((value) => (Array.isArray(value) ? value.map(expand) : value));
  return Object.fromEntries(
    Object.entries(document).map(([name, value]) => [name, Array.isArray(value) ? value.map(expand) : value]),
  );
}

t.test('a text that is read element by element is the same value, or wrong in the same way', async (t) => {
  const outcome = (read: () => unknown) => {
    try {
      return { value: read() };
    } catch (error) {
      return { message: (error as Error).message };
    }
  };
  const { document: outline } = parseOutline(
    bytesOf({ ports: [{}, {}], routingDomains: [{ rdid: contoso }] }),
  );
  t.strictSame(outline, { ports: [0, 1], routingDomains: [2] }, 'no element is read before it is asked for');
  const signs = fc.constantFrom(
    ...'[]{},:"\\ 1e-.\n\u00fc',
    '[[',
    '}]',
    '{"a":[{}]}',
    '{}{}',
    '"__proto__":',
  );
  const element = fc.oneof(fc.object({ maxDepth: 2 }), fc.array(fc.jsonValue({ maxDepth: 1 })));
  const list = fc.oneof({ weight: 5, arbitrary: fc.array(element) }, fc.jsonValue({ maxDepth: 2 }));
  const document = fc.oneof(
    { weight: 5, arbitrary: fc.dictionary(fc.string(), list) },
    { weight: 1, arbitrary: fc.array(list) },
  );
  const mutation = fc.record({
    at: fc.double({ min: 0, max: 1, noNaN: true }),
    length: fc.nat(2),
    sign: signs,
  });
  const mutations = fc.oneof(fc.constant([]), fc.array(mutation, { maxLength: 2 }));
  fc.assert(
    fc.property(document, mutations, fc.constantFrom(undefined, 1), (value, changes, indent) => {
      let text = JSON.stringify(value, undefined, indent);
      for (const { at, length, sign } of changes) {
        const begin = Math.floor(at * text.length);
        text = text.slice(0, begin) + sign + text.slice(begin + length);
      }
      const bytes = Buffer.from(text);
      t.strictSame(
        outcome(() => throughOutline(bytes)),
        outcome(() => parseDocument(bytes)),
        text,
      );
    }),
    { numRuns: 500 },
  );
});

t.test('the thread answers what is answered without it, in slices, one document after another', async (t) => {
  const thread = new DocumentThread();
  t.teardown(() => thread.close());
  const lookupRecords = Array.from({ length: 3000 }, (_, n) => ({ id: `r${n}`, ...record }));
  const big = { routingDomains: [domain({ virtualSubnets: [subnet], lookupRecords })] };
  t.strictSame(await thread.read(bytesOf(big)), entriesOf(big));
  t.strictSame(await thread.read(bytesOf(whole)), entriesOf(whole));
  lookupRecords.push({ id: 'r7', ...record });
  await t.rejects(thread.read(bytesOf(big)), {
    name: 'HnvError',
    code: 'HNV_INVALID_FIELD',
    pointer: '/routingDomains/0/lookupRecords/3000/id',
    rule: 'named-once',
  });
  t.strictSame(await thread.read(bytesOf({})), [], 'it goes on after a refusal');
  await thread.close();
  t.strictSame(await thread.read(bytesOf(whole)), entriesOf(whole), 'and is started again after its end');
});

t.test('whoever waits for the thread when it ends is told so', async (t) => {
  const thread = new DocumentThread();
  const reading = thread.read(bytesOf(whole));
  await Promise.all([t.rejects(reading, { code: 'HNV_INTERNAL' }), thread.close()]);
});
