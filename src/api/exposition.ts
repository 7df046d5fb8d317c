/**
 * Writes metrics in the Prometheus text format, version 0.0.4
 * (https://prometheus.io/docs/instrumenting/exposition_formats/). Own code, because a node with thousands of routing domains must
 * write its samples piece by piece, from values that others keep.
 */

export const expositionType = 'text/plain; version=0.0.4; charset=utf-8';

export type Labels = Readonly<Record<string, string>>;
/** A value with its labels. */
export type Sample = readonly [labels: Labels, value: number];

/** A metric with all its samples, which must stand together. `help` is one sentence. */
export function family(
  name: string,
  type: 'counter' | 'gauge',
  help: string,
  samples: Iterable<Sample>,
): string {
  let text = heading(name, type, help);
  for (const [labels, value] of samples) text += line(name, labels, value);
  return text;
}

/** The lines that come before the samples of a metric. */
export function heading(name: string, type: 'counter' | 'gauge' | 'histogram', help: string): string {
  return `# HELP ${name} ${help}\n# TYPE ${name} ${type}\n`;
}

export function line(name: string, labels: Labels, value: number): string {
  const pairs = Object.entries(labels).map(([label, text]) => `${label}="${escaped(text)}"`);
  return `${name}${pairs.length === 0 ? '' : `{${pairs.join(',')}}`} ${value}\n`;
}

function escaped(text: string): string {
  return text.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n');
}
