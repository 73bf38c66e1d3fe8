import { finished } from 'node:stream/promises';
import type { Writable } from 'node:stream';
import { createLogger as createWinston, format, transports } from 'winston';
import type { Logger as WinstonLogger } from 'winston';
import type { Clock, LogFields, Logger } from '@conclave/kernel';
import { safeFields, scrub } from './sanitize.js';
import type { SafeValue } from './sanitize.js';

/** What is written, from much to little. */
export const LOG_LEVELS = ['debug', 'info', 'warn', 'error'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

/** `json`: one object per line, for machines. `pretty`: one line for people. */
export type LogFormat = 'json' | 'pretty';

/** Arguments of {@link openLog}. */
export interface LogOptions {
  readonly level: LogLevel;
  readonly format: LogFormat;
  /** Where lines go; standard error of the process as a rule. Not closed here. */
  readonly destination: Writable;
  readonly clock: Clock;
  /** Fields of every line, under the same rules as all others. */
  readonly fields?: LogFields;
}

/** An open log. */
export interface Log {
  /** What packages log through. */
  readonly logger: Logger;
  /** Takes effect with the next line. */
  setLevel(level: LogLevel): void;
  /** Resolves when every line was handed to the destination. Later lines are lost. */
  close(): Promise<void>;
}

interface Line {
  readonly time: string;
  readonly level: string;
  readonly event: string;
  readonly fields: { readonly [name: string]: SafeValue };
}

/** Texts of our own are short words; everything else is quoted, so that no line can be forged. */
const BARE = /^[\w.:/@+-]+$/;

function prettyValue(value: SafeValue): string {
  return typeof value === 'string' && BARE.test(value) ? value : JSON.stringify(value);
}

function prettyLine({ time, level, event, fields }: Line): string {
  const pairs = Object.entries(fields).map(([name, value]) => `${name}=${prettyValue(value)}`);
  const head = `${time} ${level.toUpperCase().padEnd(5)} ${event}`;
  return pairs.length === 0 ? head : `${head}  ${pairs.join(' ')}`;
}

function jsonLine({ time, level, event, fields }: Line): string {
  return JSON.stringify({ time, level, event, ...fields });
}

/** Characters that would move the cursor or begin another line. */
// oxlint-disable-next-line no-control-regex
const CONTROL = /[\u0000-\u001f\u007f-\u009f\u2028\u2029]/g;

function oneLine(text: string): string {
  return scrub(text).replace(CONTROL, ' ');
}

/** Bytes that wait for a destination that does not take them; lines after that are lost. */
const QUEUE_BYTES_MAX = 1024 * 1024;
const WINSTON_LEVELS = { error: 0, warn: 1, info: 2, debug: 3 };

/**
 * A log that can only hold what its lists allow: field names of `SAFE_FIELDS`, bytes as counts,
 * errors as code, message and causes, and no text that looks like a token or a key.
 */
export function openLog(options: LogOptions): Log {
  const { clock, destination } = options;
  const always = safeFields(options.fields ?? {});
  const render = options.format === 'json' ? jsonLine : prettyLine;
  // A reader that went away or a full disk costs lines, never the process.
  destination.on('error', () => undefined);
  const transport = new transports.Stream({ stream: destination, eol: '\n' });
  const winston: WinstonLogger = createWinston({
    levels: WINSTON_LEVELS,
    level: options.level,
    format: format.printf(({ level, message, ['fields']: fields }) =>
      render({
        time: new Date(clock.now()).toISOString(),
        level,
        event: String(message),
        fields: fields as Line['fields'],
      }),
    ),
    transports: [transport],
    exitOnError: false,
  });
  const put = (level: LogLevel, event: string, fields: LogFields): void => {
    winston.log({ level, message: oneLine(event), fields: { ...always, ...safeFields(fields) } });
  };
  let lostCount = 0;
  const write = (level: LogLevel, event: string, fields: LogFields = {}): void => {
    // Before the work of making fields safe, because most lines are below the level.
    if (!winston.isLevelEnabled(level)) return;
    if (destination.writableLength > QUEUE_BYTES_MAX) {
      lostCount += 1;
      return;
    }
    if (lostCount > 0) put('warn', 'log.lines-lost', { count: lostCount });
    lostCount = 0;
    put(level, event, fields);
  };
  return {
    logger: {
      debug: (event, fields) => write('debug', event, fields),
      info: (event, fields) => write('info', event, fields),
      warn: (event, fields) => write('warn', event, fields),
      error: (event, fields) => write('error', event, fields),
    },
    setLevel: (level) => {
      winston.level = level;
    },
    close: async () => {
      const done = finished(winston, { readable: false });
      winston.end();
      await done;
    },
  };
}
