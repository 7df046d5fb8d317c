/** The OpenAPI document as the source has it, without a node: its routes are made, but nothing ever asks them. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buildApp } from '../src/api/app.ts';
import type { Operations } from '../src/api/operations.ts';
import { openStore } from '../src/store/sqlite.ts';

const capacity = {
  ...{
    routingDomains: 1,
    lookupRecords: 1,
    customerRoutes: 1,
    externalAddresses: 1,
    siteConnections: 1,
    ports: 1,
  },
};

/** The document, as `GET /openapi.json` answers it. */
export async function apiDocument(): Promise<ReturnType<ReturnType<typeof buildApp>['swagger']>> {
  const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'));
  const folder = mkdtempSync(join(tmpdir(), 'hnvgw-document-'));
  const store = await openStore({ path: join(folder, 'store.db'), capacity });
  try {
    const app = buildApp({ version, store, operations: {} as Operations });
    await app.ready();
    const document = app.swagger();
    await app.close();
    return document;
  } finally {
    await store.close();
    rmSync(folder, { recursive: true });
  }
}
