/** What the gateway has on record of all that was done to it: the audit log and the events. */
import type { Row } from '../table.ts';
import type { ControlStage } from './stage.ts';

interface AuditRecord {
  actor: string;
  from: string;
  method: string;
  path: string;
  status: number;
  code?: string;
  rule?: string;
}

export async function readAudit({ portal, tenants: [contoso, fabrikam] }: ControlStage): Promise<Row[]> {
  const { items } = JSON.parse(await portal.done('audit', '-n', '1000', '-o', 'json')) as {
    items: AuditRecord[];
  };
  const wanted: Partial<AuditRecord>[] = [
    { actor: 'local', from: 'unix', path: '/v1/tokens/portal', status: 201 },
    { actor: 'portal', from: '127.0.0.1', method: 'PUT', path: '/v1/policy', status: 200 },
    { actor: 'portal', from: '127.0.0.1', path: '/v1/policy', status: 400, rule: 'address-in-subnet' },
    {
      actor: contoso.name,
      status: 404,
      path: `/v1/routing-domains/${fabrikam.rdid}/lookup-records/10.1.1.77`,
    },
    { from: '127.0.0.1', status: 401 },
  ];
  const found = wanted.map((each) =>
    items.find((item) =>
      Object.entries(each).every(([name, value]) => item[name as keyof AuditRecord] === value),
    ),
  );
  return [
    {
      what: 'The audit log tells who did what, and what was refused',
      seen: `${items.length} records; ${found.map(inWords).join(', ')}`,
      ok: found.every((record) => record !== undefined),
    },
  ];
}

/** Without a token nobody is known; that is a dash in the log. */
function inWords(record: AuditRecord | undefined): string {
  return record ? `${record.actor === '-' ? 'nobody' : record.actor} ${record.status}` : 'not there';
}

export async function readEvents({ follower }: ControlStage): Promise<Row[]> {
  const { events } = follower;
  const count = (wantedType: string, wantedWhat?: string) =>
    events.filter(({ type, what }) => type === wantedType && (wantedWhat ?? what) === what).length;
  const writes = count('resource') + count('policy');
  const [found, mended] = [count('drift', 'found'), count('drift', 'mended')];
  return [
    {
      what: 'hnvgw events --follow has told all of it',
      seen: `${writes} writes, ${count('status')} states, drift: ${found} found, ${mended} mended; ${count('reset')} restart`,
      ok: writes > 0 && count('status') > 0 && found > 0 && found === mended && count('reset') === 1,
    },
  ];
}
