/** Named fields of a log line. Only fields that the logger's allow-list knows are written. */
export type LogFields = Readonly<Record<string, unknown>>;

/** What packages log through; `telemetry` implements it. */
export interface Logger {
  debug(event: string, fields?: LogFields): void;
  info(event: string, fields?: LogFields): void;
  warn(event: string, fields?: LogFields): void;
  error(event: string, fields?: LogFields): void;
}

/** A logger that drops everything; for tests and tools. */
export const SILENT_LOGGER: Logger = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
};
