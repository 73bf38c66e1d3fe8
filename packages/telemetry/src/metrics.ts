import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client';
import { METRICS } from './metric-table.js';
import type { LabelsOf, MetricName, MetricRow, NameOf } from './metric-table.js';

/** Label sets of one metric; more would be somebody's input in a label. */
const SERIES_COUNT_MAX = 256;
/** Bounds from a memory access to a slow disk or a distant peer. */
const SECONDS = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];
/** Characters of a label value. */
const LABEL_LENGTH_MAX = 96;

/** Where packages report numbers; names and labels are those of `METRICS`. */
export interface Metrics {
  /** Adds `by` (>= 0, default 1). */
  increment<N extends NameOf<'counter'>>(name: N, labels: LabelsOf<N>, by?: number): void;
  set<N extends NameOf<'gauge'>>(name: N, labels: LabelsOf<N>, value: number): void;
  observe<N extends NameOf<'histogram'>>(name: N, labels: LabelsOf<N>, value: number): void;
}

/** A registry that can be read. */
export interface MetricsRegistry extends Metrics {
  /** The content type of {@link text}. */
  readonly contentType: string;
  /** All metrics in the text format of Prometheus. */
  text(): Promise<string>;
  /** Forgets every value. */
  clear(): void;
}

/** Arguments of {@link createMetrics}. */
export interface MetricsOptions {
  /** Memory, CPU and event loop of this process as well; read when asked. */
  readonly withProcess: boolean;
}

type Instrument = Counter | Gauge | Histogram;

function createInstrument(name: string, row: MetricRow, registry: Registry): Instrument {
  const common = { name, help: row.help, labelNames: [...row.labels], registers: [registry] };
  switch (row.kind) {
    case 'counter':
      return new Counter(common);
    case 'gauge':
      return new Gauge(common);
    case 'histogram':
      return new Histogram({ ...common, buckets: [...SECONDS] });
  }
}

function shorten(labels: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(labels).map(([name, value]) => [name, value.slice(0, LABEL_LENGTH_MAX)]),
  );
}

/** A registry of its own; nothing is shared between two of them. */
export function createMetrics(options: MetricsOptions): MetricsRegistry {
  const registry = new Registry();
  const instruments = new Map<string, Instrument>();
  const series = new Map<string, Set<string>>();
  const rows: Readonly<Record<string, MetricRow>> = METRICS;
  for (const [name, row] of Object.entries(rows)) {
    instruments.set(name, createInstrument(name, row, registry));
    series.set(name, new Set());
  }
  if (options.withProcess) collectDefaultMetrics({ register: registry, prefix: 'conclave_' });

  /** The labels to use, or nothing when the metric has too many of them already. */
  const admit = (
    name: MetricName,
    labels: Readonly<Record<string, string>>,
  ): Record<string, string> | undefined => {
    const short = shorten(labels);
    const known = series.get(name);
    const key = JSON.stringify(METRICS[name].labels.map((label) => short[label]));
    if (known === undefined || known.has(key)) return short;
    if (known.size >= SERIES_COUNT_MAX) {
      (instruments.get('conclave_metric_series_dropped_total') as Counter).inc();
      return undefined;
    }
    known.add(key);
    return short;
  };

  return {
    contentType: registry.contentType,
    text: () => registry.metrics(),
    clear: () => {
      registry.resetMetrics();
      for (const known of series.values()) known.clear();
    },
    increment: (name, labels, by = 1) => {
      const admitted = admit(name, labels);
      if (admitted !== undefined) (instruments.get(name) as Counter).inc(admitted, by);
    },
    set: (name, labels, value) => {
      const admitted = admit(name, labels);
      if (admitted !== undefined) (instruments.get(name) as Gauge).set(admitted, value);
    },
    observe: (name, labels, value) => {
      const admitted = admit(name, labels);
      if (admitted !== undefined) (instruments.get(name) as Histogram).observe(admitted, value);
    },
  };
}

/** Metrics that nobody reads; for tests and tools. */
export const SILENT_METRICS: Metrics = {
  increment: () => undefined,
  set: () => undefined,
  observe: () => undefined,
};
