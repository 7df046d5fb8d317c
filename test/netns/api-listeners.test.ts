/** The API of a running node: root's socket, a port with TLS that other machines reach, and how they end. */
import { chmod, mkdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { parse, stringify } from 'yaml';
import type { NodeStatus } from '../../src/api/operations.ts';
import { makePair, replaceFile } from '../lab/certificates.ts';
import { Fabric } from '../lab/fabric.ts';
import { HostNode } from '../lab/host-node.ts';
import { Lab } from '../lab/lab.ts';
import { PROVIDER_NIC } from '../lab/node-process.ts';
import { until } from '../lab/until.ts';

const NODE = '192.168.1.11';
const ALL = `https://${NODE}:8443`;

t.test('the API of a node', { timeout: 120_000 }, async (t) => {
  const lab = await Lab.create(`al${process.pid}`);
  t.teardown(() => lab.close());
  const fabric = await Fabric.create(lab);
  const node = await HostNode.create(fabric, 'n1', [`${NODE}/24`]);
  const portal = await lab.namespace('portal');
  await fabric.attach(portal, PROVIDER_NIC, { wireFrames: false });
  await portal.ip('addr', 'add', '192.168.1.99/24', 'dev', PROVIDER_NIC);

  const dir = join(lab.dir, 'tls');
  await mkdir(dir);
  const { cert, key } = makePair(dir, 'api', NODE);
  const [certificateFile, keyFile, ca] = [join(dir, 'api.crt'), join(dir, 'api.key'), join(dir, 'ca.pem')];
  await writeFile(ca, cert);
  const config = parse(await readFile(node.configFile, 'utf8'));
  config.api = { listen: [...config.api.listen, `${NODE}:8443`], tls: { certificateFile, keyFile } };
  await writeFile(node.configFile, stringify(config));

  /** What curl hears in another machine: the body, a blank line, the status. */
  const fetch = async (path: string, token = '') => {
    const args = ['-sS', '--noproxy', '*', '--cacert', ca, '-H', '@-', '-w', '\n%{http_code}', ALL + path];
    const { stdout, stderr } = await portal.run(['curl', ...args], { input: token });
    return { status: Number(stdout.split('\n').at(-1)), text: stdout + stderr };
  };

  await t.test('it does not start with a certificate that it cannot use', async (t) => {
    await writeFile(keyFile, 'no key');
    await t.rejects(node.start(), {
      cause: { message: /HNV_CONFIG: api\.tls\.keyFile is .*no private key/ },
    });
    await writeFile(keyFile, key);
    await chmod(keyFile, 0o600);
  });

  await node.start();

  await t.test('root alone can open the socket', async (t) => {
    t.equal((await stat(node.api.socketPath)).mode & 0o777, 0o600);
  });

  await t.test('other machines get in by TLS and a token made over the socket', async (t) => {
    t.equal((await fetch('/healthz')).status, 200);
    t.equal((await fetch('/v1/status')).status, 401);
    const made = await node.api.request('PUT', '/v1/tokens/portal', { role: 'operator' });
    const { token } = made.body as { token: string };
    t.equal((await fetch('/v1/status', `Authorization: Bearer ${token}`)).status, 200);
    await node.restart();
    t.equal((await fetch('/v1/status', `Authorization: Bearer ${token}`)).status, 200, 'after a restart too');
    await node.api.request('DELETE', '/v1/tokens/portal');
    t.equal((await fetch('/v1/status', `Authorization: Bearer ${token}`)).status, 401);
  });

  await t.test('a certificate that went wrong is a warning in the status', async (t) => {
    const warnings = async () => ((await node.api.get('/v1/status')) as NodeStatus).warnings.join(' ');
    t.notMatch(await warnings(), /api\.tls/);
    replaceFile(certificateFile, 'none');
    await until('the node has seen it', 20_000, async () =>
      /api\.tls\.certificateFile/.test(await warnings()),
    );
    t.equal((await fetch('/healthz')).status, 200);
    replaceFile(certificateFile, cert);
    await until('the node has seen that', 20_000, async () => !/api\.tls/.test(await warnings()));
  });
});
