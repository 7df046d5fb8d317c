/**
 * Writes what follows from the OpenAPI document: the client that tests and tools use, made by an independent generator, and the
 * reference page. With `--check` it writes nothing and fails when a file is not current.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { generateSource } from 'oazapfts';
import { apiDocument } from './api-document.ts';
import { type OpenApi, restPage } from './rest-page.ts';

/** Its types hold where it is used; the code itself is not written for this project's strictest option. */
const UNCHECKED = '// @ts-nocheck for exactOptionalPropertyTypes';

async function clientSource(document: OpenApi): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), 'hnvgw-openapi-'));
  try {
    const file = join(folder, 'openapi.json');
    writeFileSync(file, JSON.stringify(document));
    const source = await generateSource(file, { argumentStyle: 'object', futureStripLegacyMethods: true });
    return `${UNCHECKED}\n${source}`;
  } finally {
    rmSync(folder, { recursive: true });
  }
}

const document = (await apiDocument()) as unknown as OpenApi;
const outputs = {
  'test/lab/api.generated.ts': await clientSource(document),
  'docs/rest.md': restPage(document),
};
for (const [name, text] of Object.entries(outputs)) {
  const file = join(import.meta.dirname, '..', name);
  if (!process.argv.includes('--check')) {
    writeFileSync(file, text);
  } else if (readFileSync(file, 'utf8') !== text) {
    console.error(`${name} is not what the routes say: run npm run generate and commit the result.`);
    process.exitCode = 1;
  }
}
