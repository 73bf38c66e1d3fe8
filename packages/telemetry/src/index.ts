export { isSafeField, SAFE_FIELDS } from './log-fields.js';
export { LOG_LEVELS, openLog } from './logger.js';
export type { Log, LogFormat, LogLevel, LogOptions } from './logger.js';
export { METRICS } from './metric-table.js';
export type { LabelsOf, MetricName, MetricRow, NameOf } from './metric-table.js';
export { createMetrics, SILENT_METRICS } from './metrics.js';
export type { Metrics, MetricsOptions, MetricsRegistry } from './metrics.js';
export { safeFields, scrub } from './sanitize.js';
export type { SafeValue } from './sanitize.js';
