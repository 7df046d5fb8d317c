/** The commands that write policy, against a node's API with a real store. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { contosoPath } from './api-server.ts';
import { contosoNode } from './cli-node.ts';
import { preSharedKey } from './site-connection.ts';

/** A domain with a mistake that the text takes away. */
const example = `routingDomains:
  - rdid: 33333333-3333-3333-3333-333333333333
    name: Example
    virtualSubnets:
      - vsid: 7001
        addressPrefixes: [10.7.1.0/24]
    lookupRecords:
      - id: vm1
        customerAddress: 10.8.1.11
        virtualSubnetId: 7001
        macAddress: 02:00:00:70:01:11
        providerAddress: 192.168.1.10
`;
/** As somebody completes what was read. */
const withSecret = (policy: string): string =>
  policy.replace('method: psk\n', `method: psk\n          preSharedKey: ${JSON.stringify(preSharedKey)}\n`);
const right = example.replace('10.8.1.11', '10.7.1.11');
const recordPath = '/v1/routing-domains/33333333-3333-3333-3333-333333333333/lookup-records/vm1';

t.test('writing', async (t) => {
  const node = await contosoNode(t);
  const { hnvgw, api, folder } = node;
  const file = join(folder, 'example.yaml');

  await t.test(
    'a mistake is told with its line, field, value and rule, and nothing is written',
    async (t) => {
      writeFileSync(file, example);
      for (const words of [['apply'], ['apply', '--whole'], ['diff']]) {
        const { status, stdout, stderr } = await hnvgw([...words, '-f', 'example.yaml']);
        t.equal(status, words[0] === 'diff' ? 2 : 1);
        t.equal(stdout, '');
        t.match(
          stderr,
          /^hnvgw: HNV_INVALID_FIELD: example\.yaml:9: .*customerAddress.*10\.8\.1\.11.*10\.7\.1\.0\/24/,
        );
      }
      t.equal((await api.request('GET', recordPath)).status, 404);
    },
  );

  await t.test('diff shows what would change, and exits with 1 then', async (t) => {
    writeFileSync(file, right);
    t.match(await hnvgw(['diff', '-f', file]), {
      status: 1,
      stdout: /^\+ routing-domains\/33333333-3333-3333-3333-333333333333\n(.*\n)+3 created/,
      stderr: '',
    });
    t.match(await hnvgw(['diff', '-f', file, '--whole']), { status: 1, stdout: /^- ports\/tap0\.1$/m });
    t.equal((await api.request('GET', recordPath)).status, 404, 'nothing is written');
  });

  await t.test('apply --dry-run tells the same and writes nothing', async (t) => {
    t.match(await hnvgw(['apply', '-f', file, '--dry-run']), {
      status: 0,
      stdout: /^\+ routing-domains(.|\n)*; nothing was done \(--dry-run\)\n$/,
    });
    t.equal((await api.request('GET', recordPath)).status, 404);
  });

  await t.test('apply writes it, from standard input too, and a second time changes nothing', async (t) => {
    t.match(await hnvgw(['apply', '-f', '-'], { input: right }), {
      status: 0,
      stdout: /3 created/,
      stderr: '',
    });
    t.match(await api.get(recordPath), { customerAddress: '10.7.1.11' });
    t.match(await api.get(contosoPath), { name: 'Contoso' }, 'the rest stays');
    t.strictSame(await hnvgw(['diff', '-f', file]), { status: 0, stdout: '', stderr: '' });
    const again = JSON.parse((await hnvgw(['apply', '-f', file, '-o', 'json'])).stdout);
    t.match(again, { created: 0, changed: 0, deleted: 0, dryRun: false, changes: [] });
  });

  await t.test('a field that changes is shown before and after', async (t) => {
    const changed = right.replace('name: Example', 'name: Other');
    t.match(await hnvgw(['diff', '-f', '-'], { input: changed }), {
      status: 1,
      stdout: /^~ routing-domains\/3333.*\n {4}name: "Example" -> "Other"\n1 changed/,
    });
  });

  await t.test('get policy is what apply --whole takes: what is not in it goes', async (t) => {
    const policy = (await hnvgw(['get', 'policy'])).stdout;
    writeFileSync(join(folder, 'all.yaml'), policy);
    t.strictSame(await hnvgw(['diff', '-f', 'all.yaml', '--whole']), { status: 0, stdout: '', stderr: '' });
    t.match(await hnvgw(['apply', '-f', 'example.yaml', '--whole']), { status: 0, stdout: /15 deleted/ });
    t.equal((await api.request('GET', contosoPath)).status, 404);
    t.match(await hnvgw(['apply', '-f', 'all.yaml', '--whole']), {
      status: 1,
      stderr: /all\.yaml:\d+: .*preSharedKey: is missing.* \(rule secret-required\)/s,
    });
    writeFileSync(join(folder, 'all.yaml'), withSecret(policy));
    t.match(await hnvgw(['apply', '-f', 'all.yaml', '--whole']), { status: 0, stdout: /15 created/ });
    t.equal((await hnvgw(['get', 'policy'])).stdout, policy);
  });

  await t.test('what the kernel could not take is told on standard error and exits with 1', async (t) => {
    const { operations } = node;
    const status = {
      state: 'failed' as const,
      reason: 'The map is full.',
      since: '2026-01-01T00:00:00.000Z',
    };
    const allSettled = operations.allSettled.bind(operations);
    operations.allSettled = async (subjects) =>
      subjects.map(({ key }) => ({ state: 'failed', notReady: [{ key, status }] }));
    t.match(await hnvgw(['apply', '-f', file]), {
      status: 1,
      stdout: / unchanged\n$/,
      stderr:
        /^hnvgw: it is stored, but the kernel could not take all of it: 1 failed, 0 pending\n {2}routing-domains\/3333.* is failed: The map is full\.\n$/,
    });
    operations.allSettled = allSettled;
  });

  await t.test('delete removes a resource, and fails when there is none', async (t) => {
    const words = ['delete', 'record', 'vm1', '-d', 'Example', '--wait', '0s'];
    t.match(await hnvgw(words), {
      status: 0,
      stdout: '',
      stderr: /^deleted routing-domains\/3333.*\/vm1\n$/,
    });
    t.match(await hnvgw(words), { status: 1, stderr: /^hnvgw: HNV_NOT_FOUND: / });
    t.match(await hnvgw(['delete', 'rd', 'Example']), { status: 0 });
    t.match(await hnvgw(['delete', 'subnet', '5002', '-d', 'Contoso']), {
      status: 1,
      stderr: /^hnvgw: HNV_IN_USE: /,
    });
  });

  await t.test(
    'a pool gives an address to a document that asks for any, and applying it again changes nothing',
    async (t) => {
      const pooled = `externalAddressPools:
  - { name: shared, prefixes: [203.0.113.8/32], portBlockSize: 1024 }
${right}    nat: { externalAddresses: auto }
`;
      writeFileSync(file, pooled);
      t.match(await hnvgw(['apply', '-f', file]), { status: 0 });
      t.match(await hnvgw(['get', 'pools']), {
        stdout: /^NAME +PREFIXES +PORTS IN BLOCK .*\nshared +203\.0\.113\.8\/32 +1024 /,
      });
      const { stdout } = await hnvgw(['get', 'nat', '-d', 'Example', '-o', 'json']);
      t.match(JSON.parse(stdout), {
        externalAddresses: 'auto',
        allocatedAddress: { ipAddress: '203.0.113.8' },
      });
      t.match(await hnvgw(['diff', '-f', file]), { status: 0 });
      t.match(await hnvgw(['apply', '-f', file]), { status: 0 });
      t.equal((await hnvgw(['get', 'nat', '-d', 'Example', '-o', 'json'])).stdout, stdout);
      t.match(await hnvgw(['delete', 'pool', 'shared']), { status: 1, stderr: /\(rule pool-in-use\)/ });
      t.match(await hnvgw(['delete', 'nat', '-d', 'Example']), { status: 0 });
      t.match(await hnvgw(['delete', 'pool', 'shared']), { status: 0 });
    },
  );
});
