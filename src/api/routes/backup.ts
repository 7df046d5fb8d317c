/** A copy of the store while the node works: `GET /v1/backup`. */
import { mkdtemp, open, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { FastifyInstance } from 'fastify';
import { problemResponses } from '../problem.ts';
import { auditOf } from '../request-audit.ts';
import type { ApiContext } from '../resource-routes.ts';

export const backupType = 'application/vnd.sqlite3';

export function backup(app: FastifyInstance, { store }: ApiContext): void {
  app.get(
    '/v1/backup',
    {
      config: { access: 'admin', isAudited: true },
      exposeHeadRoute: false, // it would copy the store for nothing
      schema: {
        operationId: 'getBackup',
        summary: 'Read a consistent copy of the store',
        description:
          'What `hnvgw restore` takes: the desired state, the tokens as hashes, the audit log. Secrets of site connections and of BGP peers are sealed ' +
          'under a key that is not in it.',
        tags: ['node'],
        response: {
          200: {
            description: 'The store, a file of SQLite',
            content: { [backupType]: { schema: { type: 'string', format: 'binary' } } },
          },
          ...problemResponses(500),
        },
      },
    },
    async (request, reply) => {
      // A folder of our own, since the copy has hashes of tokens. The file has no name any more when it is sent, so that
      // nothing stays behind, however the answer ends.
      const folder = await mkdtemp(join(tmpdir(), 'hnvgw-backup-'));
      try {
        const path = join(folder, 'store.db');
        await store.backup(path);
        const file = await open(path);
        const { size } = await file.stat();
        reply.header('content-length', size).header('cache-control', 'no-store').type(backupType);
        // Before the first byte of it, however many are taken.
        store.audit.note({ ...auditOf(request), at: new Date().toISOString(), status: 200 });
        return reply.send(file.createReadStream());
      } finally {
        await rm(folder, { recursive: true, force: true });
      }
    },
  );
}
