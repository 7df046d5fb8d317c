/** The examples of the help, typed into a shell. */
import t from 'tap';
import { contosoPath } from './api-server.ts';
import { contosoNode } from './cli-node.ts';
import { siteConnectionBody } from './site-connection.ts';

t.test('every example of the help works as it stands', async (t) => {
  const { commandNames, loadCommand } = await import('../../src/cli/commands.ts');
  const node = await contosoNode(t);
  await node.api.put('/v1/tokens/contoso', { role: 'operator' });
  // A domain with ports cannot be deleted.
  await node.api.delete('/v1/ports/tap0.1');
  const { routingDomains, ...rest } = (await node.api.get('/v1/policy')) as { routingDomains: [object] };
  const siteConnections = [{ name: 'office', ...siteConnectionBody }];
  const before = { ...rest, routingDomains: [{ ...routingDomains[0], siteConnections }] };
  // Those that run a node, need another machine, write to folders of the system, or do not end.
  const elsewhere = /hnvgw (gateway|host|config check|restore)\b|--server https|\/etc\/|--(follow|watch)/;
  for (const name of commandNames) {
    const { examples } = await loadCommand(name);
    for (const { line } of examples) {
      if (elsewhere.test(line)) continue;
      if (name === 'token create') await node.api.request('DELETE', '/v1/tokens/contoso');
      // It stands in the way of an example.
      if (/delete nat/.test(line)) await node.api.delete(`${contosoPath}/site-connections/office`);
      const { status, stderr } = await node.bash(line);
      t.ok(status === 0 || (name === 'doctor' && status === 1), `${line}\n${stderr}`);
      if (name === 'apply' || name === 'delete') await node.api.put('/v1/policy', before);
    }
  }
});
