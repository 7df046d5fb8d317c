/** What monitoring reads: `GET /metrics`, in the Prometheus text format. */
import { Readable } from 'node:stream';
import type { FastifyInstance } from 'fastify';
import { Pace } from '../../store/pace.ts';
import { expositionType, family, heading, line, type Sample } from '../exposition.ts';
import type {
  BgpState,
  DirectionCounters,
  DomainCounters,
  NatUse,
  NodeStatus,
  SiteConnectionState,
} from '../operations.ts';
import { problemResponses } from '../problem.ts';
import { ProcessMetrics } from '../process-metrics.ts';
import type { RequestMetrics } from '../request-metrics.ts';
import type { ApiContext } from '../resource-routes.ts';

/** What is sent at a time, in characters. */
const chunkSize = 32 * 1024;

interface Reading {
  rdid: string;
  counters: DomainCounters;
  /** When this node has a routing context of the domain. */
  nat: NatUse | undefined;
  sites: ReadonlyMap<string, SiteConnectionState>;
  /** When this node runs BGP of the domain. */
  bgp: BgpState | undefined;
}

export function metrics(app: FastifyInstance, context: ApiContext, requests: RequestMetrics): void {
  const { operations } = context;
  const ownProcess = new ProcessMetrics();
  app.addHook('onClose', async () => ownProcess.close());

  app.get(
    '/metrics',
    {
      config: { access: 'operator' },
      schema: {
        operationId: 'getMetrics',
        summary: 'Read the metrics of the node',
        tags: ['node'],
        response: {
          200: {
            description: 'Metrics in the Prometheus text format, version 0.0.4',
            content: { 'text/plain': { schema: { type: 'string' } } },
          },
          ...problemResponses(500),
        },
      },
    },
    async (_request, reply) => {
      // All that can fail comes before the answer begins.
      const node =
        nodeText(operations.nodeStatus()) + uplinkText(operations.uplinkBgp()) + (await ownProcess.text());
      const readings = await readDomains(context);
      reply.type(expositionType);
      return reply.send(Readable.from(text([node, requests.text()], readings)));
    },
  );
}

async function readDomains({ store, operations }: ApiContext): Promise<Reading[]> {
  const pace = new Pace();
  const readings: Reading[] = [];
  for (const rdid of [...store.state.domains.keys()]) {
    // Domains may go meanwhile.
    if (store.state.domains.has(rdid))
      readings.push({
        rdid,
        counters: operations.domainCounters(rdid),
        nat: operations.natUse(rdid),
        sites: operations.siteConnections(rdid),
        bgp: operations.bgp(rdid),
      });
    if (pace.isOver) await pace.rest();
  }
  return readings;
}

async function* text(first: readonly string[], readings: readonly Reading[]): AsyncGenerator<string> {
  yield* first;
  const pace = new Pace();
  for (const { name, type = 'counter', help, samples } of domainFamilies) {
    let lines = heading(name, type, help);
    for (const reading of readings) {
      for (const [labels, value] of samples(reading))
        lines += line(name, { routing_domain: reading.rdid, ...labels }, value);
      if (lines.length >= chunkSize) {
        yield lines;
        lines = '';
      }
      if (pace.isOver) await pace.rest();
    }
    yield lines;
  }
}

function nodeText(status: NodeStatus): string {
  const { version, role, instance, routingDomains, drift, learning, unattributedDrops } = status;
  const of = (record: Readonly<Record<string, number>>, label: string): Sample[] =>
    Object.entries(record).map(([name, value]) => [{ [label]: name }, value]);
  const gauge = (name: string, help: string, value: number): string =>
    family(name, 'gauge', help, [[{}, value]]);
  return [
    family('hnvgw_info', 'gauge', 'Always 1; the labels say what runs here.', [
      [{ version, role, instance }, 1],
    ]),
    gauge(
      'hnvgw_ready',
      '1 from when the kernel has followed the whole store once since the process began.',
      Number(status.ready),
    ),
    gauge('hnvgw_store_revision', 'Revision of the store.', status.revision),
    gauge(
      'hnvgw_store_applied_revision',
      'Store revision that the kernel has caught up with.',
      status.appliedRevision,
    ),
    gauge(
      'hnvgw_store_size_bytes',
      'Size of the store on disk, with its write-ahead log.',
      status.storeBytes,
    ),
    family('hnvgw_routing_domains', 'gauge', 'Routing domains by state.', of(routingDomains, 'state')),
    gauge('hnvgw_warnings', 'What an operator should know: number of warnings.', status.warnings.length),
    gauge(
      'hnvgw_sequencer_queue_length',
      'Routing domains that are worked on or wait for that.',
      status.sequencer.queueLength,
    ),
    family('hnvgw_sequencer_retries_total', 'counter', 'What was tried again because it had failed.', [
      [{}, status.sequencer.retries],
    ]),
    family('hnvgw_drift_found_total', 'counter', 'What was found in the kernel otherwise than programmed.', [
      [{}, drift.found],
    ]),
    family('hnvgw_drift_mended_total', 'counter', 'What of that was put right.', [[{}, drift.mended]]),
    family(
      'hnvgw_unattributed_drops_total',
      'counter',
      'Dropped packets that belong to no routing domain, by reason.',
      of(unattributedDrops, 'reason'),
    ),
    learning === undefined
      ? ''
      : family(
          'hnvgw_learning_total',
          'counter',
          'What became of addresses that were seen at ports that learn.',
          of({ ...learning }, 'outcome'),
        ),
  ].join('');
}

/** Of a gateway that speaks BGP with its uplink. */
function uplinkText(bgp: BgpState | undefined): string {
  if (bgp === undefined) return '';
  return [
    family(
      'hnvgw_uplink_bgp_session_up',
      'gauge',
      '1 while the BGP session with a router of the uplink is established, 0 while it is not.',
      bgpSessions(bgp),
    ),
    family('hnvgw_uplink_bgp_prefixes', 'gauge', 'Prefixes that a router of the uplink was told.', [
      ...bgp.peers.map(({ name, prefixesSent }): Sample => [{ peer: name }, prefixesSent]),
    ]),
  ].join('');
}

function bgpSessions({ peers }: BgpState): Sample[] {
  return peers.map(({ name, state }) => [{ peer: name }, Number(state === 'Established')]);
}

interface DomainFamily {
  name: string;
  /** `counter` when absent. */
  type?: 'gauge';
  help: string;
  samples: (reading: Reading) => Sample[];
}

const directions = ['decapsulated', 'encapsulated', 'local'] as const;

function byDirection(field: keyof DirectionCounters): DomainFamily['samples'] {
  return ({ counters }) => directions.map((direction) => [{ direction }, counters[direction][field]]);
}

const domainFamilies: readonly DomainFamily[] = [
  {
    name: 'hnvgw_domain_packets_total',
    help: 'Packets of a routing domain: decapsulated, encapsulated, or from port to port of this node.',
    samples: byDirection('packets'),
  },
  {
    name: 'hnvgw_domain_bytes_total',
    help: 'Bytes of these packets, from the inner IP header on.',
    samples: byDirection('bytes'),
  },
  {
    name: 'hnvgw_domain_fast_packets_total',
    help: 'Packets of a routing domain, decapsulated or encapsulated, that took the fast path.',
    samples: ({ counters }) => [[{}, counters.fast.packets]],
  },
  {
    name: 'hnvgw_domain_drops_total',
    help: 'Dropped packets of a routing domain by reason; reasons that never happened are absent.',
    samples: ({ counters }) => Object.entries(counters.drops).map(([reason, count]) => [{ reason }, count]),
  },
  {
    name: 'hnvgw_nat_sessions',
    type: 'gauge',
    help: 'NAT sessions that a routing domain has on this node.',
    samples: ({ nat }) => (nat === undefined ? [] : [[{}, nat.sessions]]),
  },
  {
    name: 'hnvgw_nat_refused_sessions_total',
    help: 'Sessions that NAT refused, by reason: limit, ports, bindings.',
    samples: ({ nat }) => Object.entries(nat?.refused ?? {}).map(([reason, count]) => [{ reason }, count]),
  },
  {
    name: 'hnvgw_site_connection_up',
    type: 'gauge',
    help: '1 while the tunnel of a site connection is up, 0 while it is not.',
    samples: ({ sites }) => [...sites].map(([name, { state }]) => [{ name }, Number(state === 'connected')]),
  },
  {
    name: 'hnvgw_bgp_session_up',
    type: 'gauge',
    help: '1 while the session with a BGP peer of a routing domain is established, 0 while it is not.',
    samples: ({ bgp }) => (bgp === undefined ? [] : bgpSessions(bgp)),
  },
  {
    name: 'hnvgw_bgp_prefixes',
    type: 'gauge',
    help: 'Prefixes of the session with a BGP peer: received, of these accepted, and sent.',
    samples: ({ bgp }) =>
      (bgp?.peers ?? []).flatMap(
        ({ name: peer, prefixesReceived, prefixesAccepted, prefixesSent }): Sample[] => [
          [{ peer, prefixes: 'received' }, prefixesReceived],
          [{ peer, prefixes: 'accepted' }, prefixesAccepted],
          [{ peer, prefixes: 'sent' }, prefixesSent],
        ],
      ),
  },
  {
    name: 'hnvgw_bgp_memory_bytes',
    type: 'gauge',
    help: 'Memory of the BGP speaker of a routing domain (proportional set size).',
    samples: ({ bgp }) => (bgp === undefined ? [] : [[{}, bgp.memoryBytes]]),
  },
];
