/**
 * Examples of every resource for the OpenAPI document, in the form that they are answered in. Together they are one
 * policy: in the order of this list each can be written to an empty node.
 */
import type { ResourceKind, ResourceTypes } from '../policy/resources.ts';

/** The RDID of the routing domain that they are about. */
export const exampleRdid = '0f8fad5b-d9cb-469f-a165-70867728950e';

/** Resources of each kind: the name in the path, and the value. */
export const examples: {
  readonly [K in ResourceKind]: readonly (readonly [name: string | number, value: ResourceTypes[K]])[];
} = {
  providerAddress: [['192.0.2.1', { interface: 'eth1', prefixLength: 24 }]],
  providerRoute: [
    [
      'fabric',
      { interface: 'eth1', destinationPrefix: '198.51.100.0/24', nextHop: '192.0.2.254', metric: 0 },
    ],
  ],
  externalAddressPool: [['shared', { prefixes: ['203.0.113.8/29'], portBlockSize: 1024 }]],
  routingDomain: [
    [exampleRdid, { name: 'Contoso', description: 'The tenant of the examples', labels: { tier: 'gold' } }],
  ],
  virtualSubnet: [
    [5001, { addressPrefixes: ['10.1.1.0/24', 'fd00:1:1::/64'], isGatewaySubnet: false }],
    [5002, { addressPrefixes: ['10.254.254.0/29'], isGatewaySubnet: true }],
  ],
  lookupRecord: [
    [
      'web1',
      {
        customerAddress: '10.1.1.11',
        virtualSubnetId: 5001,
        macAddress: '02:00:00:aa:bb:01',
        providerAddress: '192.0.2.11',
        type: 'static',
        vmName: 'web1',
      },
    ],
  ],
  gateway: [
    [
      exampleRdid,
      { virtualSubnetId: 5002, customerAddresses: ['10.254.254.2'], macAddress: '02:00:00:aa:bb:02' },
    ],
  ],
  customerRoute: [
    [
      'default',
      { virtualSubnetId: 5002, destinationPrefix: '0.0.0.0/0', nextHop: '10.254.254.2', metric: 0 },
    ],
  ],
  nat: [
    [
      exampleRdid,
      {
        externalAddresses: 'auto',
        pool: 'shared',
        allocatedAddress: { ipAddress: '203.0.113.9', portStart: 4096, portEnd: 5119 },
        externalPrefixes: [{ prefix: '2001:db8:1:1::/64', internalPrefix: 'fd00:1:1::/64' }],
        staticMappings: [
          {
            protocol: 'tcp',
            externalIpAddress: '203.0.113.9',
            externalPort: 4443,
            internalIpAddress: '10.1.1.11',
            internalPort: 443,
          },
        ],
        oneToOne: [],
        timeouts: { icmp: 60, tcpEstablished: 7440, tcpTransient: 240, udp: 300 },
        filtering: { tcp: 'addressAndPortDependent', udp: 'endpointIndependent' },
        hairpinning: 'local',
        algs: [],
        maxSessions: 10000,
      },
    ],
  ],
  forwarding: [
    [
      exampleRdid,
      {
        vlanId: 312,
        addresses: ['10.40.0.2/29'],
        nextHops: ['10.40.0.1'],
        destinationPrefixes: ['172.16.0.0/12'],
        advertise: ['10.1.1.0/24'],
      },
    ],
  ],
  bgp: [
    [
      exampleRdid,
      {
        asn: 4200000001,
        peers: [
          {
            name: 'corporate',
            address: '10.40.0.1',
            asn: 65010,
            password: 'replace-me-by-20-signs',
            holdTimeSeconds: 90,
            maximumPrefixes: 1000,
            ingressPolicies: ['no-labs'],
            egressPolicies: [],
          },
        ],
        hostRoutes: false,
        policies: [{ name: 'no-labs', type: 'Deny', matchPrefixes: ['172.31.0.0/16'] }],
        maximumPaths: 8,
        gracefulRestartSeconds: 120,
      },
    ],
  ],
  siteConnection: [
    [
      'office',
      {
        destination: '198.51.100.7',
        localAddress: '203.0.113.9',
        authentication: { method: 'psk', preSharedKey: 'replace-me-by-32-random-characters' },
        subnets: [{ prefix: '192.168.50.0/24', metric: 0 }],
        localSubnets: ['10.1.1.0/24'],
        mainMode: {
          encryptionAlgorithms: ['GCMAES256', 'AES256'],
          integrityAlgorithms: ['SHA384', 'SHA256'],
          diffieHellmanGroups: ['ECP384', 'Group14'],
          saLifeTimeSeconds: 28800,
        },
        quickMode: {
          encryptionAlgorithms: ['GCMAES256', 'AES256'],
          integrityAlgorithms: ['SHA256'],
          perfectForwardSecrecy: ['ECP384', 'Group14'],
          saLifeTimeSeconds: 3600,
        },
        initiate: 'start',
        mobike: false,
      },
    ],
  ],
  port: [
    [
      'tap0',
      {
        virtualSubnetId: 5001,
        macAddress: '02:00:00:aa:bb:03',
        customerAddresses: ['10.1.1.12'],
        learn: false,
      },
    ],
  ],
};

/** Status of the resources in examples. */
export const exampleStatus = { state: 'ready', since: '2026-01-01T00:00:00.000Z' } as const;
