/** Tokens, audit log, backup and doctor by the command line, against a node's API with a real store. */
import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import t from 'tap';
import { contosoNode } from './cli-node.ts';

const contoso = '11111111-0000-0000-0000-00000000000a';

t.test('administration', async (t) => {
  const node = await contosoNode(t);
  const { hnvgw, folder } = node;

  await t.test('a token is printed once, alone, and lists have no secret', async (t) => {
    const made = await hnvgw(['token', 'create', 'portal', '--role', 'admin']);
    t.match(made, { status: 0, stdout: /^\S{20,}\n$/, stderr: /^token portal never expires/ });
    const list = await hnvgw(['token', 'list']);
    t.match(list, { status: 0, stdout: /^ID +ROLE +CREATED\nportal +admin +/ });
    t.notMatch(list.stdout, made.stdout.trim());
    t.match(await hnvgw(['token', 'create', 'portal', '--role', 'admin']), {
      status: 1,
      stderr: /^hnvgw: HNV_PRECONDITION_FAILED: /,
    });
  });

  await t.test('a token of a tenant sees its own by name, until it is revoked', async (t) => {
    const made = await hnvgw([
      'token',
      'create',
      'contoso',
      '--role',
      'tenant',
      '-d',
      'Contoso',
      '--expires',
      '30d',
      '-o',
      'json',
    ]);
    const { token, expires, routingDomains } = JSON.parse(made.stdout);
    t.strictSame(routingDomains, [contoso]);
    t.equal(Math.round((Date.parse(expires) - Date.now()) / 86_400_000), 30);
    const file = join(folder, 'contoso.token');
    writeFileSync(file, `${token}\n`);
    const asTenant = ['--token-file', file];
    t.match(await hnvgw(['get', 'nat', '-d', 'Contoso', ...asTenant]), { status: 0 });
    t.match(await hnvgw(['get', 'rd'], { env: { HNVGW_TOKEN: token } }), { status: 0, stdout: /Contoso/ });
    t.match(await hnvgw(['token', 'list', ...asTenant]), { status: 1, stderr: /^hnvgw: HNV_FORBIDDEN: / });
    t.match(await hnvgw(['backup', '-o', 'no.db', ...asTenant]), {
      status: 1,
      stderr: /^hnvgw: HNV_FORBIDDEN: /,
    });
    t.match(await hnvgw(['doctor', '--config', '/dev/null', ...asTenant]), {
      stdout: /takes you for a tenant\.\n/,
    });
    t.match(await hnvgw(['token', 'revoke', 'contoso']), { status: 0, stderr: 'token contoso is revoked\n' });
    t.match(await hnvgw(['get', 'rd', ...asTenant]), {
      status: 1,
      stderr: /^hnvgw: HNV_UNAUTHENTICATED: .*wrong, has expired, or was revoked\.\n$/,
    });
  });

  await t.test('the audit log tells who did what, the newest last', async (t) => {
    const { stdout, status } = await hnvgw(['audit', '-n', '3', '-o', 'json']);
    t.equal(status, 0);
    const { items } = JSON.parse(stdout);
    t.equal(items.length, 3);
    t.strictSame(
      items,
      items.toSorted((a: { id: number }, b: { id: number }) => a.id - b.id),
    );
    t.match(await hnvgw(['audit']), {
      status: 0,
      stdout: /^TIME +WHO +FROM +METHOD +PATH(.|\n)*local +unix +DELETE +\/v1\/tokens\/contoso +204/,
    });
  });

  await t.test('a backup is the store, for its owner alone, and can be restored', async (t) => {
    const policy = (await hnvgw(['get', 'policy'])).stdout;
    const backup = join(folder, 'backup.db');
    t.match(await hnvgw(['backup', '-o', backup]), { status: 0, stdout: '', stderr: /^\S+: \d+ bytes\n$/ });
    t.equal(statSync(backup).mode & 0o777, 0o600);
    t.match(readFileSync(backup).subarray(0, 15).toString(), 'SQLite format 3');
    const database = new DatabaseSync(backup, { readOnly: true });
    t.strictSame({ ...database.prepare('PRAGMA integrity_check').get() }, { integrity_check: 'ok' });
    database.close();
    t.throws(() => statSync(`${backup}.part`), { code: 'ENOENT' });

    writeFileSync(join(folder, 'second.yaml'), `store:\n  path: ${folder}/second/store.db\n`);
    t.match(await hnvgw(['restore', backup, '--config', 'second.yaml']), {
      status: 0,
      stderr: /second\/store\.db has now 1 routing domains, 15 resources in all/,
    });
    t.ok(statSync(join(folder, 'second/store.db')).size > 0);
    t.match(policy, 'Contoso');
    writeFileSync(join(folder, 'own.yaml'), `store:\n  path: ${folder}/store.db\n`);
    t.match(await hnvgw(['restore', backup, '--config', 'own.yaml']), {
      status: 1,
      stderr: /^hnvgw: HNV_STORE: The store .* is open in another process: stop the node/,
    });
  });

  await t.test('a backup that cannot be written leaves nothing', async (t) => {
    t.match(await hnvgw(['backup', '-o', '/proc/no/backup.db']), { status: 1, stderr: /^hnvgw: HNV_/ });
  });

  await t.test('the doctor tells what is wrong, and what to do', async (t) => {
    const bad = join(folder, 'bad.yaml');
    writeFileSync(bad, 'uplink:\n  interface: nix0\n');
    const { status, stdout } = await hnvgw(['doctor', '--config', bad]);
    t.equal(status, 1);
    t.match(stdout, /^wrong {2}There is no interface nix0, which uplink\.interface names\.\n {7}-> /m);
    t.match(
      stdout,
      /^ok {5}strongSwan is there for site connections; ESP is (the kernel's|its own, in userspace)\.$/m,
    );
    t.match(stdout, /^ok {5}The API at unix:.* takes you for an administrator\.$/m);
    t.match(
      stdout,
      /^ok {5}Established connections take the fast path between eth0 \(native\), eth1 \(generic: a veth is a virtual link\)\.$/m,
    );
    t.match(stdout, /^wrong {2}routing-domains\/1+-0000-0000-0000-0+a\/nat is failed: no memory$/m);
    t.notMatch(stdout, /routing domains? (is|are) ready/);
    t.match(stdout, /^ok {5}Nobody has changed the kernel by hand lately\.$/m);
    const gone = await hnvgw(['doctor', '-o', 'json', '--server', 'unix:/nix.sock']);
    t.equal(gone.status, 1);
    t.match(JSON.parse(gone.stdout).at(-1), { level: 'wrong', what: /does not answer \(ENOENT\)/ });
  });

  await t.test('the doctor tells of drift', async (t) => {
    node.operations.events.add({ type: 'drift', what: 'found', reason: 'The route 10.0.0.0/8 was gone.' });
    const { stdout } = await hnvgw(['doctor', '--config', '/dev/null']);
    t.match(
      stdout,
      /^note {3}1 times the kernel was not as programmed, last at .*: The route 10\.0\.0\.0\/8 was gone\.$/m,
    );
    t.match(await hnvgw(['events', '--type', 'drift']), {
      stdout: /^\S+ +drift +found +The route .* was gone\.\n$/,
    });
  });
});
