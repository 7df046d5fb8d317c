/**
 * A node that is full: the number of a domain that goes is given to the one that comes in the same breath. Nothing of the
 * old one is the new one's, whichever of them the kernel hears of first.
 */
import { readFile, writeFile } from 'node:fs/promises';
import t from 'tap';
import { parse, stringify } from 'yaml';
import { decodeRecordKey } from '../../src/encap/layout.generated.ts';
import { addressFromBytes } from '../../src/policy/address.ts';
import { mapEntries, withMap } from '../lab/data-plane-maps.ts';
import { Fabric } from '../lab/fabric.ts';
import { GatewayNode, PROVIDER_NIC, UPLINK_NIC } from '../lab/gateway-node.ts';
import { Internet } from '../lab/internet.ts';
import { Lab } from '../lab/lab.ts';

const GATEWAY = '192.168.1.20';
const ROUNDS = 5;
const DOMAINS = 3;

/** All there is in a round: other domains, VSIDs and addresses than in the one before. */
function policy(round: number): object {
  const routingDomains = Array.from({ length: DOMAINS }, (_, i) => {
    const vsid = 5001 + 10 * round + 2 * i;
    return {
      rdid: `00000000-0000-4000-8000-0000000000${10 * (round + 1) + i}`,
      name: `tenant ${vsid}`,
      virtualSubnets: [
        { vsid, addressPrefixes: ['10.1.1.0/24'] },
        { vsid: vsid + 1, addressPrefixes: ['10.254.254.0/29'], isGatewaySubnet: true },
      ],
      lookupRecords: Array.from({ length: 1 + round }, (_, record) => ({
        ...{
          id: `vm${record}`,
          customerAddress: `10.1.1.${10 * (round + 1) + record}`,
          virtualSubnetId: vsid,
        },
        ...{ macAddress: '02:00:00:01:01:01', providerAddress: '192.168.1.10', type: 'static' },
      })),
      gateway: {
        ...{ virtualSubnetId: vsid + 1, customerAddresses: ['10.254.254.2'] },
        macAddress: '02:00:00:00:fe:02',
      },
      nat: { externalAddresses: [{ ipAddress: `100.64.${round}.${i}` }] },
    };
  });
  return {
    providerAddresses: [{ address: GATEWAY, interface: PROVIDER_NIC, prefixLength: 24 }],
    routingDomains,
  };
}

t.test('the numbers of domains that go are given to those that come', { timeout: 60_000 }, async (t) => {
  const lab = await Lab.create(`full${process.pid}`);
  t.teardown(() => lab.close());
  const node = await GatewayNode.create(await Fabric.create(lab), 'gw', `${GATEWAY}/24`);
  await Internet.create(lab, node.namespace, UPLINK_NIC);
  const config = parse(await readFile(node.configFile, 'utf8'));
  await writeFile(node.configFile, stringify({ ...config, capacity: { routingDomains: DOMAINS } }));
  await node.start();
  for (let round = 0; round < ROUNDS; round++) {
    // Domains that go while they are still being set up: their end comes after the beginning of the new ones.
    if (round % 2 === 1) await node.api.put('/v1/policy', policy(ROUNDS + round));
    const answer = (await node.api.put('/v1/policy?wait=30s', policy(round))) as { status: unknown };
    t.match(answer.status, { failed: 0, pending: 0, notReady: [] }, `round ${round}: in the kernel`);
    const keys = withMap(node.instance, 'records', (records) =>
      records.entries().map(([key]) => decodeRecordKey(key)),
    );
    t.same(
      [...new Set(keys.map(({ address }) => addressFromBytes(address)))].sort(),
      Array.from({ length: 1 + round }, (_, record) => `10.1.1.${10 * (round + 1) + record}`),
      'the records are those of this round',
    );
    t.equal(keys.length, DOMAINS * (1 + round));
    t.same(
      [...new Set(keys.map(({ domain }) => domain))].sort(),
      Array.from({ length: DOMAINS }, (_, i) => i + 1),
      'under all the numbers there are',
    );
    t.equal(mapEntries(node.instance).external_ports?.length, DOMAINS, 'each context is joined');
    for (const name of ['traffic', 'drops']) {
      withMap(node.instance, name, (map) => {
        for (const { domain } of keys) {
          const key = Buffer.alloc(4);
          key.writeUInt32LE(domain);
          const counts = map.lookup(key);
          t.notOk(
            counts?.some((byte) => byte !== 0),
            `nothing was counted for ${domain} yet`,
          );
        }
        // As if each had had traffic.
        for (let domain = 1; domain <= DOMAINS; domain++) {
          const key = Buffer.alloc(4);
          key.writeUInt32LE(domain);
          map.update(key, new Uint8Array(map.lookup(key)?.length ?? 0).fill(1));
        }
      });
    }
  }
  await node.api.put('/v1/policy?wait=30s', {});
  for (const [name, entries] of Object.entries(mapEntries(node.instance)))
    if (!['uplinks', 'fast_links'].includes(name)) t.same(entries, [], `the map ${name} is empty`);
});
