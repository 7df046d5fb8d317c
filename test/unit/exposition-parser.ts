/** Reads the Prometheus text format strictly: what a scraper may refuse, or take for something else, is an error here. */

export interface Metric {
  type: string;
  help: string;
  /** Values by name and labels, as they are written. */
  samples: Map<string, number>;
}

const sampleForm = /^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (\S+)$/;
const labelForm = /^[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\[\\"n])*"(?:,|$)/;

function checkLabels(text: string, line: string): void {
  for (let rest = text; rest !== ''; ) {
    const [label] = labelForm.exec(rest) ?? [];
    if (label === undefined) throw new Error(`malformed labels: ${line}`);
    rest = rest.slice(label.length);
  }
}

function checkHistogram(name: string, { samples }: Metric): void {
  const last = new Map<string, number>();
  for (const [key, value] of samples) {
    if (!key.startsWith(`${name}_bucket{`)) continue;
    const series = key.replace(/,?le="[^"]*"/, '').replace('_bucket', '_count');
    if (value < (last.get(series) ?? 0)) throw new Error(`buckets are not cumulative: ${key}`);
    if (key.includes('le="+Inf"') && samples.get(series) !== value)
      throw new Error(`the last bucket is not the count: ${key}`);
    last.set(series, value);
  }
}

/** By the name of the metric. */
export function parseExposition(text: string): Map<string, Metric> {
  if (!text.endsWith('\n')) throw new Error('the last line does not end');
  const metrics = new Map<string, Metric>();
  let name = '';
  let help = '';
  for (const line of text.slice(0, -1).split('\n')) {
    const [, keyword, of = '', words = ''] = /^# (HELP|TYPE) (\S+) (.+)$/.exec(line) ?? [];
    if (keyword === 'HELP') {
      if (metrics.has(of)) throw new Error(`${of} is there twice`);
      [name, help] = [of, words];
      continue;
    }
    if (keyword === 'TYPE') {
      if (of !== name) throw new Error(`${line} does not follow its HELP`);
      if (words === 'counter' && !of.endsWith('_total')) throw new Error(`${of} is no name of a counter`);
      metrics.set(of, { type: words, help, samples: new Map() });
      continue;
    }
    const [, sample = '', labels = '', value = ''] = sampleForm.exec(line) ?? [];
    const metric = metrics.get(name);
    const allowed = metric?.type === 'histogram' ? ['_bucket', '_sum', '_count'] : [''];
    if (metric === undefined || !allowed.some((suffix) => sample === name + suffix))
      throw new Error(`not a sample of ${name}: ${line}`);
    checkLabels(labels, line);
    const key = labels === '' ? sample : `${sample}{${labels}}`;
    if (metric.samples.has(key)) throw new Error(`${key} is there twice`);
    if (value === '' || Number.isNaN(Number(value))) throw new Error(`no number: ${line}`);
    metric.samples.set(key, Number(value));
  }
  for (const [of, metric] of metrics) if (metric.type === 'histogram') checkHistogram(of, metric);
  return metrics;
}
