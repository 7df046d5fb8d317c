/** What the gateway says about itself: counters of each tenant, the state of the node, its memory. */
import type { DomainCounters, NodeStatus } from '../../../src/api/operations.ts';
import type { Row } from '../table.ts';
import type { Stage } from './stage.ts';

const MEMORY_LIMIT_MB = 200;

export async function readFigures({ tenants, gateway }: Stage): Promise<Row[]> {
  const rows: Row[] = [];
  for (const { title, rdid } of tenants) {
    const counters = (await gateway.api.get(`/v1/routing-domains/${rdid}/counters`)) as DomainCounters;
    const { decapsulated, encapsulated, drops } = counters;
    const dropped = Object.entries(drops).map(([reason, count]) => `, ${count} dropped: ${reason}`);
    rows.push({
      what: `${title}'s counters count`,
      seen: `${decapsulated.packets} packets out, ${encapsulated.packets} in${dropped.join('')}`,
      ok: decapsulated.packets > 0 && encapsulated.packets > 0,
    });
  }
  const { routingDomains } = (await gateway.api.get('/v1/status')) as NodeStatus;
  rows.push({
    what: 'Both routing domains are ready',
    seen: `${routingDomains.ready} ready, ${routingDomains.pending} pending, ${routingDomains.failed} failed`,
    ok: routingDomains.ready === tenants.length && routingDomains.pending + routingDomains.failed === 0,
  });
  const memory = ((await gateway.rssKib()) * 1024) / 1e6;
  rows.push({
    what: `The gateway takes less than ${MEMORY_LIMIT_MB} MB`,
    seen: `${memory.toFixed(0)} MB resident`,
    ok: memory < MEMORY_LIMIT_MB,
  });
  return rows;
}
