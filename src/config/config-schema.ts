/** The schema of the configuration: the reference of its keys, with their rules and defaults. */
import { Type } from 'typebox';
import { defaultLimits } from '../access/rate-limiter.ts';
import { defaultRetention } from '../store/audit.ts';
import { UplinkBgp } from './uplink-bgp-schema.ts';

const closed = { additionalProperties: false } as const;

/** A section that may be absent, since each of its keys may. */
const optionalSection = { ...closed, default: {} } as const;

function count(maximum: number, value: number, what: string) {
  return Type.Integer({
    minimum: 1,
    maximum,
    default: value,
    description: `most ${what} that this node takes, 1 to ${maximum}; sizes the kernel's tables`,
  });
}

function absolutePath(description: string) {
  return Type.String({ pattern: '^/.*[^/]$', description });
}

/** Every key, with its rule, default and description. */
export const ConfigSchema = Type.Object(
  {
    instance: Type.Optional(
      Type.String({
        pattern: '^[a-z0-9]{1,4}$',
        description:
          '1 to 4 of a-z 0-9: begins the name of every namespace, interface and pin that this node makes, and tells ' +
          'several nodes on one machine apart; hg for a gateway and hh for a host by default',
      }),
    ),
    uplink: Type.Optional(
      Type.Object(
        {
          interface: Type.String({
            pattern: '^[^/\\s]{1,15}$',
            description: 'name of the network interface that leads to the outside; it must exist',
          }),
          bgp: Type.Optional(UplinkBgp),
        },
        { ...closed, description: 'the side of the internet; required for a gateway, and a host has none' },
      ),
    ),
    api: Type.Object(
      {
        listen: Type.Optional(
          Type.Array(
            Type.String({
              description:
                'unix:/PATH, 127.0.0.1:PORT, [::1]:PORT, or with api.tls ADDRESS:PORT or [ADDRESS]:PORT',
            }),
            {
              minItems: 1,
              maxItems: 16,
              description:
                'where the REST API listens, a list of unix:/PATH, 127.0.0.1:PORT, [::1]:PORT and, with api.tls, any ' +
                'ADDRESS:PORT or [ADDRESS]:PORT; [unix:/run/hnvgw/INSTANCE.sock, 127.0.0.1:8080] by default. Who can open ' +
                'the unix socket (root) is an administrator; all others need a token',
            },
          ),
        ),
        tls: Type.Optional(
          Type.Object(
            {
              certificateFile: absolutePath(
                'absolute path of the PEM file with the certificate of the API and those that lead to its root; with ' +
                  'api.tls every TCP listener speaks TLS 1.2 or later, and the files are read again when they change',
              ),
              keyFile: absolutePath('absolute path of the PEM file with the private key of the certificate'),
            },
            {
              ...closed,
              description: 'the certificate of the API; without it, TCP listeners are on loopback only',
            },
          ),
        ),
        requestsPerSecond: Type.Integer({
          minimum: 1,
          maximum: 1_000_000,
          default: defaultLimits.requestsPerSecond,
          description:
            'most requests a second of one token (of one address where none is needed), and as many at once; more are ' +
            'answered with 429',
        }),
        failedLoginsPerMinute: Type.Integer({
          minimum: 1,
          maximum: 100_000,
          default: defaultLimits.failedLoginsPerMinute,
          description:
            'most requests a minute of one address (of IPv6, one /64) without a valid token; more are answered with 429',
        }),
      },
      { ...optionalSection, description: 'the REST API' },
    ),
    audit: Type.Object(
      {
        days: Type.Integer({
          minimum: 1,
          maximum: 36_500,
          default: defaultRetention.days,
          description: 'days after which a record of the audit log is removed',
        }),
        records: Type.Integer({
          minimum: 1000,
          maximum: 100_000_000,
          default: defaultRetention.records,
          description: 'most records of the audit log; the oldest are removed',
        }),
      },
      { ...optionalSection, description: 'the audit log: who changed what, when, from where' },
    ),
    store: Type.Object(
      {
        path: Type.Optional(
          Type.String({
            pattern: '^/.*[^/]$',
            description:
              'absolute path of the file with the desired state, /var/lib/hnvgw/INSTANCE/store.db by default',
          }),
        ),
      },
      { ...optionalSection, description: 'the desired state' },
    ),
    capacity: Type.Object(
      {
        routingDomains: count(65_536, 1024, 'routing domains'),
        lookupRecords: count(16_777_216, 131_072, 'lookup records of all routing domains together'),
        customerRoutes: count(16_777_216, 16_384, 'customer routes of all routing domains together'),
        externalAddresses: count(
          1_048_576,
          16_384,
          'external addresses, port blocks of them and external prefixes of all routing domains together',
        ),
        siteConnections: count(65_536, 1024, 'site connections of all routing domains together'),
        ports: count(65_536, 4096, 'ports of virtual machines'),
        fastFlows: count(
          1_048_575,
          131_072,
          'directions of conversations on the fast path at a time, 272 bytes each; every CPU has the same share of them',
        ),
      },
      { ...optionalSection, description: 'how much this node takes' },
    ),
    learning: Type.Object(
      {
        addressesPerPort: Type.Integer({
          minimum: 1,
          maximum: 4096,
          default: 16,
          description: 'most addresses that are learned at one port; for a host only, as all of this section',
        }),
        ageSeconds: Type.Integer({
          minimum: 1,
          maximum: 86_400,
          default: 300,
          description: 'seconds after which an address that nothing was heard of is forgotten',
        }),
        publish: Type.Array(
          Type.String({
            description:
              'an API, https://HOST:PORT, http://127.0.0.1:PORT, http://[::1]:PORT or unix:/PATH, of another node or of ' +
              'what distributes policy to all',
          }),
          {
            maxItems: 1024,
            default: [],
            description:
              'APIs that every learned address is written to, and deleted from when it is forgotten: a list of ' +
              'https://HOST:PORT, http://127.0.0.1:PORT, http://[::1]:PORT and unix:/PATH',
          },
        ),
        tokenFile: Type.Optional(
          absolutePath(
            'absolute path of a file with the token (of an operator) for the APIs of learning.publish: a token alone, or ' +
              'lines of an API and its token, parted by a blank; read again for each connection',
          ),
        ),
        caFile: Type.Optional(
          absolutePath(
            'absolute path of a PEM file with the certificates that those of the APIs of learning.publish must come from, ' +
              'those of the system by default; read again for each connection',
          ),
        ),
      },
      { ...optionalSection, description: 'addresses that are learned from VMs; for a host only' },
    ),
    natLog: Type.Optional(
      Type.Object(
        {
          path: absolutePath(
            'absolute path of the file that records are appended to, as lines of JSON; its folder must exist. A file that was ' +
              'moved away is followed by a new one within a second',
          ),
          records: Type.Array(
            Type.Union([Type.Literal('sessions'), Type.Literal('blocks')], {
              description: 'sessions or blocks',
            }),
            {
              ...{ minItems: 1, maxItems: 2, default: ['sessions', 'blocks'] },
              description:
                'what is recorded: beginning and end of each translated session (sessions), and which domain has which ' +
                'external addresses, blocks of ports and prefixes (blocks)',
            },
          ),
        },
        {
          ...closed,
          description:
            'the NAT log: who had which external address and port, and when; for a gateway only, and none by default',
        },
      ),
    ),
    ipsec: Type.Object(
      {
        allowWeakAlgorithms: Type.Boolean({
          default: false,
          description:
            'whether site connections may have algorithms that are broken, for peers that have no others: DES, DES3, MD5, Group1, ' +
            'Group2 and Group24',
        }),
      },
      { ...optionalSection, description: 'site connections; for a gateway only' },
    ),
    dataplane: Type.Object(
      {
        xdp: Type.Union(
          [Type.Literal('auto'), Type.Literal('native'), Type.Literal('generic'), Type.Literal('off')],
          {
            default: 'auto',
            description:
              'how packets of established connections are carried: native, in the drivers of the NICs (XDP); generic, at the ' +
              'same NICs behind their drivers, where TCP super-packets stay whole; auto, native on NICs that are no virtual ' +
              'links, if their driver takes it, and generic on all others; off, as all others',
          },
        ),
        spreadOver: Type.Array(
          Type.Integer({ minimum: 0, description: 'number of a CPU, which must exist' }),
          {
            ...{ maxItems: 64, uniqueItems: true, default: [] },
            description:
              'CPUs that packets inside NVGRE are spread over, by their connections, on NICs with native XDP: for NICs that choose a ' +
              'queue by outer addresses alone; none: packets stay where their NIC has put them',
          },
        ),
      },
      { ...optionalSection, description: 'the fast path; for a gateway only' },
    ),
    forwarding: Type.Object(
      {
        interfaces: Type.Array(
          Type.String({
            pattern: '^[^/\\s]{1,15}$',
            description: 'name of a network interface, which must exist',
          }),
          {
            ...{ maxItems: 16, default: [] },
            description:
              'network interfaces that forwarding of routing domains may name as their uplink beside uplink.interface, for networks ' +
              'that are behind others',
          },
        ),
      },
      { ...optionalSection, description: 'forwarding without NAT; for a gateway only' },
    ),
    log: Type.Object(
      {
        level: Type.Union(
          [
            Type.Literal('fatal'),
            Type.Literal('error'),
            Type.Literal('warn'),
            Type.Literal('info'),
            Type.Literal('debug'),
            Type.Literal('trace'),
          ],
          { default: 'info', description: 'least severe level that is logged' },
        ),
      },
      { ...optionalSection, description: 'the log, written to standard output' },
    ),
  },
  closed,
);
