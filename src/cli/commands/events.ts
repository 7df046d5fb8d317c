/** Shows what happens on a node. */
import { eventTypes, type NodeEvent } from '../../api/operations.ts';
import { withApi } from '../api.ts';
import { command } from '../command.ts';
import { domainOption, resolveDomain } from '../domain.ts';
import { followEvents, pastEvents } from '../event-stream.ts';
import { harmless, harmlessJson } from '../harmless.ts';
import { outputOption, print } from '../output.ts';
import { connectionOptions } from '../server.ts';
import { paint, type Style } from '../table.ts';

export default command({
  name: 'events',
  summary: 'show what happened on the node, and what happens',
  about: [
    'Writes (resource, policy), what the kernel has of them (status), and what was found in the kernel that nobody had ordered, ' +
      'and mended (drift); sessions that NAT refuses (nat), tunnels that come up, go down or fail (siteConnection), BGP sessions that are established or end (bgpPeer). The node ' +
      'keeps the last 16,384 in memory; reset says that some before are gone. --follow goes on until Ctrl-C, also across a restart of the node. With --output json each event is one line.',
  ],
  arguments: {},
  options: {
    ...domainOption,
    type: {
      type: 'string',
      value: 'TYPE',
      choices: eventTypes.filter((type) => type !== 'reset'),
      summary: 'only events of this type',
    },
    follow: { type: 'boolean', summary: 'go on with what happens' },
    ...outputOption,
    ...connectionOptions,
  },
  examples: [
    { what: 'what happened lately', line: 'hnvgw events' },
    { what: 'what happens to one routing domain', line: 'hnvgw events --follow -d Contoso' },
    { what: 'whether somebody changed the kernel by hand', line: 'hnvgw events --type drift' },
  ],
  seeAlso: ['hnvgw status', 'hnvgw audit', 'hnvgw drops'],
  run: ({ options }) =>
    withApi(options, async (api) => {
      const rdid = options.domain === undefined ? undefined : await resolveDomain(api, options.domain);
      const query = { routingDomainId: rdid, type: options.type };
      if (options.follow) {
        const asJson = options.output === 'json';
        const onBreak = (reason: string) =>
          process.stderr.write(`${harmless(`hnvgw: ${reason}; trying again`)}\n`);
        for await (const event of followEvents(api, query, onBreak))
          if (options.output === 'yaml') await print('yaml', [event], () => []);
          else process.stdout.write(`${asJson ? jsonLine(event) : eventLine(event)}\n`);
        return undefined;
      }
      const events = await pastEvents(api, query);
      if (options.output === 'json') for (const event of events) process.stdout.write(`${jsonLine(event)}\n`);
      else await print(options.output, events, () => events.map(eventLine));
      return undefined;
    }),
});

function jsonLine(event: NodeEvent): string {
  return harmlessJson(JSON.stringify(event));
}

const styles: Record<string, Style> = {
  failed: 'red',
  found: 'red',
  refusing: 'red',
  recovered: 'green',
  deleted: 'yellow',
  pending: 'yellow',
  ready: 'green',
  up: 'green',
  down: 'yellow',
};

function eventLine(event: NodeEvent): string {
  const { at, type, what = '', path, reason, created = 0, changed = 0, deleted = 0 } = event;
  const about = path?.replace(/^\/v1\//, '') ?? event.routingDomainId ?? '';
  const counts = type === 'policy' ? `${created} created, ${changed} changed, ${deleted} deleted` : '';
  const lost = type === 'reset' ? 'events before this one are gone' : '';
  const words = [about, counts, lost, reason ?? ''].filter((part) => part !== '').join(': ');
  return `${at}  ${type.padEnd(14)}  ${paint(styles[what], harmless(what).padEnd(7))}  ${harmless(words)}`.trimEnd();
}
