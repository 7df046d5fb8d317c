/**
 * Writes the reference pages of docs/ that repeat what the source says: configuration, command line, drop reasons, errors.
 * With `--check` it writes nothing and fails when a page is not current.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { commandReference } from '../src/cli/reference.ts';
import { ConfigSchema } from '../src/config/config-schema.ts';
import { contextDropReason, dropReasons } from '../src/encap/drop-reasons.ts';
import { errorCatalogue } from '../src/errors.ts';

interface Schema {
  description?: string;
  default?: unknown;
  properties?: Record<string, Schema>;
  items?: Schema;
}

const GENERATED = '<!-- Written by scripts/generate-reference.ts (npm run generate); do not edit. -->';

function configurationRows(schema: Schema, path: string): string[] {
  return Object.entries(schema.properties ?? {}).flatMap(([key, value]) => {
    const name = path === '' ? key : `${path}.${key}`;
    if (value.properties !== undefined) return configurationRows(value, name);
    const standard = value.default === undefined ? '' : `\`${shown(value.default)}\``;
    const own = `| \`${name}\` | ${standard} | ${value.description ?? ''} |`;
    return [own, ...configurationRows(value.items ?? {}, `${name}[]`)];
  });
}

/** A value as YAML has it in one line. */
function shown(value: unknown): string {
  return Array.isArray(value) ? `[${value.map(shown).join(', ')}]` : String(value);
}

const pages: Record<string, string[]> = {
  'docs/cli.md': ['# Command line', '', GENERATED, '', ...(await commandReference())],
  'docs/configuration.md': [
    '# Configuration',
    '',
    GENERATED,
    '',
    'One YAML file, `/etc/hnvgw/hnvgw.yaml` unless `--config` names another. A key that is not listed here is refused with its line.',
    '',
    '| key | default | meaning |',
    '|---|---|---|',
    ...configurationRows(JSON.parse(JSON.stringify(ConfigSchema)) as Schema, ''),
  ],
  'docs/drop-reasons.md': [
    '# Drop reasons',
    '',
    GENERATED,
    '',
    'Why the data plane drops packets. `GET /v1/routing-domains/{rdid}/counters` counts them for a routing domain,',
    '`GET /v1/status` those that no domain can be charged with, and shows the newest ones. Numbers are never used again.',
    '',
    '| number | reason | meaning |',
    '|---|---|---|',
    ...dropReasons.map(({ number, name, explanation }) => `| ${number} | \`${name}\` | ${explanation} |`),
    `| – | \`${contextDropReason.name}\` | ${contextDropReason.explanation} |`,
  ],
  'docs/errors.md': [
    '# Errors',
    '',
    GENERATED,
    '',
    'Codes of `application/problem+json` answers (RFC 9457) and of the command line. `fault` says who can mend it.',
    '',
    '| code | HTTP status | fault | meaning |',
    '|---|---|---|---|',
    ...Object.entries(errorCatalogue).map(
      ([code, { status, fault, title }]) => `| \`${code}\` | ${status} | ${fault} | ${title} |`,
    ),
  ],
};

for (const [file, lines] of Object.entries(pages)) {
  const text = `${lines.join('\n')}\n`;
  if (!process.argv.includes('--check')) writeFileSync(file, text);
  else if (readFileSync(file, 'utf8') !== text) {
    console.error(`${file} is not what the source says: run npm run generate and commit the result.`);
    process.exitCode = 1;
  }
}
